// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BadCopies, BadScore} from "../src/Errors.sol";
import {Scores} from "../src/Scores.sol";
import {Sets} from "../src/Sets.sol";
import {Session} from "../src/Types.sol";
import {Test} from "./base/Test.sol";

/// @dev Weights and their storage, for sets of any size and shape.
contract ScoresTest is Test {
    Session private _s;

    function weigh(uint256[] calldata values, uint256 cap, uint256 mostCopies)
        external
        pure
        returns (uint256[] memory, uint256)
    {
        return Scores.weigh(values, cap, mostCopies);
    }

    function testWeights() public view {
        uint256[] memory values = new uint256[](5);
        (values[0], values[1], values[2]) = (7 | 1 << 128, 7 | 2 << 128, 100 | 3 << 128);
        (values[3], values[4]) = (1 << 128, ((1 << 127) - 1) | 5 << 128);
        (uint256[] memory w, uint256 sum) = this.weigh(values, 20, 5);
        eq(w[0], 7, "alone");
        eq(w[1], 3, "floor");
        eq(w[2], 6, "cap, then copies");
        eq(w[3], 0, "zero");
        eq(w[4], 4, "largest");
        eq(sum, 20, "sum");
        (w, sum) = this.weigh(values, Scores.LIMIT - 1, 5);
        eq(w[4], (uint256(1 << 127) - 1) / 5, "a cap that caps nothing");
    }

    function testBadWords() public {
        uint256[] memory values = new uint256[](2);
        values[0] = 1 << 128;
        vm.expectRevert(abi.encodeWithSelector(BadCopies.selector, 1, 2));
        this.weigh(values, 1, 2);
        values[1] = 3 << 128;
        vm.expectRevert(abi.encodeWithSelector(BadCopies.selector, 1, 2));
        this.weigh(values, 1, 2);
        values[1] = 1 << 127 | 1 << 128;
        vm.expectRevert(abi.encodeWithSelector(BadScore.selector, 1));
        this.weigh(values, 1, 2);
    }

    /// @dev What is stored is what is read, for members of any set of 255 and for nobody else; payouts stay in the reward.
    function testFuzzStored(uint256 accepted, uint256 seed, uint128 reward) public {
        accepted &= type(uint256).max >> 1;
        uint256 count = Sets.size(accepted);
        vm.assume(count > 0);
        uint256[] memory weights = new uint256[](count);
        uint256 sum;
        for (uint256 i = 0; i < count; ++i) {
            weights[i] = uint256(keccak256(abi.encode(seed, i))) >> (129 + (seed >> i) % 8);
            sum += weights[i];
        }
        vm.assume(sum > 0);
        _s.terms.reward = reward;
        Scores.store(_s, accepted, weights, sum);
        eq(_s.weightSum, sum, "sum");
        uint256 next;
        uint256 paid;
        for (uint256 i = 0; i < 256; ++i) {
            uint256 expected = Sets.has(accepted, i) ? weights[next++] : 0;
            eq(Scores.load(_s, i), expected, "weight");
            paid += Scores.payout(reward, expected, sum);
        }
        eq(_s.rewarded, paid, "paid out");
        ok(paid <= reward && reward - paid < count, "dust");
    }

    /// @dev Nothing overflows at the largest of everything.
    function testLargest() public {
        uint256[] memory values = new uint256[](255);
        for (uint256 i = 0; i < 255; ++i) {
            values[i] = (Scores.LIMIT - 1) | 1 << 128;
        }
        (uint256[] memory weights, uint256 sum) = this.weigh(values, Scores.LIMIT - 1, 255);
        _s.terms.reward = type(uint128).max;
        Scores.store(_s, type(uint256).max >> 1, weights, sum);
        eq(_s.rewarded, 255 * (uint256(type(uint128).max) / 255), "255 parts");
    }
}
