// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import "./Errors.sol";
import {Gas} from "./Gas.sol";
import {IDataMarket} from "./IDataMarket.sol";
import {Scores} from "./Scores.sol";
import {MODE_VERIFIED, PAYOUT_CONTRIBUTION, RULE_M_KRUM, RULE_NONE, RULE_TRUST, Session} from "./Types.sol";
import {IZkVerifier, IZkVerifiers} from "./zk/IZkVerifier.sol";

/// @title What a session may ask for, and what it costs its owner.
/// @dev Linked, because its code does not fit beside the market's.
library Terms {
    uint256 internal constant MOST_OWNERS = 256; // a set is one word
    uint256 internal constant MOST_GROUPS = 16;
    uint256 internal constant MOST_VERIFIED = 255; // the bit above them is the reference's
    uint256 internal constant MOST_COMPARED = 64; // verified, with distances of all pairs
    uint256 internal constant MOST_PROVED = 64; // certificate zk: what one transaction can prove
    uint256 internal constant MOST_PROVERS = 16;
    uint256 internal constant MOST_FAULTY_PROVED = 2; // certificate zk has one phase less, in which seeds are agreed on
    uint256 internal constant PRIVATE_DIMENSION = 4096; // below it wrap-around tests say too much about a sum
    uint256 internal constant MOST_DIMENSION = 2 ** 24 - 1;
    uint256 internal constant MOST_DIMENSION_PROVED = (2 ** 28 - 2 ** 16) / 32 - 6; // certificate zk: a share of an update is one request of 256 MiB
    uint256 internal constant MOST_FRAC_BITS = 40;
    uint256 internal constant WIDEST_WINDOW = 2 ** 28; // of a wrap-around test, for its soundness
    uint256 internal constant WIDEST_PROVED = 24; // certificate zk, bits of a coordinate: the table has a row for each value

    /// @notice Reverts with the first rule that `p` breaks. The rules are those of protocols/sessions/limits.py: what they
    /// let through every prover can play, and none loses its stake over a session that cannot be played.
    function check(IDataMarket.Params calldata p) public pure {
        if (p.mode > MODE_VERIFIED) revert BadMode(p.mode);
        bool verified = p.mode == MODE_VERIFIED;
        if (p.rule > (verified ? RULE_TRUST : RULE_M_KRUM)) revert BadRule(p.rule);
        if (p.proofKey != 0 && !verified) revert BadProofKey();
        if (!(verified ? _fitVerified(p) : _fitGroups(p))) revert BadSizes(p.groupSize, p.groups);
        if (!_fitCommittee(p)) revert BadCommittee(p.committee, p.threshold);
        _checkRule(p);
        if (p.minAccepted < 3 || p.minAccepted > uint256(p.groups) * p.groupSize) revert BadMinAccepted(p.minAccepted);
        _checkPayout(p, verified);
        if (p.registerBlocks < 3 || p.uploadBlocks < 10 || p.settleBlocks < 10) {
            revert WindowTooShort(p.registerBlocks, p.uploadBlocks, p.settleBlocks);
        }
        if (verified && p.publicSums) revert BadPublicSums();
        bool small = !verified && !p.publicSums && p.dimension < PRIVATE_DIMENSION;
        uint256 most = p.proofKey != 0 ? MOST_DIMENSION_PROVED : MOST_DIMENSION;
        if (p.dimension < 1 || p.dimension > most || small) revert BadDimension(p.dimension);
        if (p.fracBits > MOST_FRAC_BITS) revert BadFracBits(p.fracBits);
        if (p.bound == 0 || !(p.proofKey != 0 ? _ranged(p.bound) : verified ? _provable(p.bound) : _testable(p))) {
            revert BadBound(p.bound);
        }
    }

    /// @notice Checks `p`. Returns the wei that createSession wants: reward, prover fees and the worst case of gas
    /// reimbursement.
    function escrow(IDataMarket.Params calldata p, address verifiers)
        public
        view
        returns (uint256 total, uint256 gasBudget)
    {
        check(p);
        if (p.proofKey != 0) _checkKey(p, verifiers);
        gasBudget = Gas.worstCase(p) * p.gasPriceCap;
        total = uint256(p.reward) + uint256(p.committee) * p.proverFee + gasBudget;
    }

    /// @notice Checks `p`, keeps it as the terms of `s` and returns what it costs.
    function accept(Session storage s, IDataMarket.Params calldata p, address verifiers)
        external
        returns (uint256 total, uint256 gasBudget)
    {
        (total, gasBudget) = escrow(p, verifiers);
        s.terms = p;
    }

    /// @dev Whether `groups` groups (verified: data owners) are enough for the rule to tolerate the fraction mu of
    /// corrupted ones.
    function enoughGroups(uint8 rule, uint256 muBps, uint256 groups) internal pure returns (bool) {
        return groups >= (compares(rule) ? (muBps * groups) / 10000 + 3 : 1);
    }

    /// @dev Whether the rule is one on distances of all pairs.
    function compares(uint8 rule) internal pure returns (bool) {
        return rule != RULE_NONE && rule != RULE_TRUST;
    }

    function _fitGroups(IDataMarket.Params calldata p) private pure returns (bool) {
        return p.groups >= 1 && p.groups <= MOST_GROUPS && p.groupSize >= 2 && p.groupSize <= 32
            && uint256(p.groups) * p.groupSize <= MOST_OWNERS;
    }

    function _fitVerified(IDataMarket.Params calldata p) private pure returns (bool) {
        uint256 most = p.proofKey != 0 ? MOST_PROVED : compares(p.rule) ? MOST_COMPARED : MOST_VERIFIED;
        return p.groupSize == 1 && p.groups >= 3 && p.groups <= most;
    }

    function _fitCommittee(IDataMarket.Params calldata p) private pure returns (bool) {
        (uint256 n, uint256 t) = (p.committee, p.threshold);
        return t >= 1 && n >= 4 * t + 1 && n <= MOST_PROVERS && (p.proofKey == 0 || t <= MOST_FAULTY_PROVED);
    }

    function _checkPayout(IDataMarket.Params calldata p, bool verified) private pure {
        if (p.reward < 1) revert BadReward(p.reward);
        if (p.payout > (verified ? PAYOUT_CONTRIBUTION : 0)) revert BadPayout(p.payout);
        // a batch has one statement, and that of the distances says nothing of the reference
        if (p.proofKey != 0 && p.payout == PAYOUT_CONTRIBUTION && compares(p.rule)) revert BadPayout(p.payout);
        bool capped = p.scoreCap != 0;
        if (capped != (p.payout == PAYOUT_CONTRIBUTION) || p.scoreCap >= Scores.LIMIT) revert BadScoreCap(p.scoreCap);
    }

    function _checkRule(IDataMarket.Params calldata p) private pure {
        if (p.muBps > 9999) revert BadMu(p.muBps);
        if (!compares(p.rule)) return;
        uint256 faulty = (uint256(p.muBps) * p.groups) / 10000;
        if (p.groups < faulty + 3) revert TooFewGroups(p.groups, faulty + 3);
        uint256 most = p.groups - faulty - 2;
        if (p.rule == RULE_M_KRUM && (p.mKrum < 1 || p.mKrum > most)) revert BadMKrum(p.mKrum, most);
    }

    /// @dev The window of the wrap-around test, 8.7 times the norm of the largest group's sum, must not exceed the
    /// widest. With these sizes all else that must fit the field does: (2 * dimension + 1) windows, the squared norm of a
    /// sum, the projections of all updates together (Python has the full list; a differential test compares).
    function _testable(IDataMarket.Params calldata p) private pure returns (bool) {
        uint256 owners = uint256(p.groups) * p.groupSize;
        uint256 largest = 2 * uint256(p.groupSize) - 1;
        if (largest > owners) largest = owners;
        return 87 * largest * p.bound <= 10 * WIDEST_WINDOW;
    }

    /// @dev As protocols/pine: 8.7 times the bound must stay below the widest check of an update's proof. Squared norms,
    /// inner products and the sum of 256 updates then fit the field, and so do (2 * dimension + 1) checks.
    function _provable(uint256 bound) private pure returns (bool) {
        return 87 * bound <= 10 * (WIDEST_WINDOW - 1);
    }

    /// @dev As protocols/zk/params.py: no coordinate exceeds the norm, and with its sign it has at most 24 bits.
    function _ranged(uint256 bound) private pure returns (bool) {
        return bound < 1 << (WIDEST_PROVED - 1);
    }

    /// @dev The key must be the one that every node makes of these terms, but for the reference string. Records of the
    /// distance rules prove no norm: there the contract sees it.
    function _checkKey(IDataMarket.Params calldata p, address verifiers) private view {
        uint8 normBits = compares(p.rule) ? 0 : bitLength(uint256(p.bound) * p.bound);
        address made = IZkVerifiers(verifiers).verifierOf(p.proofKey, normBits);
        if (made == address(0)) revert UnknownProofKey(p.proofKey, normBits);
        IZkVerifier verifier = IZkVerifier(made);
        uint256 bits = uint256(bitLength(p.bound)) + 1;
        uint256 rows = bitLength(p.dimension - 1);
        if (rows < bits) rows = bits;
        bool fits = verifier.dimension() == p.dimension && verifier.bits() == bits && verifier.size() == 1 << rows;
        if (!fits) revert WrongProofKey(made);
    }

    /// @dev How many bits `value`, below 2^255, has.
    function bitLength(uint256 value) internal pure returns (uint8) {
        return value == 0 ? 0 : uint8(Math.log2(value) + 1);
    }
}
