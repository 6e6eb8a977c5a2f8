// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BitOutOfRange} from "./Errors.sol";
import {Session} from "./Types.sol";

/// @title Sets as bitmaps in one word.
library Sets {
    /// @dev The lowest `count` bits; count <= 256.
    function full(uint256 count) internal pure returns (uint256) {
        return count >= 256 ? type(uint256).max : (uint256(1) << count) - 1;
    }

    function has(uint256 bits, uint256 index) internal pure returns (bool) {
        return (bits >> index) & 1 == 1;
    }

    function size(uint256 bits) internal pure returns (uint256 count) {
        unchecked {
            bits -= (bits >> 1) & 0x5555555555555555555555555555555555555555555555555555555555555555;
            bits = (bits & 0x3333333333333333333333333333333333333333333333333333333333333333)
                + ((bits >> 2) & 0x3333333333333333333333333333333333333333333333333333333333333333);
            bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f;
            bits = (bits & 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff)
                + ((bits >> 8) & 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff);
            bits += bits >> 16; // lanes of 16 bits from here: 256 does not fit 8
            bits += bits >> 32;
            bits += bits >> 64;
            bits += bits >> 128;
            count = bits & 0xffff;
        }
    }

    function requireWithin(uint256 bits, uint256 count) internal pure {
        if (bits & ~full(count) != 0) revert BitOutOfRange(bits, uint16(count));
    }

    /// @dev Elements that at least `quorum` of the posted bitmaps hold. Counts all 256 elements at once: plane j holds
    /// bit j of every element's counter (at most 16 bitmaps, so five planes).
    /// @param receipts whether words of provers that posted nothing count too (bits that receipts proved).
    function agreed(Session storage s, uint256 kind, uint256 posted, uint256 quorum, bool receipts)
        internal
        view
        returns (uint256 result)
    {
        uint256[5] memory planes;
        uint256 n = s.terms.committee;
        for (uint256 seat = 0; seat < n; ++seat) {
            if (!receipts && !has(posted, seat)) continue;
            uint256 carry = s.bitmaps[kind & 1][seat];
            for (uint256 j = 0; carry != 0; ++j) {
                uint256 plane = planes[j];
                planes[j] = plane ^ carry;
                carry &= plane;
            }
        }
        uint256 equal = type(uint256).max;
        for (uint256 j = 5; j > 0; --j) {
            uint256 plane = planes[j - 1];
            if (has(quorum, j - 1)) {
                equal &= plane;
            } else {
                result |= equal & plane;
                equal &= ~plane;
            }
        }
        result |= equal;
    }
}
