// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Calldata} from "./Calldata.sol";
import {Field} from "./Field.sol";
import {BadNorm} from "./ZkErrors.sol";

/// @title The proved values: integers of 16 bytes each, two's complement.
library Values {
    uint256 internal constant WIDTH = 16;

    /// @dev sum r_k r_l G_kl over the matrix whose lower triangle lies at this place, row by row.
    function form(uint256[] memory weights, uint256 pos) internal pure returns (uint256 total) {
        assembly ("memory-safe") {
            let r := 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001
            let first := add(weights, 0x20)
            let end := add(first, shl(5, mload(weights)))
            for { let k := first } lt(k, end) { k := add(k, 0x20) } {
                let row := 0
                for { let l := first } lt(l, k) { l := add(l, 0x20) } {
                    let entry := sar(128, calldataload(pos))
                    row := addmod(row, mulmod(mload(l), add(entry, mul(r, slt(entry, 0))), r), r)
                    pos := add(pos, 16)
                }
                let diagonal := sar(128, calldataload(pos))
                pos := add(pos, 16)
                let weight := mload(k)
                row := addmod(addmod(row, row, r), mulmod(weight, add(diagonal, mul(r, slt(diagonal, 0))), r), r)
                total := addmod(total, mulmod(weight, row, r), r)
            }
        }
    }

    /// @dev Every accepted k has 0 <= G_kk <= B2.
    function requireNorms(uint256 mask, uint256 B2, uint256 pos, uint256 count) internal pure {
        unchecked {
            for (uint256 k = 0; k < count; ++k) {
                pos += WIDTH * k;
                int256 norm = one(pos);
                pos += WIDTH;
                if ((mask >> k) & 1 == 1 && (norm < 0 || uint256(norm) > B2)) revert BadNorm(k);
            }
        }
    }

    /// @dev The value at this place.
    function one(uint256 pos) internal pure returns (int256) {
        return int256(Calldata.word(pos)) >> 128;
    }

    /// @dev sum r_k v_k over values that `read` has put into words.
    function sum(uint256[] memory weights, uint256[] memory words, uint256 from) internal pure returns (uint256 total) {
        for (uint256 k = 0; k < weights.length; ++k) {
            total = Field.add(total, Field.mul(weights[k], words[from + k]));
        }
    }

    /// @dev Puts the values at this place, as elements of the field, into words from `from` on.
    function read(uint256[] memory words, uint256 from, uint256 pos, uint256 count) internal pure {
        for (uint256 k = 0; k < count; ++k) {
            words[from + k] = Field.signed(one(pos + WIDTH * k));
        }
    }
}
