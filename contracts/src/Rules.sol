// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BadRule, BitOutOfRange, DistanceCount, DistanceTooLarge} from "./Errors.sol";
import {Sets} from "./Sets.sol";

/// @title Which groups are kept, from the distances of their means. Python twin: protocols/selection/rules.py.
/// @dev `outlier`: outlier removal of Proof of Contribution; `multi-krum`: Blanchard et al. 2017; `m-krum`: OmniLytics,
/// algorithm 1. Integers only, ties by index.
library Rules {
    uint256 internal constant DISTANCE_LIMIT = 1 << 240; // 2^8 times the sum of 15 of them fits a word

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
        uint256[] memory order = _ranked(near, count, count - faulty - 2);
        uint256 limit = 9 * (order[(count - 1) / 2] >> 8);
        for (uint256 drops = 1; drops <= faulty; ++drops) {
            uint256 worst = order[count - drops];
            if (4 * (worst >> 8) <= limit) break;
            kept &= ~(uint256(1) << (worst & 255));
        }
    }

    /// @dev Keeps the count - faulty groups of lowest score.
    function _multiKrum(uint256[] memory near, uint256 count, uint256 faulty) private pure returns (uint256 kept) {
        uint256[] memory order = _ranked(near, count, count - faulty - 2);
        for (uint256 picks = 0; picks < count - faulty; ++picks) {
            kept |= uint256(1) << (order[picks] & 255);
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
        assembly ("memory-safe") {
            let place := 0
            let from := add(near, 32)
            let row := add(places, 32)
            let width := shl(5, count)
            for { let end := add(row, mul(width, count)) } lt(row, end) { row := add(row, width) } {
                for { let last := sub(add(from, width), 32) } lt(from, last) { from := add(from, 32) } {
                    mstore(add(row, shl(5, and(mload(from), 255))), place)
                    place := add(place, 1)
                }
                from := add(from, 32)
                place := add(place, 1)
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
        assembly ("memory-safe") {
            let row := add(near, 32)
            for { let r := 0 } lt(r, count) { r := add(r, 1) } {
                let score := 0
                for { let place := row } lt(place, add(row, shl(5, nearest))) { place := add(place, 32) } {
                    score := add(score, shr(8, mload(place)))
                }
                mstore(add(scores, shl(5, add(r, 1))), score)
                row := add(row, shl(5, count))
            }
        }
    }

    /// @dev Scores as score << 8 | position, ascending.
    function _ranked(uint256[] memory near, uint256 count, uint256 nearest)
        private
        pure
        returns (uint256[] memory order)
    {
        order = _scores(near, count, nearest);
        for (uint256 r = 0; r < count; ++r) {
            order[r] = (order[r] << 8) | r;
        }
        _sort(order, 0, count, new uint256[](count));
    }

    /// @dev Each row by distance, equal ones by position.
    function _sortRows(uint256[] memory near, uint256 count) private pure {
        uint256[] memory scratch = new uint256[](count);
        for (uint256 r = 0; r < count; ++r) {
            _sort(near, r * count, count - 1, scratch);
        }
    }

    /// @dev Sorts `length` words from place `start` on, ascending. Merge sort: no values cost much more than others.
    function _sort(uint256[] memory words, uint256 start, uint256 length, uint256[] memory scratch) private pure {
        assembly ("memory-safe") {
            words := add(add(words, 32), shl(5, start)) // where the words are
            scratch := add(scratch, 32) // where they go next
            length := shl(5, length)
            start := words
            // pairs, in place
            for { let pair := words } lt(add(pair, 32), add(words, length)) { pair := add(pair, 64) } {
                let a := mload(pair)
                let b := mload(add(pair, 32))
                if gt(a, b) {
                    mstore(pair, b)
                    mstore(add(pair, 32), a)
                }
            }
            // runs of 2, 4, 8, .. words are merged, from here to there and back
            for { let run := 64 } lt(run, length) { run := shl(1, run) } {
                let end := add(words, length)
                let out := scratch
                for { let left := words } lt(left, end) {} {
                    let middle := add(left, run)
                    if gt(middle, end) { middle := end }
                    let limit := add(middle, run)
                    if gt(limit, end) { limit := end }
                    let right := middle
                    if lt(right, limit) {
                        let a := mload(left)
                        let b := mload(right)
                        for {} 1 { out := add(out, 32) } {
                            if gt(a, b) {
                                mstore(out, b)
                                right := add(right, 32)
                                if eq(right, limit) { break }
                                b := mload(right)
                                continue
                            }
                            mstore(out, a)
                            left := add(left, 32)
                            if eq(left, middle) { break }
                            a := mload(left)
                        }
                        out := add(out, 32)
                    }
                    // one of the two runs is empty now
                    mcopy(out, left, sub(middle, left))
                    out := add(out, sub(middle, left))
                    mcopy(out, right, sub(limit, right))
                    out := add(out, sub(limit, right))
                    left := limit
                }
                end := words
                words := scratch
                scratch := end
            }
            if iszero(eq(words, start)) { mcopy(start, words, length) }
        }
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
