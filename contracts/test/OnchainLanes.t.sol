// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";

import {Krum} from "../src/onchain/Krum.sol";
import {ModelChunk} from "../src/onchain/ModelChunk.sol";
import {Test} from "./base/Test.sol";

contract Lanes is ModelChunk {
    function sumOf(uint256 a, uint256 b) external pure returns (uint256) {
        return addLanes(a, b);
    }
}

/// @dev The arithmetic of the on-chain baseline against the plain way of doing it.
contract OnchainLanesTest is Test {
    Lanes private _lanes = new Lanes();

    uint256 private constant TOPS = 0x8000000000000000800000000000000080000000000000008000000000000000;

    function testFuzzSumIsLaneByLane(uint256 a, uint256 b) public view {
        check(a, b);
        check(a, ~a);
        check(a, type(uint256).max);
        check(a | TOPS, b | TOPS);
    }

    function check(uint256 a, uint256 b) private view {
        uint256 expected;
        for (uint256 shift = 0; shift < 256; shift += 64) {
            unchecked {
                expected |= uint256(uint64(a >> shift) + uint64(b >> shift)) << shift;
            }
        }
        eq(_lanes.sumOf(a, b), expected, "sum");
    }

    /// @dev Rows of a chunk: sums of what was added, distances of all pairs of the rounds asked for, totals.
    /// forge-config: default.fuzz.runs = 16
    function testFuzzChunk(uint256 seed, uint16 parameters, uint16 which) public {
        parameters = uint16(bound(parameters, 1, 250));
        ModelChunk chunk =
            ModelChunk(Clones.cloneWithImmutableArgs(address(_lanes), abi.encodePacked(address(this), parameters)));
        uint256[][] memory rows = new uint256[][](16);
        uint256 extreme = seed % 4; // also the widest differences there are
        for (uint256 r = 0; r < 16; ++r) {
            rows[r] = new uint256[]((uint256(parameters) + 3) / 4);
            for (uint256 j = 0; j < parameters; ++j) {
                uint64 lane = uint64(uint256(keccak256(abi.encode(seed, r, j))));
                if (extreme == 0) lane = r % 2 == 0 ? 1 << 63 : (1 << 63) - 1;
                rows[r][j / 4] |= uint256(lane) << (192 - 64 * (j % 4));
            }
            (uint256 fresh, uint256 cleared) = chunk.add(r, rows[r]);
            eq(fresh, nonZero(rows[r]), "fresh");
            eq(cleared, 0, "cleared");
        }
        chunk.setModel(rows[3]);
        same(chunk.row(0), rows[3]);
        same(chunk.row(16), rows[15]);
        compare(chunk.distances(which), rows, which, parameters);
        (uint256 again,) = chunk.add(3, rows[4]);
        eq(again, 0, "nothing is fresh");
        uint256[] memory both = chunk.total((1 << 3) | (1 << 4));
        for (uint256 i = 0; i < both.length; ++i) {
            eq(both[i], _lanes.sumOf(_lanes.sumOf(rows[3][i], rows[4][i]), rows[4][i]), "total");
        }
        for (uint256 i = 0; i < both.length; ++i) {
            rows[5][i] = _lanes.sumOf(~rows[5][i], (TOPS >> 63)); // minus it
        }
        (, uint256 gone) = chunk.add(5, rows[5]);
        eq(gone, nonZero(rows[5]), "cleared");
    }

    function compare(uint256[] memory d, uint256[][] memory rows, uint256 which, uint256 parameters) private pure {
        uint256 pair;
        for (uint256 r = 0; r < 16; ++r) {
            for (uint256 s = r + 1; s < 16; ++s) {
                if ((which >> r) & (which >> s) & 1 == 0) continue;
                uint256 expected;
                for (uint256 j = 0; j < parameters; ++j) {
                    int256 x = int256(laneOf(rows[r], j)) - laneOf(rows[s], j);
                    expected += uint256(x * x);
                }
                eq(d[pair++], expected, "distance");
            }
        }
        eq(d.length, pair, "pairs");
    }

    function laneOf(uint256[] memory words, uint256 j) private pure returns (int64) {
        return int64(uint64(words[j / 4] >> (192 - 64 * (j % 4))));
    }

    function nonZero(uint256[] memory words) private pure returns (uint256 count) {
        for (uint256 i = 0; i < words.length; ++i) {
            if (words[i] != 0) ++count;
        }
    }

    function same(uint256[] memory a, uint256[] memory b) private pure {
        eq(uint256(keccak256(abi.encode(a))), uint256(keccak256(abi.encode(b))), "words");
    }

    /// @dev Algorithm 1 written down as the paper has it. Few values, so that there are ties.
    function testFuzzKrum(uint256 seed, uint8 count, uint8 faulty, uint8 m, bool ties) public pure {
        count = uint8(bound(count, 1, 16));
        faulty = uint8(bound(faulty, 0, 8));
        m = uint8(bound(m, 1, 16));
        uint256[] memory d = new uint256[](uint256(count) * (count - 1) / 2);
        for (uint256 i = 0; i < d.length; ++i) {
            d[i] = uint256(keccak256(abi.encode(seed, i))) >> (ties ? 254 : 112);
        }
        eq(Krum.select(d, count, faulty, m), naive(d, count, faulty, m), "selected");
    }

    function naive(uint256[] memory d, uint256 count, uint256 faulty, uint256 m) private pure returns (uint256 kept) {
        for (uint256 picks = 0; picks < m && picks < count; ++picks) {
            uint256 best = count;
            uint256 lowest;
            for (uint256 r = 0; r < count; ++r) {
                if ((kept >> r) & 1 == 1) continue;
                uint256 score = scoreOf(d, count, faulty, kept, r);
                if (best == count || score < lowest) (best, lowest) = (r, score);
            }
            kept |= 1 << best;
        }
    }

    function scoreOf(uint256[] memory d, uint256 count, uint256 faulty, uint256 gone, uint256 r)
        private
        pure
        returns (uint256 score)
    {
        uint256[] memory others = new uint256[](count);
        uint256 size;
        for (uint256 s = 0; s < count; ++s) {
            if (s == r || (gone >> s) & 1 == 1) continue;
            (uint256 a, uint256 b) = r < s ? (r, s) : (s, r);
            others[size++] = d[a * count - a * (a + 1) / 2 + b - a - 1];
        }
        int256 wanted = int256(size) + 1 - int256(faulty) - 2; // |T| - mu R - 2
        if (wanted < 1) wanted = 1;
        for (int256 picks = 0; picks < wanted && size > 0; ++picks) {
            uint256 least = 0;
            for (uint256 i = 1; i < size; ++i) {
                if (others[i] < others[least]) least = i;
            }
            score += others[least];
            others[least] = others[--size];
        }
    }
}
