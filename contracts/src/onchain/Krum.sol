// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title m-Krum, algorithm 1 of OmniLytics, also where rounds are few.
/// @dev Rules.sol has the market's m-krum, which refuses what this one must do: the paper runs R = 2, where |T| - mu R - 2
/// is 0, and picks on while it becomes negative. Here at least one neighbour always counts.
library Krum {
    /// @notice m times (or until nothing is left) the round of lowest score within what remains, ties by index. Score: sum
    /// of its max(1, |T| - faulty - 2) smallest distances within what remains; 0 for the last one.
    /// @param d upper triangle over `count` rounds, row-major, each below 2^248
    /// @return kept bitmap over positions
    function select(uint256[] memory d, uint256 count, uint256 faulty, uint256 m) internal pure returns (uint256 kept) {
        uint256[] memory near = _sorted(d, count);
        uint256 left = (uint256(1) << count) - 1;
        for (uint256 size = count; size > 0 && m > 0; --size) {
            uint256 neighbours = size > faulty + 3 ? size - faulty - 2 : 1;
            if (size == 1) neighbours = 0;
            uint256 best = count;
            uint256 lowest = type(uint256).max;
            for (uint256 r = 0; r < count; ++r) {
                if ((left >> r) & 1 == 0) continue;
                uint256 score = _score(near, r * count, neighbours, left);
                if (score < lowest) (best, lowest) = (r, score);
            }
            left &= ~(uint256(1) << best);
            kept |= uint256(1) << best;
            --m;
        }
    }

    /// @dev Sum of the first `neighbours` distances of a sorted row whose other end is in `left`.
    function _score(uint256[] memory near, uint256 place, uint256 neighbours, uint256 left)
        private
        pure
        returns (uint256 score)
    {
        assembly ("memory-safe") {
            let at := add(near, shl(5, add(place, 1)))
            for {} neighbours { at := add(at, 32) } {
                let entry := mload(at)
                if and(shr(and(entry, 255), left), 1) {
                    score := add(score, shr(8, entry))
                    neighbours := sub(neighbours, 1)
                }
            }
        }
    }

    /// @dev Row r, from place r * count: the others as distance << 8 | position, ascending (insertion: rows are short).
    function _sorted(uint256[] memory d, uint256 count) private pure returns (uint256[] memory near) {
        near = new uint256[](count * count);
        uint256[] memory filled = new uint256[](count);
        uint256 pair = 0;
        for (uint256 r = 0; r < count; ++r) {
            for (uint256 s = r + 1; s < count; ++s) {
                uint256 distance = d[pair++] << 8;
                _insert(near, r * count, filled[r]++, distance | s);
                _insert(near, s * count, filled[s]++, distance | r);
            }
        }
    }

    function _insert(uint256[] memory near, uint256 start, uint256 length, uint256 entry) private pure {
        uint256 place = start + length;
        while (place > start && near[place - 1] > entry) {
            near[place] = near[place - 1];
            --place;
        }
        near[place] = entry;
    }
}
