// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Records and proofs are read where they lie. `pos`: a place of the calldata, in bytes.
library Calldata {
    function word(uint256 pos) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := calldataload(pos)
        }
    }

    function offset(bytes calldata data) internal pure returns (uint256 pos) {
        assembly ("memory-safe") {
            pos := data.offset
        }
    }
}
