// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BitOutOfRange} from "../src/Errors.sol";
import {Sets} from "../src/Sets.sol";
import {Session} from "../src/Types.sol";
import {Test} from "./base/Test.sol";

contract SetsTest is Test {
    Session private _s;

    function within(uint256 bits, uint256 count) external pure {
        Sets.requireWithin(bits, count);
    }

    function testFull() public pure {
        eq(Sets.full(0), 0, "empty");
        eq(Sets.full(1), 1, "one");
        eq(Sets.full(255), type(uint256).max >> 1, "255");
        eq(Sets.full(256), type(uint256).max, "all");
    }

    function testSizeOfEdges() public pure {
        eq(Sets.size(0), 0, "empty");
        eq(Sets.size(type(uint256).max), 256, "all");
        eq(Sets.size(1 << 255), 1, "top");
    }

    function testFuzzSize(uint256 bits) public pure {
        uint256 count;
        for (uint256 i = 0; i < 256; ++i) {
            if (Sets.has(bits, i)) ++count;
        }
        eq(Sets.size(bits), count, "popcount");
    }

    function testFuzzWithin(uint256 bits, uint8 count) public {
        if (count < 256 && bits >> count != 0) {
            vm.expectRevert(abi.encodeWithSelector(BitOutOfRange.selector, bits, uint16(count)));
        }
        this.within(bits, count);
    }

    /// @dev Against counting bit by bit, for every committee size, quorum and kind.
    function testFuzzAgreed(uint256 seed, uint8 n, uint16 posted, uint8 quorum, uint8 kind, bool receipts) public {
        n = uint8(bound(n, 1, 16));
        kind = kind % 3;
        quorum = uint8(bound(quorum, 1, n));
        posted &= uint16(Sets.full(n));
        _s.terms.committee = n;
        uint256[16] memory words;
        for (uint256 seat = 0; seat < n; ++seat) {
            words[seat] = uint256(keccak256(abi.encode(seed, seat))) | uint256(keccak256(abi.encode(seed, seat, 1)));
            _s.bitmaps[kind & 1][seat] = words[seat];
        }
        uint256 expected;
        for (uint256 bit = 0; bit < 256; ++bit) {
            uint256 votes;
            for (uint256 seat = 0; seat < n; ++seat) {
                if ((receipts || Sets.has(posted, seat)) && Sets.has(words[seat], bit)) ++votes;
            }
            if (votes >= quorum) expected |= uint256(1) << bit;
        }
        eq(Sets.agreed(_s, kind, posted, quorum, receipts), expected, "agreed");
    }
}
