// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "./Vm.sol";

/// @dev What a test needs and no more. A test fails by reverting.
abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    // forge finds test contracts by this flag
    bool public constant IS_TEST = true;

    error NotTrue(string what);
    error NotEqual(string what, uint256 actual, uint256 expected);
    error NotEqualAddress(string what, address actual, address expected);

    function ok(bool condition, string memory what) internal pure {
        if (!condition) revert NotTrue(what);
    }

    function eq(uint256 actual, uint256 expected, string memory what) internal pure {
        if (actual != expected) revert NotEqual(what, actual, expected);
    }

    function eq(address actual, address expected, string memory what) internal pure {
        if (actual != expected) revert NotEqualAddress(what, actual, expected);
    }

    /// @dev value mapped into [low, high]
    function bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        uint256 span = high - low;
        if (span == type(uint256).max) return value;
        return low + (value % (span + 1));
    }
}
