// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Calldata} from "./Calldata.sol";
import {Field} from "./Field.sol";
import {Key} from "./Key.sol";
import {Openings} from "./Openings.sol";
import {Points} from "./Points.sol";
import {Transcript} from "./Transcript.sol";
import {BadOrder, BadRangeIdentity, BadScalar} from "./ZkErrors.sol";

/// @dev What is left to show of a record when its identity holds: that its openings are right.
struct Claim {
    uint256 z;
    uint256 v;
    uint256 u;
    uint256 value; // of all openings together, in the exponent
    uint256 seal; // t3: stands for the record in later transcripts
}

/// @title Records: the proof of one data owner that its update is in range and, under a key with norms, that its squared
/// norm is at most B2.
/// @dev Layout, in bytes; the parts between bars are what the states t0, [ta], t1, t2, t3 absorb.
///     address 32, C 64, dg 32, Cm 64 | Cs 64, Cq 64 | g m s s' q T at z, 6 x 32 | W 64, W2 64
///     address 32, C 64, dg 32, Cm 64, Ce 64, Cn 64 | Cs 64 | Cq 64 | g m s q T e n p, s' n', 10 x 32 | W 64, W2 64
/// s' and n' are values at w z.
library Records {
    uint256 internal constant RANGE = 640;
    uint256 internal constant RANGE_NORM = 896;

    function length(bool norms) internal pure returns (uint256) {
        return norms ? RANGE_NORM : RANGE;
    }

    /// @dev Identity of the record at this place of the calldata; index is what errors name.
    function check(Key memory key, bytes32 sess, uint256 B2, uint256 pos, uint256 index)
        internal
        pure
        returns (Claim memory)
    {
        return key.norms ? _withNorm(key, sess, B2, pos, index) : _inRange(key, sess, pos, index);
    }

    /// @dev Addresses of records from `first` on are strictly increasing; all fit 160 bits.
    function requireOrder(bytes calldata dos, uint256 size, uint256 first) internal pure {
        uint256 before;
        uint256 count = dos.length / size;
        for (uint256 k = 0; k < count; ++k) {
            uint256 who = Calldata.word(Calldata.offset(dos) + k * size);
            if (who >> 160 != 0 || (k > first && who <= before)) revert BadOrder(k);
            before = who;
        }
    }

    function _inRange(Key memory key, bytes32 sess, uint256 pos, uint256 index) private pure returns (Claim memory c) {
        unchecked {
            _requireScalars(pos + 320, 6, index);
            bytes32 state = Transcript.start(Transcript.RANGE, sess, pos, 192);
            uint256 alpha = Transcript.challenge(state);
            state = Transcript.absorb(state, pos + 192, 128);
            c.z = Transcript.challenge(state);
            state = Transcript.absorb(state, pos + 320, 192);
            c.v = Transcript.challenge(state);
            state = Transcript.absorb(state, pos + 512, 128);
            c.seal = uint256(state);
            c.u = Transcript.challenge(state);
            pos += 320;
            uint256 left = _lookup(
                alpha,
                Calldata.word(pos),
                Calldata.word(pos + 32),
                Calldata.word(pos + 64),
                Calldata.word(pos + 96),
                Calldata.word(pos + 160)
            );
            uint256 right = Field.mul(Calldata.word(pos + 128), Field.vanishing(c.z, key.size));
            if (left != right) revert BadRangeIdentity(index);
            uint256 value = _horner(c.v, pos + 128, Calldata.word(pos + 160)); // T, q, then s, m, g
            for (uint256 i = pos + 64; i >= pos; i -= 32) {
                value = _horner(c.v, i, value);
            }
            c.value = Field.add(value, Field.mul(c.u, Calldata.word(pos + 96)));
        }
    }

    function _withNorm(Key memory key, bytes32 sess, uint256 B2, uint256 pos, uint256 index)
        private
        pure
        returns (Claim memory c)
    {
        unchecked {
            _requireScalars(pos + 448, 10, index);
            bytes32 state = Transcript.start(Transcript.RANGE_NORM, sess, pos, 320);
            uint256 alpha = Transcript.challenge(state);
            state = Transcript.absorb(state, pos + 320, 64);
            uint256 delta = Transcript.challenge(state);
            state = Transcript.absorb(state, pos + 384, 64);
            c.z = Transcript.challenge(state);
            state = Transcript.absorb(state, pos + 448, 320);
            c.v = Transcript.challenge(state);
            state = Transcript.absorb(state, pos + 768, 128);
            c.seal = uint256(state);
            c.u = Transcript.challenge(state);
            pos += 448;
            uint256 left = _lookup(
                alpha,
                Calldata.word(pos),
                Calldata.word(pos + 32),
                Calldata.word(pos + 64),
                Calldata.word(pos + 256),
                Calldata.word(pos + 128)
            );
            left = Field.add(left, Field.mul(delta, _norm(pos, Field.mul(B2, key.inverse), delta)));
            uint256 right = Field.mul(Calldata.word(pos + 96), Field.vanishing(c.z, key.size));
            if (left != right) revert BadRangeIdentity(index);
            uint256 value = Calldata.word(pos + 224); // p, then n, e, T, q, s, m, g
            for (uint256 i = pos + 192; i >= pos; i -= 32) {
                value = _horner(c.v, i, value);
            }
            uint256 next = Field.add(Calldata.word(pos + 256), Field.mul(c.v, Calldata.word(pos + 288)));
            c.value = Field.add(value, Field.mul(c.u, next));
        }
    }

    /// @dev (s' - s)(alpha + g)(alpha + T) - (alpha + T) + m (alpha + g)
    function _lookup(uint256 alpha, uint256 g, uint256 m, uint256 s, uint256 next, uint256 table)
        private
        pure
        returns (uint256)
    {
        g = Field.add(alpha, g);
        table = Field.add(alpha, table);
        uint256 product = Field.mul(Field.mul(Field.sub(next, s), g), table);
        return Field.add(Field.sub(product, table), Field.mul(m, g));
    }

    /// @dev n' - n - g^2 - p e + B2/N + delta (e^2 - e); pos: the values at z.
    function _norm(uint256 pos, uint256 share, uint256 delta) private pure returns (uint256) {
        unchecked {
            uint256 e = Calldata.word(pos + 160);
            uint256 step = Field.sub(Calldata.word(pos + 288), Calldata.word(pos + 192));
            uint256 used =
                Field.add(Field.mul(Calldata.word(pos), Calldata.word(pos)), Field.mul(Calldata.word(pos + 224), e));
            uint256 bits = Field.mul(delta, Field.mul(e, Field.sub(e, 1)));
            return Field.add(Field.add(Field.sub(step, used), share), bits);
        }
    }

    function _horner(uint256 v, uint256 pos, uint256 value) private pure returns (uint256) {
        return Field.add(Calldata.word(pos), Field.mul(v, value));
    }

    function _requireScalars(uint256 pos, uint256 count, uint256 index) private pure {
        unchecked {
            for (uint256 i = 0; i < count; ++i) {
                if (Calldata.word(pos + 32 * i) >= Field.R) revert BadScalar(index);
            }
        }
    }

    /// @dev Adds weight times the record's openings to both sides of the pairing equation, and extra times C, which is a
    /// part of other openings too. Returns weight v^4 and weight v^7, the scalars of C_T and C_p.
    function combine(
        Key memory key,
        Claim memory c,
        Points.Sum left,
        Points.Sum right,
        uint256 pos,
        uint256 weight,
        uint256 extra,
        uint256 index
    ) internal view returns (uint256 table, uint256 powers) {
        unchecked {
            uint256 v = c.v;
            uint256 merged = Field.mul(weight, c.u);
            Points.add(left, pos + 32, Field.add(weight, extra), index); // C
            uint256 scalar = Field.mul(weight, v); // weight v^i from here on
            Points.add(left, pos + 128, scalar, index); // Cm
            scalar = Field.mul(scalar, v);
            uint256 sums = pos + (key.norms ? 320 : 192);
            Points.add(left, sums, Field.add(scalar, merged), index); // Cs
            scalar = Field.mul(scalar, v);
            Points.add(left, sums + 64, scalar, index); // Cq
            table = Field.mul(scalar, v);
            if (key.norms) {
                scalar = Field.mul(table, v);
                Points.add(left, pos + 192, scalar, index); // Ce
                scalar = Field.mul(scalar, v);
                Points.add(left, pos + 256, Field.add(scalar, Field.mul(merged, v)), index); // Cn
                powers = Field.mul(scalar, v);
            }
            pos += key.norms ? 768 : 512;
            Openings.combine(key.root, c.z, left, right, pos, weight, merged, index);
        }
    }
}
