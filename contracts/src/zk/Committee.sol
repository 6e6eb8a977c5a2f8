// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Calldata} from "./Calldata.sol";
import {Field} from "./Field.sol";
import {Key} from "./Key.sol";
import {Openings} from "./Openings.sol";
import {Points} from "./Points.sol";
import {Transcript} from "./Transcript.sol";
import {BadScalar, BadStatementIdentity, NO_RECORD} from "./ZkErrors.sol";

/// @dev What is left to show of the committee's proof when its identity holds.
struct Shown {
    uint256 z;
    uint256 gamma;
    uint256 u;
    uint256 value; // of all openings together, in the exponent
    uint256 rho; // merges it with the records
}

/// @title The proof that the committee makes together: a running sum over A = sum r_k g_k.
/// @dev Layout, in bytes; the parts between bars are what the states t1 .. t4 absorb.
///     gram  CS 64 | Cq 64 | A s s' q P at z, 5 x 32 | W 64, W2 64
///     score CS 64 | Cq 64 | A f s s' q P at z, 6 x 32 | W 64, W2 64
/// s' is the value at w z. The summand on H is A^2 - c (gram) or A f - c (score).
library Committee {
    uint256 internal constant GRAM = 416;
    uint256 internal constant SCORE = 448;

    /// @dev state: t0.  total: sum r_k r_l G_kl, or sum r_k v_k.
    function check(Key memory key, bytes32 state, uint256 total, uint256 pos, bool score)
        internal
        pure
        returns (Shown memory c)
    {
        unchecked {
            uint256 count = score ? 6 : 5;
            for (uint256 i = 0; i < count; ++i) {
                if (Calldata.word(pos + 128 + 32 * i) >= Field.R) revert BadScalar(NO_RECORD);
            }
            state = Transcript.absorb(state, pos, 64);
            uint256 beta = Transcript.challenge(state);
            state = Transcript.absorb(state, pos + 64, 64);
            c.z = Transcript.challenge(state);
            state = Transcript.absorb(state, pos + 128, 32 * count);
            c.gamma = Transcript.challenge(state);
            state = Transcript.absorb(state, pos + 128 + 32 * count, 128);
            c.u = Transcript.challenge(state);
            c.rho = uint256(keccak256(abi.encode(state))) % Field.R;
            _identity(key, c, beta, Field.mul(total, key.inverse), pos + 128, score);
        }
    }

    /// @dev s' - s - A f + c + beta P A = q Z_H at z; sets the value of A + gamma s + gamma^2 q + gamma^3 P [+ gamma^4 f].
    function _identity(Key memory key, Shown memory c, uint256 beta, uint256 share, uint256 pos, bool score)
        private
        pure
    {
        unchecked {
            uint256 a = Calldata.word(pos);
            uint256 f = score ? Calldata.word(pos + 32) : a;
            pos += score ? 64 : 32;
            uint256 s = Calldata.word(pos);
            uint256 next = Calldata.word(pos + 32);
            uint256 q = Calldata.word(pos + 64);
            uint256 p = Calldata.word(pos + 96);
            uint256 left = Field.add(Field.sub(Field.sub(next, s), Field.mul(a, f)), share);
            left = Field.add(left, Field.mul(beta, Field.mul(p, a)));
            if (left != Field.mul(q, Field.vanishing(c.z, key.size))) revert BadStatementIdentity();
            uint256 value = Field.add(p, score ? Field.mul(c.gamma, f) : 0);
            value = Field.add(q, Field.mul(c.gamma, value));
            value = Field.add(s, Field.mul(c.gamma, value));
            value = Field.add(a, Field.mul(c.gamma, value));
            c.value = Field.add(value, Field.mul(c.u, next));
        }
    }

    /// @dev Adds the openings to both sides of the pairing equation, but for C_P (scalar gamma^3), the C_k and [1].
    function combine(Key memory key, Shown memory c, Points.Sum left, Points.Sum right, uint256 pos, bool score)
        internal
        view
    {
        unchecked {
            Points.add(left, pos, Field.add(c.gamma, c.u), NO_RECORD);
            Points.add(left, pos + 64, Field.mul(c.gamma, c.gamma), NO_RECORD);
            Openings.combine(key.root, c.z, left, right, pos + (score ? 320 : 288), 1, c.u, NO_RECORD);
        }
    }
}
