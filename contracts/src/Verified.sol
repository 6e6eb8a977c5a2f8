// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AlreadyDone, EmptyRoot, NotOwner, NotRefused, NotValid, ReferenceUnused, ValueCount, WrongCertificate} from "./Errors.sol";
import {IDataMarket} from "./IDataMarket.sol";
import {Scores} from "./Scores.sol";
import {Sets} from "./Sets.sol";
import {Terms} from "./Terms.sol";
import {PAYOUT_CONTRIBUTION, REFERENCE, REFERENCE_BIT, RULE_NONE, RULE_TRUST, Session} from "./Types.sol";

/// @title Mode verified: the owner's reference update and the judgement of a batch.
/// @dev Linked, because its code does not fit beside the market's; works on the market's storage.
library Verified {
    /// @dev Whether rule or payout refer to the owner's reference update. Never in mode grouped.
    function usesReference(Session storage s) internal view returns (bool) {
        return s.terms.rule == RULE_TRUST || s.terms.payout == PAYOUT_CONTRIBUTION;
    }

    /// @notice Keeps the root of the owner's reference; from here on it is one more upload, with index REFERENCE.
    function commitReference(uint256 id, Session storage s, bytes32 root) external {
        if (msg.sender != s.owner) revert NotOwner(msg.sender);
        if (!usesReference(s)) revert ReferenceUnused();
        if (root == 0) revert EmptyRoot();
        if (Sets.has(s.uploads, REFERENCE)) revert AlreadyDone(REFERENCE);
        s.uploads |= REFERENCE_BIT;
        s.uploadRoots[REFERENCE] = root;
        s.dataOwners[REFERENCE] = msg.sender;
        emit IDataMarket.ReferenceCommitted(id, root);
    }

    /// @notice Checks the accepted data owners and keeps their weights where the reward goes by score. Without a valid
    /// reference `trust` acts as `none`, and contribution as equal pay. Reverts on a batch that no honest prover signs.
    /// @return output false: too few are accepted, or no score is positive; refunds
    function judge(uint256 id, Session storage s, uint256 accepted, uint256[] calldata values)
        external
        returns (bool output)
    {
        uint256 valid = s.sets[2] & ~REFERENCE_BIT;
        bool referenced = Sets.has(s.sets[2], REFERENCE);
        if (s.terms.proofKey != 0) revert WrongCertificate();
        if (accepted & ~valid != 0) revert NotValid(accepted & ~valid);
        uint8 rule = s.terms.rule;
        bool refuses = rule == RULE_TRUST ? referenced : rule != RULE_NONE;
        if (!refuses && accepted != valid) revert NotRefused(valid & ~accepted);
        uint256 count = Sets.size(accepted);
        bool scored = referenced && s.terms.payout == PAYOUT_CONTRIBUTION;
        if (values.length != (scored ? count : 0)) revert ValueCount(values.length, scored ? count : 0);
        output = count >= s.terms.minAccepted;
        // where no distances are opened, nobody knows of copies
        if (scored) output = _score(id, s, accepted, values, Terms.compares(rule) ? count : 1, output);
    }

    /// @dev Refuses bad values, also where there is no output; keeps and shows good ones where there is.
    function _score(
        uint256 id,
        Session storage s,
        uint256 accepted,
        uint256[] calldata values,
        uint256 mostCopies,
        bool enough
    ) private returns (bool) {
        (uint256[] memory weights, uint256 sum) = Scores.weigh(values, s.terms.scoreCap, mostCopies);
        if (!enough || sum == 0) return false;
        Scores.store(s, accepted, weights, sum);
        emit IDataMarket.Scored(id, values);
        return true;
    }
}
