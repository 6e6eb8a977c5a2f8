// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BadRule, BitOutOfRange, DistanceCount, DistanceTooLarge} from "./Errors.sol";
import {Sets} from "./Sets.sol";

/// @title Which groups are kept, from the distances of their means. Python twin: protocols/selection/rules.py.
/// @dev `outlier`: outlier removal of Proof of Contribution; `multi-krum`: Blanchard et al. 2017; `m-krum`: OmniLytics,
/// algorithm 1. Integers only, ties by index.
library Rules {
    uint256 internal constant DISTANCE_LIMIT = 1 << 240; // 9 times the sum of 15 of them fits a word

    /// @notice The rule applied to the groups in `passed`.
    /// @param rule 0 none, 1 outlier, 2 multi-krum, 3 m-krum
    /// @param passed bitmap of the groups that passed, at most 16
    /// @param created groups as created: what mu refers to
    /// @param distances upper triangle over the passed groups in index order, row-major
    /// @return output whether there is an output at all
    /// @return selected bitmap of the kept groups, never 0 when there is an output
    function select(
        uint8 rule,
        uint256 passed,
        uint16 created,
        uint16 muBps,
        uint16 mKrum,
        uint256[] calldata distances
    ) internal pure returns (bool output, uint256 selected) {
        if (rule > 3) revert BadRule(rule);
        if (passed >> 16 != 0 || passed >> created != 0) revert BitOutOfRange(passed, created);
        uint256 count = Sets.size(passed);
        uint256[] memory near = _neighbours(distances, count);
        if (count == 0) return (false, 0);
        if (rule == 0) return (true, passed);
        uint256 faulty = (uint256(muBps) * created) / 10000;
        uint256 refused = created - count;
        faulty = faulty > refused ? faulty - refused : 0;
        if (count < faulty + 3) return (false, 0);
        uint256 kept;
        if (rule == 1) kept = _outlier(near, count, faulty);
        else if (rule == 2) kept = _multiKrum(near, count, faulty);
        else kept = _mKrum(near, count, faulty, mKrum);
        return (kept != 0, _spread(kept, passed));
    }

    /// @dev Drops, highest score first, at most `faulty` groups of score above 9/4 of the lower median.
    function _outlier(uint256[] memory near, uint256 count, uint256 faulty) private pure returns (uint256 kept) {
        kept = Sets.full(count);
        uint256[] memory scores = _scores(near, count, kept, count - faulty - 2);
        uint256 limit = 9 * _lowerMedian(scores, count);
        for (uint256 drops = 0; drops < faulty; ++drops) {
            uint256 worst = count;
            for (uint256 r = 0; r < count; ++r) {
                if (Sets.has(kept, r) && (worst == count || scores[r] >= scores[worst])) worst = r;
            }
            if (4 * scores[worst] <= limit) break;
            kept &= ~(uint256(1) << worst);
        }
    }

    /// @dev Keeps the count - faulty groups of lowest score.
    function _multiKrum(uint256[] memory near, uint256 count, uint256 faulty) private pure returns (uint256 kept) {
        uint256 all = Sets.full(count);
        uint256[] memory scores = _scores(near, count, all, count - faulty - 2);
        for (uint256 picks = count - faulty; picks > 0; --picks) {
            kept |= uint256(1) << _lowest(scores, count, all & ~kept);
        }
    }

    /// @dev m times the argmin of the score within what remains.
    function _mKrum(uint256[] memory near, uint256 count, uint256 faulty, uint256 m)
        private
        pure
        returns (uint256 kept)
    {
        uint256 most = count - faulty - 2;
        if (m > most) m = most;
        uint256 rest = Sets.full(count);
        for (uint256 picks = 0; picks < m; ++picks) {
            uint256[] memory scores = _scores(near, count, rest, count - picks - faulty - 2);
            uint256 bit = uint256(1) << _lowest(scores, count, rest);
            rest &= ~bit;
            kept |= bit;
        }
    }

    /// @dev scores[r], r in `set`: sum of the `nearest` smallest distances from r to others of the set.
    function _scores(uint256[] memory near, uint256 count, uint256 set, uint256 nearest)
        private
        pure
        returns (uint256[] memory scores)
    {
        scores = new uint256[](count);
        unchecked {
            for (uint256 r = 0; r < count; ++r) {
                if (!Sets.has(set, r)) continue;
                uint256 score;
                uint256 place = r * count;
                for (uint256 left = nearest; left > 0; ++place) {
                    uint256 neighbour = near[place];
                    if (!Sets.has(set, neighbour & 255)) continue;
                    score += neighbour >> 8;
                    --left;
                }
                scores[r] = score;
            }
        }
    }

    /// @dev Inserts into the sorted entries start .. start + length - 1.
    function _insert(uint256[] memory row, uint256 start, uint256 length, uint256 value) private pure {
        unchecked {
            uint256 place = start + length;
            while (place > start && row[place - 1] > value) {
                row[place] = row[place - 1];
                --place;
            }
            row[place] = value;
        }
    }

    function _lowerMedian(uint256[] memory scores, uint256 count) private pure returns (uint256) {
        uint256[] memory sorted = new uint256[](count);
        for (uint256 r = 0; r < count; ++r) {
            _insert(sorted, 0, r, scores[r]);
        }
        return sorted[(count - 1) / 2];
    }

    /// @dev Index of the lowest score within `set` (not empty), the lowest index among equal ones.
    function _lowest(uint256[] memory scores, uint256 count, uint256 set) private pure returns (uint256 best) {
        best = count;
        for (uint256 r = 0; r < count; ++r) {
            if (Sets.has(set, r) && (best == count || scores[r] < scores[best])) best = r;
        }
    }

    /// @dev Row r, from place r * count: the other groups by distance from r, each as distance << 8 | index. Sorted
    /// once; a score within a subset passes over the others.
    function _neighbours(uint256[] calldata distances, uint256 count) private pure returns (uint256[] memory near) {
        uint256 expected = count == 0 ? 0 : (count * (count - 1)) / 2;
        if (distances.length != expected) revert DistanceCount(distances.length, expected);
        near = new uint256[](count * count);
        uint256 position = 0;
        for (uint256 r = 0; r < count; ++r) {
            for (uint256 s = r + 1; s < count; ++s) {
                uint256 distance = distances[position];
                if (distance >= DISTANCE_LIMIT) revert DistanceTooLarge(position);
                _insert(near, r * count, s - 1, (distance << 8) | s);
                _insert(near, s * count, r, (distance << 8) | r);
                ++position;
            }
        }
    }

    /// @dev Bits over positions among the passed groups, as bits over groups.
    function _spread(uint256 kept, uint256 passed) private pure returns (uint256 groups) {
        for (uint256 r = 0; kept != 0; ++r) {
            if (!Sets.has(passed, r)) continue;
            groups |= (kept & 1) << r;
            kept >>= 1;
        }
    }
}
