// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDataMarket} from "./IDataMarket.sol";
import {Terms} from "./Terms.sol";
import {MODE_VERIFIED, RULE_M_KRUM} from "./Types.sol";

/// @title Gas units that are paid back, fixed per function (measured: snapshots/gas.json), and their worst case.
library Gas {
    uint256 internal constant REGISTER = 86_000;
    uint256 internal constant GROUPS = 60_000;
    uint256 internal constant GROUPS_EACH = 3_900; // per data owner
    uint256 internal constant COMMIT_SHARES = 37_000;
    uint256 internal constant COMMIT_UPLOAD = 61_000;
    uint256 internal constant BITMAP = 60_000;
    uint256 internal constant OPENINGS = 43_000;
    uint256 internal constant OPENINGS_WORD = 975; // per 32 bytes; at 255 data owners the least price of calldata (EIP-7623) counts
    uint256 internal constant POKE = 25_000;
    uint256 internal constant BEACON = 28_000;
    uint256 internal constant DRAW = 55_000; // per prover drawn
    // A phase that ends, on top of the function that ends it; a set that is fixed; a session that ends.
    uint256 internal constant CLOSE = 10_000;
    uint256 internal constant FIX = 15_000;
    uint256 internal constant FIX_EACH = 4_500; // per committee member
    uint256 internal constant END_EACH = 8_000; // per committee member
    uint256 internal constant SLASH = 60_000;
    uint256 internal constant BATCH = 45_000;
    uint256 internal constant BATCH_DISTANCE = 2_800; // per distance
    uint256 internal constant BATCH_PICK = 1_300; // per group and pick of m-krum
    uint256 internal constant BATCH_OWNER = 300; // per data owner, also of an attestation that takes deposits
    uint256 internal constant ATTEST = 66_000;
    uint256 internal constant ATTEST_OWNER = 6_000; // per deposit forfeited
    uint256 internal constant SIGNATURE = 7_500;
    uint256 internal constant MOST_CLOSES = 13; // phases after creation
    // Mode verified.
    uint256 internal constant OPEN_UPLOAD = 25_000; // registration closed: its set fixed, on top of CLOSE
    uint256 internal constant BATCH_VERIFIED = 96_000;
    uint256 internal constant SCORES = 53_000; // a batch with scores
    uint256 internal constant SCORE = 12_700; // per score
    uint256 internal constant MOST_CLOSES_VERIFIED = 9;
    // Certificate zk.
    uint256 internal constant UNPROVED = 70_000; // too few are valid, nothing is proved: the end of the session on top
    uint256 internal constant GRAM = 400_000;
    uint256 internal constant GRAM_RECORD = 65_500;
    uint256 internal constant GRAM_PRODUCT = 2_600; // per inner product: its part of the proof and of the rule
    uint256 internal constant GRAM_PLACE = 240; // m-krum, per inner product
    uint256 internal constant GRAM_PICK = 580; // m-krum, per pick: half of it for each record there is, half for each that is left
    uint256 internal constant NORMS = 290_000; // statements score and none
    uint256 internal constant NORMS_RECORD = 97_000;
    uint256 internal constant VOTED = 2_400; // per committee member: whether it has voted for anybody

    function fix(uint256 n) internal pure returns (uint256) {
        return FIX + n * FIX_EACH;
    }

    function openings(uint256 length) internal pure returns (uint256) {
        return OPENINGS + ((length + 31) / 32) * OPENINGS_WORD;
    }

    function batch(uint256 signatures, uint256 distances, uint256 owners, uint256 picks)
        internal
        pure
        returns (uint256)
    {
        return BATCH + signatures * SIGNATURE + distances * BATCH_DISTANCE + owners * BATCH_OWNER + picks * BATCH_PICK;
    }

    function attest(uint256 signatures, uint256 forfeits, uint256 owners) internal pure returns (uint256) {
        return ATTEST + signatures * SIGNATURE + forfeits * ATTEST_OWNER + owners * BATCH_OWNER;
    }

    /// @dev A batch of a session on `terms` with `owners` data owners and `count` distances or scores.
    function batchOf(IDataMarket.Params storage terms, uint256 signatures, uint256 count, uint256 owners)
        internal
        view
        returns (uint256)
    {
        if (terms.mode == MODE_VERIFIED) return batchVerified(signatures, count);
        uint256 picks = terms.rule == RULE_M_KRUM ? uint256(terms.mKrum) * (owners / terms.groupSize) : 0;
        return batch(signatures, count, owners, picks);
    }

    function batchVerified(uint256 signatures, uint256 scores) internal pure returns (uint256) {
        return BATCH_VERIFIED + signatures * SIGNATURE + (scores == 0 ? 0 : SCORES + scores * SCORE);
    }

    /// @dev Too few are valid in a session of n provers.
    function unproved(uint256 n) internal pure returns (uint256) {
        return UNPROVED + n * (VOTED + END_EACH);
    }

    /// @dev A proved batch of so many records, of which `scores` are paid by score.  picks: m of m-krum, else 0.
    function proof(bool gram, uint256 records, uint256 picks, uint256 scores) internal pure returns (uint256) {
        if (!gram) return NORMS + records * NORMS_RECORD + (scores == 0 ? 0 : SCORES + scores * SCORE);
        uint256 products = (records * (records + 1)) / 2;
        uint256 units = GRAM + records * GRAM_RECORD + products * GRAM_PRODUCT;
        if (picks == 0) return units;
        if (picks > records) picks = records;
        return units + products * GRAM_PLACE + picks * (2 * records - picks) * GRAM_PICK;
    }

    /// @dev Picks of m-krum that are asked for.
    function picksOf(uint8 rule, uint256 mKrum) internal pure returns (uint256) {
        return rule == RULE_M_KRUM ? mKrum : 0;
    }

    /// @dev An upper bound of all units that one session can be asked to pay back: every call of every participant, a
    /// poke per phase, every prover slashed, every deposit forfeited, t + 1 attestations.
    function worstCase(IDataMarket.Params calldata p) internal pure returns (uint256) {
        return p.mode == MODE_VERIFIED ? _worstVerified(p) : _worstGroups(p);
    }

    /// @dev What the owner spends on its reference is not paid back: it would be its own money.
    function _worstVerified(IDataMarket.Params calldata p) private pure returns (uint256) {
        uint256 owners = p.groups;
        uint256 n = p.committee;
        uint256 scores = p.scoreCap == 0 ? 0 : owners;
        uint256 judged = p.proofKey == 0
            ? batchVerified(n, scores) + n * openings(8 * (owners + 1))
            : n * VOTED + proof(Terms.compares(p.rule), owners + 1, picksOf(p.rule, p.mKrum), scores);
        return owners * (REGISTER + COMMIT_UPLOAD) + OPEN_UPLOAD + n * (2 * BITMAP + DRAW + SLASH + END_EACH) + 2
            * (BEACON + fix(n)) + MOST_CLOSES_VERIFIED * (POKE + CLOSE) + judged
            + (uint256(p.threshold) + 1) * attest(n, 0, 0);
    }

    function _worstGroups(IDataMarket.Params calldata p) private pure returns (uint256) {
        uint256 owners = uint256(p.groups) * p.groupSize;
        uint256 n = p.committee;
        uint256 pairs = (uint256(p.groups) * (uint256(p.groups) + 1)) / 2 - p.groups;
        return owners * (REGISTER + COMMIT_SHARES + COMMIT_UPLOAD + GROUPS_EACH + ATTEST_OWNER) + GROUPS + n
            * (3 * BITMAP + openings(8 * owners) + DRAW + SLASH + END_EACH) + 3 * (BEACON + fix(n)) + MOST_CLOSES
            * (POKE + CLOSE) + batch(n, pairs, owners, p.rule == RULE_M_KRUM ? uint256(p.mKrum) * p.groups : 0)
            + (uint256(p.threshold) + 1) * attest(n, 0, owners);
    }
}
