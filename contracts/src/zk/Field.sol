// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The scalar field of BN254. Operands are below R unless it says otherwise.
library Field {
    uint256 internal constant R = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;

    error ModexpFailed();

    function mul(uint256 a, uint256 b) internal pure returns (uint256) {
        return mulmod(a, b, R);
    }

    function add(uint256 a, uint256 b) internal pure returns (uint256) {
        return addmod(a, b, R);
    }

    function sub(uint256 a, uint256 b) internal pure returns (uint256) {
        unchecked {
            return addmod(a, R - b, R);
        }
    }

    /// @dev The value of Z_H = X^N - 1 at z; N is a power of two. Twenty squarings cost as much as the precompile does.
    function vanishing(uint256 z, uint256 size) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            let r := R
            value := z
            for { let n := shr(1, size) } n { n := shr(1, n) } { value := mulmod(value, value, r) }
            value := addmod(value, sub(r, 1), r)
        }
    }

    /// @dev base^exponent, by the precompile of EIP-198.
    function power(uint256 base, uint256 exponent) internal view returns (uint256 result) {
        bool done;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, 0x20)
            mstore(add(free, 0x20), 0x20)
            mstore(add(free, 0x40), 0x20)
            mstore(add(free, 0x60), base)
            mstore(add(free, 0x80), exponent)
            mstore(add(free, 0xa0), R)
            done := staticcall(gas(), 5, free, 0xc0, 0, 0x20)
            result := mload(0)
        }
        if (!done) revert ModexpFailed();
    }

    /// @dev 1/a for a that is not 0.
    function inverse(uint256 a) internal view returns (uint256) {
        return power(a, R - 2);
    }

    /// @dev A signed integer as an element of the field.
    function signed(int256 value) internal pure returns (uint256 element) {
        assembly ("memory-safe") {
            element := add(value, mul(R, slt(value, 0)))
        }
    }
}
