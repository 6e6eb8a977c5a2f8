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
        uint256 kept = keep(rule, near, count, created, muBps, mKrum);
        return (kept != 0, spread(kept, passed));
    }

    /// @notice A rule on distances, for up to 64 of which everything is known.
    /// @param near row r, from place r * count: the others as distance << 8 | position, in any order; is sorted here
    /// @return kept bitmap over positions, 0: no output
    function keep(uint8 rule, uint256[] memory near, uint256 count, uint256 created, uint256 muBps, uint256 mKrum)
        internal
        pure
        returns (uint256 kept)
    {
        uint256 faulty = (muBps * created) / 10000;
        uint256 refused = created - count;
        faulty = faulty > refused ? faulty - refused : 0;
        if (count < faulty + 3) return 0;
        _sortRows(near, count);
        if (rule == 1) return _outlier(near, count, faulty);
        if (rule == 2) return _multiKrum(near, count, faulty);
        return _mKrum(near, count, faulty, mKrum);
    }

    /// @dev Drops, highest score first, at most `faulty` groups of score above 9/4 of the lower median.
    function _outlier(uint256[] memory near, uint256 count, uint256 faulty) private pure returns (uint256 kept) {
        kept = Sets.full(count);
        uint256[] memory scores = _scores(near, count, count - faulty - 2);
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
        uint256[] memory scores = _scores(near, count, count - faulty - 2);
        for (uint256 picks = count - faulty; picks > 0; --picks) {
            kept |= uint256(1) << _lowest(scores, count, all & ~kept);
        }
    }

    /// @dev m times the argmin of the score within what remains. A score is corrected by what the picked one was to it:
    /// one of the nearest, which then are one fewer; if not, the farthest of the nearest drops out instead.
    function _mKrum(uint256[] memory near, uint256 count, uint256 faulty, uint256 m)
        private
        pure
        returns (uint256 kept)
    {
        uint256 nearest = count - faulty - 2;
        if (m > nearest) m = nearest;
        uint256[] memory scores = _scores(near, count, nearest);
        uint256[] memory last = new uint256[](count); // place of the farthest of the nearest
        for (uint256 r = 0; r < count; ++r) {
            last[r] = r * count + nearest - 1;
        }
        uint256[] memory places = _places(near, count);
        uint256 rest = Sets.full(count);
        for (uint256 picks = 0; picks < m; ++picks) {
            uint256 best = _lowest(scores, count, rest);
            rest &= ~(uint256(1) << best);
            kept |= uint256(1) << best;
            if (picks + 1 < m) _without(near, places, last, scores, best, rest);
        }
    }

    function _without(
        uint256[] memory near,
        uint256[] memory places,
        uint256[] memory last,
        uint256[] memory scores,
        uint256 picked,
        uint256 rest
    ) private pure {
        unchecked {
            uint256 count = scores.length;
            for (uint256 r = 0; r < count; ++r) {
                if (!Sets.has(rest, r)) continue;
                uint256 place = places[r * count + picked];
                uint256 end = last[r];
                if (place < end) {
                    scores[r] -= near[place] >> 8;
                    continue;
                }
                scores[r] -= near[end] >> 8;
                do {
                    --end;
                } while (!Sets.has(rest, near[end] & 255));
                last[r] = end;
            }
        }
    }

    /// @dev Where in `near` the distance from r to s is, at r * count + s.
    function _places(uint256[] memory near, uint256 count) private pure returns (uint256[] memory places) {
        places = new uint256[](count * count);
        unchecked {
            for (uint256 row = 0; row < near.length; row += count) {
                for (uint256 place = row; place < row + count - 1; ++place) {
                    places[row + (near[place] & 255)] = place;
                }
            }
        }
    }

    /// @dev scores[r]: sum of the `nearest` smallest distances from r.
    function _scores(uint256[] memory near, uint256 count, uint256 nearest)
        private
        pure
        returns (uint256[] memory scores)
    {
        scores = new uint256[](count);
        unchecked {
            for (uint256 r = 0; r < count; ++r) {
                uint256 score;
                uint256 end = r * count + nearest;
                for (uint256 place = r * count; place < end; ++place) {
                    score += near[place] >> 8;
                }
                scores[r] = score;
            }
        }
    }

    /// @dev Each row by distance, equal ones by position.
    function _sortRows(uint256[] memory near, uint256 count) private pure {
        uint256[] memory scratch = new uint256[](count);
        uint256 length = 32 * (count - 1);
        for (uint256 r = 0; r < count; ++r) {
            assembly ("memory-safe") {
                // runs of 1, 2, 4, .. words are merged, from here to there and back: as many steps for every input
                let row := add(add(near, 32), mul(mul(r, count), 32))
                let from := row
                let to := add(scratch, 32)
                for { let run := 32 } lt(run, length) { run := shl(1, run) } {
                    let end := add(from, length)
                    let out := to
                    for { let left := from } lt(left, end) {} {
                        let middle := add(left, run)
                        if gt(middle, end) { middle := end }
                        let limit := add(middle, run)
                        if gt(limit, end) { limit := end }
                        let right := middle
                        for {} and(lt(left, middle), lt(right, limit)) { out := add(out, 32) } {
                            let a := mload(left)
                            let b := mload(right)
                            let later := gt(a, b)
                            mstore(out, xor(a, mul(xor(a, b), later)))
                            right := add(right, shl(5, later))
                            left := add(left, shl(5, iszero(later)))
                        }
                        mcopy(out, left, sub(middle, left))
                        out := add(out, sub(middle, left))
                        mcopy(out, right, sub(limit, right))
                        out := add(out, sub(limit, right))
                        left := limit
                    }
                    let before := from
                    from := to
                    to := before
                }
                if iszero(eq(from, row)) { mcopy(row, from, length) }
            }
        }
    }

    function _lowerMedian(uint256[] memory scores, uint256 count) private pure returns (uint256) {
        uint256[] memory sorted = new uint256[](count);
        unchecked {
            for (uint256 r = 0; r < count; ++r) {
                uint256 place = r;
                for (; place > 0 && sorted[place - 1] > scores[r]; --place) {
                    sorted[place] = sorted[place - 1];
                }
                sorted[place] = scores[r];
            }
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

    /// @dev Row r, from place r * count: the other groups as distance << 8 | position, by position.
    function _neighbours(uint256[] calldata distances, uint256 count) private pure returns (uint256[] memory near) {
        uint256 expected = count == 0 ? 0 : (count * (count - 1)) / 2;
        if (distances.length != expected) revert DistanceCount(distances.length, expected);
        near = new uint256[](count * count);
        uint256 position = 0;
        for (uint256 r = 0; r < count; ++r) {
            for (uint256 s = r + 1; s < count; ++s) {
                uint256 distance = distances[position];
                if (distance >= DISTANCE_LIMIT) revert DistanceTooLarge(position);
                near[r * count + s - 1] = (distance << 8) | s;
                near[s * count + r] = (distance << 8) | r;
                ++position;
            }
        }
    }

    /// @dev Bits over positions among those in `among`, as bits over what `among` is over.
    function spread(uint256 kept, uint256 among) internal pure returns (uint256 result) {
        for (uint256 r = 0; kept != 0; ++r) {
            if (!Sets.has(among, r)) continue;
            result |= (kept & 1) << r;
            kept >>= 1;
        }
    }
}
