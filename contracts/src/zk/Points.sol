// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Field} from "./Field.sol";
import {BadPoint} from "./ZkErrors.sol";

/// @title Sums of points by the precompiles of EIP-196 and EIP-197.
/// @dev A Sum is the place in memory of five words: the sum so far, then the point and the scalar that the next
/// multiplication takes, so that nothing is moved between the two precompiles. A point that is not canonical or not on the
/// curve makes them fail, and takes with it all the gas that they were given.
library Points {
    type Sum is uint256;

    uint256 internal constant Q = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;

    /// @dev [1] in the second group.
    uint256 internal constant ONE2_X1 = 0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2;
    uint256 internal constant ONE2_X0 = 0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed;
    uint256 internal constant ONE2_Y1 = 0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b;
    uint256 internal constant ONE2_Y0 = 0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa;

    /// @dev Gas for a product or a sum, and for a pairing: several times what they cost (6,000, 150, 113,000), so that a
    /// bad point costs little, and a later price list does no harm.
    uint256 internal constant MOST = 50_000;
    uint256 internal constant MOST_PAIRING = 1_000_000;

    /// @dev Memory from here on is nobody's yet; it is not zero until a first sum is written.
    function zero() internal pure returns (Sum sum) {
        assembly ("memory-safe") {
            sum := mload(0x40)
            mstore(0x40, add(sum, 0xa0))
            mstore(sum, 0)
            mstore(add(sum, 0x20), 0)
        }
    }

    /// @dev sum += scalar * (the point at this place of the calldata). record: whom to name if it is none.
    function add(Sum sum, uint256 pos, uint256 scalar, uint256 record) internal view {
        bool done;
        assembly ("memory-safe") {
            let point := add(sum, 0x40)
            calldatacopy(point, pos, 0x40)
            mstore(add(point, 0x40), scalar)
            done := staticcall(MOST, 7, point, 0x60, point, 0x40)
            done := and(staticcall(MOST, 6, sum, 0x80, sum, 0x40), done)
        }
        if (!done) revert BadPoint(record);
    }

    /// @dev sum += the point at this place of the calldata.
    function add(Sum sum, uint256 pos, uint256 record) internal view {
        bool done;
        assembly ("memory-safe") {
            calldatacopy(add(sum, 0x40), pos, 0x40)
            done := staticcall(MOST, 6, sum, 0x80, sum, 0x40)
        }
        if (!done) revert BadPoint(record);
    }

    /// @dev sum += scalar * point, a point that has been checked.
    function add(Sum sum, uint256[2] memory point, uint256 scalar) internal view returns (bool done) {
        assembly ("memory-safe") {
            let next := add(sum, 0x40)
            mstore(next, mload(point))
            mstore(add(next, 0x20), mload(add(point, 0x20)))
            mstore(add(next, 0x40), scalar)
            done := staticcall(MOST, 7, next, 0x60, next, 0x40)
            done := and(staticcall(MOST, 6, sum, 0x80, sum, 0x40), done)
        }
    }

    function coordinates(Sum sum) internal pure returns (uint256 x, uint256 y) {
        assembly ("memory-safe") {
            x := mload(sum)
            y := mload(add(sum, 0x20))
        }
    }

    /// @dev done: whether point2 is of the second group.  equal: whether e(left, [1]) = e(right, point2).
    function pair(Sum left, Sum right, uint256[4] memory point2) internal view returns (bool done, bool equal) {
        (uint256 x, uint256 y) = coordinates(left);
        (uint256 x2, uint256 y2) = coordinates(right);
        uint256[12] memory pairs = [
            x,
            y,
            ONE2_X1,
            ONE2_X0,
            ONE2_Y1,
            ONE2_Y0,
            x2,
            y2 == 0 ? 0 : Q - y2,
            point2[0],
            point2[1],
            point2[2],
            point2[3]
        ];
        assembly ("memory-safe") {
            done := staticcall(MOST_PAIRING, 8, pairs, 0x180, 0, 0x20)
            equal := and(done, eq(mload(0), 1))
        }
    }
}
