// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Field} from "./Field.sol";

/// @title Challenges: keccak256 over 32-byte words, no lengths and no padding, since every layout is fixed.
library Transcript {
    bytes32 internal constant KEY = keccak256("omninode.zk.key.v1");
    bytes32 internal constant SESSION = keccak256("omninode.zk.session.v1");
    bytes32 internal constant RANGE = keccak256("omninode.zk.range.v1");
    bytes32 internal constant RANGE_NORM = keccak256("omninode.zk.rangenorm.v1");
    bytes32 internal constant GRAM = keccak256("omninode.zk.gram.v1");
    bytes32 internal constant SCORE = keccak256("omninode.zk.score.v1");
    bytes32 internal constant NONE = keccak256("omninode.zk.none.v1");

    /// @dev The state after absorbing `length` bytes of the calldata.
    function absorb(bytes32 state, uint256 pos, uint256 length) internal pure returns (bytes32 next) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, state)
            calldatacopy(add(free, 0x20), pos, length)
            next := keccak256(free, add(length, 0x20))
        }
    }

    /// @dev The first state of a record.
    function start(bytes32 tag, bytes32 sess, uint256 pos, uint256 length) internal pure returns (bytes32 state) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, tag)
            mstore(add(free, 0x20), sess)
            calldatacopy(add(free, 0x40), pos, length)
            state := keccak256(free, add(length, 0x40))
        }
    }

    function hash(uint256[] memory words) internal pure returns (bytes32 state) {
        assembly ("memory-safe") {
            state := keccak256(add(words, 0x20), shl(5, mload(words)))
        }
    }

    /// @dev F: a state as an element of the field.
    function challenge(bytes32 state) internal pure returns (uint256) {
        return uint256(state) % Field.R;
    }

    /// @dev r_k = F(H(state, k)) for k < count.
    function weights(bytes32 state, uint256 count) internal pure returns (uint256[] memory values) {
        values = new uint256[](count);
        assembly ("memory-safe") {
            let modulus := 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001
            mstore(0, state)
            for { let k := 0 } lt(k, count) { k := add(k, 1) } {
                mstore(0x20, k)
                mstore(add(values, shl(5, add(k, 1))), mod(keccak256(0, 0x40), modulus))
            }
        }
    }
}
