// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BadCopies, BadScore} from "./Errors.sol";
import {Sets} from "./Sets.sol";
import {Session} from "./Types.sol";

/// @title Payouts by score: weight = floor(min(score, cap) / copies), payout = floor(reward * weight / sum of weights).
/// @dev Python twin: protocols/selection/scores.py. A posted word is score | copies << 128; a score is the inner product
/// of an update with the owner's reference, 0 where that is negative. Copies: how many near-equal updates share a payout.
library Scores {
    uint256 internal constant LIMIT = 1 << 127; // of scores and the cap: reward * weight fits a word

    /// @dev The weights of posted words, in their order, and their sum.
    function weigh(uint256[] memory values, uint256 cap, uint256 mostCopies)
        internal
        pure
        returns (uint256[] memory weights, uint256 sum)
    {
        weights = new uint256[](values.length);
        for (uint256 position = 0; position < values.length; ++position) {
            uint256 score = uint128(values[position]);
            uint256 copies = values[position] >> 128;
            if (score >= LIMIT) revert BadScore(position);
            if (copies == 0 || copies > mostCopies) revert BadCopies(position, mostCopies);
            uint256 weight = (score < cap ? score : cap) / copies;
            weights[position] = weight;
            sum += weight;
        }
    }

    function payout(uint256 reward, uint256 weight, uint256 sum) internal pure returns (uint256) {
        return (reward * weight) / sum;
    }

    /// @dev Keeps the weights of the data owners in `accepted`, ascending, two to a word, and what they come to.
    function store(Session storage s, uint256 accepted, uint256[] memory weights, uint256 sum) internal {
        uint256 reward = s.terms.reward;
        uint256 rewarded;
        uint256 position;
        for (uint256 word = 0; accepted >> (2 * word) != 0; ++word) {
            uint256 pair;
            if (Sets.has(accepted, 2 * word)) {
                pair = weights[position++];
                rewarded += payout(reward, pair, sum);
            }
            if (Sets.has(accepted, 2 * word + 1)) {
                rewarded += payout(reward, weights[position], sum);
                pair |= weights[position++] << 128;
            }
            if (pair != 0) s.weights[word] = pair;
        }
        s.rewarded = uint128(rewarded); // fits: at most the reward
        s.weightSum = sum;
    }

    /// @dev The weight of one data owner, 0 if it has none.
    function load(Session storage s, uint256 index) internal view returns (uint256) {
        return uint128(s.weights[index >> 1] >> (128 * (index & 1)));
    }
}
