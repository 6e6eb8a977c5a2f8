// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {GroupNotReady, OrderLength, OrderWrong} from "./Errors.sol";
import {Sets} from "./Sets.sol";
import {Session} from "./Types.sol";

/// @title Who is in which group: data owners in the order of keccak256(beacon, address), cut into groups of N; the last
/// group takes the remainder (sizes N .. 2N - 1).
library Grouping {
    /// @dev Checks that `order` is complete and sorted, and keeps the group of each data owner. Strictly ascending
    /// hashes cannot repeat an index, so the length alone proves completeness.
    function store(Session storage s, uint16[] calldata order) internal {
        uint256 count = s.registered;
        if (order.length != count) revert OrderLength(order.length, count);
        bytes32 beacon = s.beacons[1];
        uint256 size = s.terms.groupSize;
        uint256 last = uint256(s.groupCount) - 1;
        uint256[4] memory words;
        bytes32 previous;
        for (uint256 position = 0; position < count; ++position) {
            uint256 index = order[position];
            if (index >= count) revert OrderWrong(position);
            bytes32 key = keccak256(abi.encodePacked(beacon, s.dataOwners[index]));
            if (key <= previous) revert OrderWrong(position);
            previous = key;
            uint256 group = position / size;
            words[index >> 6] |= (group < last ? group : last) << ((index & 63) * 4);
        }
        for (uint256 word = 0; word * 64 < count; ++word) {
            s.groupOf[word] = words[word];
        }
    }

    /// @dev Members of each group as bitmaps over data owners.
    function members(Session storage s) internal view returns (uint256[16] memory masks) {
        uint256 count = s.registered;
        uint256 word;
        for (uint256 index = 0; index < count; ++index) {
            if (index & 63 == 0) word = s.groupOf[index >> 6];
            masks[word & 15] |= uint256(1) << index;
            word >>= 4;
        }
    }

    /// @dev Every passed group must exist and have at least max(T, 2) members in `valid`, T = floor(size / 2) + 1.
    function requireReady(uint256[16] memory masks, uint256 passed, uint256 groupCount, uint256 valid) internal pure {
        Sets.requireWithin(passed, groupCount);
        for (uint256 r = 0; r < groupCount; ++r) {
            if (!Sets.has(passed, r)) continue;
            if (!isReady(masks[r], valid)) revert GroupNotReady(r);
        }
    }

    /// @dev Whether enough members of a group are in `valid` to unmask its sum: max(T, 2), T = floor(size / 2) + 1.
    function isReady(uint256 mask, uint256 valid) internal pure returns (bool) {
        return Sets.size(mask & valid) > Sets.size(mask) / 2; // at least 2: no group is smaller than 2
    }

    /// @dev Members of the groups in `groups`.
    function union(uint256[16] memory masks, uint256 groups) internal pure returns (uint256 result) {
        for (uint256 r = 0; r < 16; ++r) {
            if (Sets.has(groups, r)) result |= masks[r];
        }
    }
}
