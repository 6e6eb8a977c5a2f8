// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "./Errors.sol";
import {Gas} from "./Gas.sol";
import {IDataMarket} from "./IDataMarket.sol";

/// @title What a session may ask for, and what it costs its owner.
/// @dev Linked, because its code does not fit beside the market's.
library Terms {
    uint256 internal constant FIELD = 2 ** 64 - 2 ** 32 + 1; // Goldilocks
    uint256 internal constant MOST_OWNERS = 256; // a set is one word
    uint256 internal constant MOST_GROUPS = 16;
    uint256 internal constant MOST_PROVERS = 16;
    uint256 internal constant PRIVATE_DIMENSION = 4096; // below it wrap-around tests say too much about a sum

    /// @notice Reverts with the first rule that `p` breaks.
    function check(IDataMarket.Params calldata p) external pure {
        if (p.mode != 0) revert BadMode(p.mode);
        if (p.rule > 3) revert BadRule(p.rule);
        if (
            p.groups < 1 || p.groups > MOST_GROUPS || p.groupSize < 2 || p.groupSize > 32
                || uint256(p.groups) * p.groupSize > MOST_OWNERS
        ) revert BadSizes(p.groupSize, p.groups);
        uint256 n = p.committee;
        if (p.threshold < 1 || n < 4 * uint256(p.threshold) + 1 || n > MOST_PROVERS) {
            revert BadCommittee(p.committee, p.threshold);
        }
        _checkRule(p);
        if (p.minAccepted < 3 || p.minAccepted > uint256(p.groups) * p.groupSize) revert BadMinAccepted(p.minAccepted);
        if (p.reward < 1) revert BadReward(p.reward);
        if (p.registerBlocks < 3 || p.uploadBlocks < 10 || p.settleBlocks < 10) {
            revert WindowTooShort(p.registerBlocks, p.uploadBlocks, p.settleBlocks);
        }
        if (p.dimension < 1 || (p.dimension < PRIVATE_DIMENSION && !p.publicSums)) revert BadDimension(p.dimension);
        _checkField(p);
    }

    /// @notice Wei that createSession wants: reward, prover fees and the worst case of gas reimbursement.
    function escrow(IDataMarket.Params calldata p) external pure returns (uint256 total, uint256 gasBudget) {
        gasBudget = Gas.worstCase(p) * p.gasPriceCap;
        total = uint256(p.reward) + uint256(p.committee) * p.proverFee + gasBudget;
    }

    /// @dev Whether `groups` groups are enough for the rule to tolerate the fraction mu of corrupted ones.
    function enoughGroups(uint8 rule, uint256 muBps, uint256 groups) internal pure returns (bool) {
        return groups >= (rule == 0 ? 1 : (muBps * groups) / 10000 + 3);
    }

    function _checkRule(IDataMarket.Params calldata p) private pure {
        if (p.muBps > 9999) revert BadMu(p.muBps);
        if (p.rule == 0) return;
        uint256 faulty = (uint256(p.muBps) * p.groups) / 10000;
        if (p.groups < faulty + 3) revert TooFewGroups(p.groups, faulty + 3);
        uint256 most = p.groups - faulty - 2;
        if (p.rule == 3 && (p.mKrum < 1 || p.mKrum > most)) revert BadMKrum(p.mKrum, most);
    }

    /// @dev Wrap-around projections (8.7 times the norm of all updates together) and squared norms of a group's sum must
    /// stay below half the field.
    function _checkField(IDataMarket.Params calldata p) private pure {
        uint256 bound = p.bound;
        uint256 owners = uint256(p.groups) * p.groupSize;
        uint256 norm = (2 * uint256(p.groupSize) - 1) * bound;
        if (bound == 0 || 2 * 174 * owners * bound >= 10 * FIELD || 2 * norm * norm >= FIELD) revert BadBound(p.bound);
    }
}
