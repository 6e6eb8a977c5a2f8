// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/Errors.sol";
import {Sets} from "../src/Sets.sol";
import {Selection} from "../src/Selection.sol";
import {Test} from "./base/Test.sol";

/// @dev Small cases by hand; tests/integration/test_selection_differential.py compares random ones with the Python twin.
contract SelectionTest is Test {
    uint8 private constant NONE = 0;
    uint8 private constant OUTLIER = 1;
    uint8 private constant MULTI = 2;
    uint8 private constant MKRUM = 3;

    /// @dev Groups on a line: distance = squared difference of their places.
    function line(uint256[] memory places) private pure returns (uint256[] memory distances) {
        uint256 count = places.length;
        distances = new uint256[](count * (count - 1) / 2);
        uint256 next;
        for (uint256 r = 0; r < count; ++r) {
            for (uint256 s = r + 1; s < count; ++s) {
                uint256 gap = places[r] > places[s] ? places[r] - places[s] : places[s] - places[r];
                distances[next++] = gap * gap;
            }
        }
    }

    function six() private pure returns (uint256[] memory) {
        uint256[] memory places = new uint256[](6);
        (places[0], places[1], places[2], places[3], places[4], places[5]) = (10, 11, 12, 500, 13, 14);
        return line(places);
    }

    function kept(uint8 rule, uint256 passed, uint16 created, uint16 mu, uint16 m, uint256[] memory d, uint256 expected)
        private
        pure
    {
        (bool output, uint256 selected) = Selection.select(rule, passed, created, mu, m, d);
        eq(selected, expected, "selected");
        ok(output == (expected != 0), "output");
    }

    function testNone() public pure {
        kept(NONE, 0x3f, 6, 0, 0, six(), 0x3f);
        kept(NONE, 0, 6, 0, 0, new uint256[](0), 0);
        kept(NONE, 0x10, 6, 0, 0, new uint256[](0), 0x10);
    }

    function testOutlier() public pure {
        kept(OUTLIER, 0x3f, 6, 2500, 0, six(), 0x37);
        kept(OUTLIER, 0x3f, 6, 0, 0, six(), 0x3f); // f = 0 drops nobody
        kept(OUTLIER, 0x3f0, 10, 2500, 0, six(), 0x3f0); // four refused before: f is used up
        kept(OUTLIER, 0x3f, 6, 5000, 0, six(), 0x37); // f = 3, but only one is odd
    }

    function testNobodyIsOdd() public pure {
        kept(OUTLIER, 0x3f, 6, 5000, 0, new uint256[](15), 0x3f);
    }

    /// @dev Equal scores: the higher index goes first.
    function testOutlierTies() public pure {
        uint256[] memory places = new uint256[](6);
        (places[0], places[1], places[2], places[3], places[4], places[5]) = (0, 1000, 1000, 1000, 1000, 2000);
        kept(OUTLIER, 0x3f, 6, 2000, 0, line(places), 0x1f);
        kept(OUTLIER, 0x3f, 6, 4000, 0, line(places), 0x1e);
    }

    function testMultiKrum() public pure {
        kept(MULTI, 0x3f, 6, 2500, 0, six(), 0x37);
        kept(MULTI, 0x3f, 6, 5000, 0, new uint256[](15), 0x07); // ties by index
    }

    function testMKrum() public pure {
        kept(MKRUM, 0x3f, 6, 2500, 1, six(), 0x02);
        kept(MKRUM, 0x3f, 6, 2500, 0, six(), 0);
        (bool output, uint256 selected) = Selection.select(MKRUM, 0x3f, 6, 2500, 9, six());
        ok(output && Sets.size(selected) == 3 && selected & 8 == 0, "m is at most R' - f - 2");
    }

    function testTooFew() public pure {
        uint256[] memory d = new uint256[](3);
        kept(OUTLIER, 7, 4, 2500, 0, d, 7); // f = 1 - 1 refused
        kept(OUTLIER, 7, 4, 5000, 0, d, 0);
        kept(MULTI, 7, 3, 3400, 0, d, 0);
        kept(OUTLIER, 3, 4, 0, 0, new uint256[](1), 0);
    }

    function testBitsFollowTheGroups() public pure {
        uint256[] memory d = six();
        kept(OUTLIER, 0xD2B0, 16, 1000, 0, new uint256[](21), 0xD2B0);
        // the fourth of the passed groups is far away: bit 11 of 1010 1001 1001 0001 is the fourth
        kept(MULTI, 0xA891, 16, 10000 * 11 / 16, 0, d, 0xA091);
    }

    function trySelect(uint8 rule, uint256 passed, uint16 created, uint256[] calldata d) external pure {
        Selection.select(rule, passed, created, 2500, 1, d);
    }

    function testRefused() public {
        uint256[] memory d = six();
        vm.expectRevert(abi.encodeWithSelector(BadRule.selector, 4));
        this.trySelect(4, 0x3f, 6, d);
        vm.expectRevert(abi.encodeWithSelector(BitOutOfRange.selector, 0x3f, 5));
        this.trySelect(1, 0x3f, 5, d);
        vm.expectRevert(abi.encodeWithSelector(BitOutOfRange.selector, 0x1003f, 20));
        this.trySelect(1, 0x1003f, 20, d);
        vm.expectRevert(abi.encodeWithSelector(DistanceCount.selector, 15, 10));
        this.trySelect(1, 0x1f, 6, d);
        d[14] = 1 << 240;
        vm.expectRevert(abi.encodeWithSelector(DistanceTooLarge.selector, 14));
        this.trySelect(0, 0x3f, 6, d);
    }

    /// @dev The largest distances of the largest session overflow nothing.
    function testLargest() public pure {
        uint256[] memory d = new uint256[](120);
        for (uint256 i = 0; i < 120; ++i) {
            d[i] = (1 << 240) - 1;
        }
        kept(OUTLIER, 0xffff, 16, 4000, 0, d, 0xffff);
        kept(MULTI, 0xffff, 16, 0, 0, d, 0xffff);
        kept(MKRUM, 0xffff, 16, 0, 14, d, 0x3fff);
    }

    /// @dev Whatever the distances: never empty with an output, within what passed, and no more dropped than allowed.
    function testFuzzBounds(uint256 seed, uint16 passed, uint16 mu, uint8 rule, uint8 m) public pure {
        mu %= 10000;
        rule %= 4;
        uint256 count = Sets.size(passed);
        uint256[] memory d = new uint256[](count == 0 ? 0 : count * (count - 1) / 2);
        for (uint256 i = 0; i < d.length; ++i) {
            d[i] = uint256(keccak256(abi.encode(seed, i))) >> (16 + seed % 240);
        }
        (bool output, uint256 selected) = Selection.select(rule, passed, 16, mu, m, d);
        ok(output == (selected != 0), "output");
        ok(selected & ~uint256(passed) == 0, "subset");
        if (output && rule < 3) ok(Sets.size(selected) + uint256(mu) * 16 / 10000 >= count, "few are dropped");
        if (output && rule == 3) ok(Sets.size(selected) <= m, "at most m");
    }
}
