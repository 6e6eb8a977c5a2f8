// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/Errors.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {Sets} from "../src/Sets.sol";
import {VerifiedBase} from "./base/VerifiedBase.sol";

/// @dev Mode verified: the judgement of a batch, and what each data owner gets by it.
contract VerifiedBatchTest is VerifiedBase {
    function quiet(uint8 rule, uint8 payout) private pure returns (IDataMarket.Params memory p) {
        p = verified(rule, payout);
        p.gasPriceCap = 0; // no reimbursement: amounts are the bare wages
    }

    function submit(uint256 id, uint256 accepted, uint256[] memory values, bytes memory why) private {
        bytes[] memory sigs = signatures(id, batchStruct(id, header(id, accepted, values)), 0x0f);
        if (why.length != 0) vm.expectRevert(why);
        market.postBatch(id, accepted, values, keccak256("digest"), 0x0f, sigs);
    }

    function finish(uint256 id) private {
        isPhase(id, IDataMarket.Phase.Output);
        step(id);
        isPhase(id, IDataMarket.Phase.Finished);
    }

    function none() private pure returns (uint256[] memory values) {}

    /// @dev `count` words of the same score and copies.
    function same(uint256 count, uint256 score, uint256 copies) private pure returns (uint256[] memory values) {
        values = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            values[i] = word(score, copies);
        }
    }

    /// @dev Nobody but the accepted gets any of the reward, all of it is held, and everybody can take theirs.
    function settled(uint256 id) private {
        IDataMarket.SessionView memory v = view_(id);
        uint256 held = v.escrow;
        uint256 sum;
        for (uint16 i = 0; i < v.registered; ++i) {
            uint256 pay = market.payoutOf(id, i);
            sum += pay;
            eq(market.owed(id, dataOwner(i)), pay + market.params(id).deposit, "payout and deposit");
        }
        ok(sum <= market.params(id).reward, "at most the reward");
        eq(market.owed(id, model) + sum, market.params(id).reward, "what is left goes back");
        eq(claimAll(id), held, "all");
        eq(view_(id).escrow, 0, "nothing left");
        eq(market.owed(id, model), 0, "the owner has all");
    }

    function noReward(uint256 id) private {
        isPhase(id, IDataMarket.Phase.Aborted);
        eq(view_(id).acceptedOwners, 0, "none accepted");
        for (uint16 i = 0; i < 12; ++i) {
            eq(market.payoutOf(id, i), 0, "no payout");
        }
        eq(market.owed(id, dataOwner(0)), 0.05 ether, "deposit");
        eq(market.owed(id, market.committeeOf(id)[0]), 0.01 ether, "fee");
        eq(market.owed(id, model), 1 ether, "reward back");
        eq(claimAll(id), 12 * 0.05 ether + 1.05 ether, "all");
    }

    // ------------------------------------------------------------------------------------------- events

    function testEvents() public {
        uint256 id = started(verified(TRUST, BY_SCORE), IDataMarket.Phase.Batch);
        uint256[] memory values = scores(id, 0xff);
        bytes32 hash = batchStruct(id, header(id, 0xff, values));
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.Scored(id, values);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.BatchFinal(id, hash, 0xff, 0xff, 0xff);
        submit(id, 0xff, values, "");
        IDataMarket.SessionView memory v = view_(id);
        ok(v.batchHash == hash, "hash");
        eq(v.acceptedOwners, 0xff, "accepted");
        eq(market.payoutOf(id, 0), 0, "nothing before the end");
    }

    /// @dev Without scores there is no event Scored.
    function testEventsOfEqualPay() public {
        uint256 id = started(verified(TRUST, EQUAL), IDataMarket.Phase.Batch);
        vm.recordLogs();
        submit(id, 0xff, none(), "");
        eq(vm.getRecordedLogs().length, 2, "BatchFinal, PhaseChanged");
    }

    // ------------------------------------------------------------------------------------------- the accepted set

    function testAcceptedAreValid() public {
        for (uint8 rule = 0; rule <= TRUST; ++rule) {
            uint256 id = judged(quiet(rule, EQUAL), rule == TRUST ? 0x0ff | REF : 0x0ff);
            submit(id, 0x1ff, none(), abi.encodeWithSelector(NotValid.selector, 0x100));
            submit(id, 1 << 254 | 0xff, none(), abi.encodeWithSelector(NotValid.selector, 1 << 254));
            submit(id, 0xff | REF, none(), abi.encodeWithSelector(NotValid.selector, REF)); // never accepted
            submit(id, 0x0ff, none(), "");
            eq(view_(id).acceptedOwners, 0xff, "accepted");
        }
    }

    function testNoneRefusesNobody() public {
        uint256 id = judged(quiet(NONE, EQUAL), 0xfff);
        submit(id, 0xffe, none(), abi.encodeWithSelector(NotRefused.selector, 1));
        submit(id, 0, none(), abi.encodeWithSelector(NotRefused.selector, 0xfff));
        submit(id, 0xfff, none(), "");
        finish(id);
        settled(id);
    }

    function testDistanceRulesRefuse() public {
        for (uint8 rule = OUTLIER; rule <= M_KRUM; ++rule) {
            uint256 id = judged(quiet(rule, EQUAL), 0xfff);
            submit(id, 0x3f1, none(), "");
            finish(id);
            eq(view_(id).acceptedOwners, 0x3f1, "as attested");
            eq(market.payoutOf(id, 0), uint256(1 ether) / 12, "accepted");
            eq(market.payoutOf(id, 1), 0, "not accepted");
            settled(id);
        }
    }

    /// @dev A cosine is no reason to refuse pay: with equal pay every valid data owner gets its part.
    function testTrustPaysTheValid() public {
        uint256 id = judged(quiet(TRUST, EQUAL), 0xff | REF);
        submit(id, 0x0f, none(), "");
        finish(id);
        eq(view_(id).acceptedOwners, 0x0f, "accepted");
        for (uint16 i = 0; i < 12; ++i) {
            eq(market.payoutOf(id, i), i < 8 ? uint256(1 ether) / 12 : 0, "valid");
        }
        settled(id);
    }

    function testTrustByScorePaysTheAccepted() public {
        uint256 id = judged(quiet(TRUST, BY_SCORE), 0xff | REF);
        submit(id, 0x0f, same(4, 10, 1), "");
        finish(id);
        eq(market.payoutOf(id, 3), 0.25 ether, "accepted");
        eq(market.payoutOf(id, 4), 0, "valid only");
        settled(id);
    }

    // ------------------------------------------------------------------------------------------- no reference

    /// @dev Missing or found invalid: trust acts as none, contribution as equal pay.
    function testWithoutAReference() public {
        for (uint8 rule = 0; rule <= TRUST; ++rule) {
            for (uint8 payout = 0; payout <= BY_SCORE; ++payout) {
                this.unreferenced(quiet(rule, payout), true);
                this.unreferenced(quiet(rule, payout), false);
            }
        }
    }

    function unreferenced(IDataMarket.Params memory p, bool committed) external {
        uint256 id = started(p, IDataMarket.Phase.Register);
        if (committed && usesReference(id)) commitReference(id);
        joinMany(id, 12);
        if (phase(id) == IDataMarket.Phase.Register) expire(id);
        market.poke(id);
        walk(id, IDataMarket.Phase.Valid);
        postAll(id, 2, 0x3ff);
        bool refuses = p.rule != NONE && p.rule != TRUST;
        if (!refuses) submit(id, 0x1ff, none(), abi.encodeWithSelector(NotRefused.selector, 0x200));
        uint256 accepted = refuses ? 0x1ff : 0x3ff;
        submit(id, accepted, same(1, 5, 1), abi.encodeWithSelector(ValueCount.selector, 1, 0));
        submit(id, accepted, none(), "");
        finish(id);
        for (uint16 i = 0; i < 12; ++i) {
            eq(market.payoutOf(id, i), Sets.has(accepted, i) ? uint256(1 ether) / 12 : 0, "equal pay");
        }
        settled(id);
    }

    // ------------------------------------------------------------------------------------------- scores

    function testBadValues() public {
        uint256 id = judged(quiet(MULTI_KRUM, BY_SCORE), 0xfff | REF);
        submit(id, 0xff, none(), abi.encodeWithSelector(ValueCount.selector, 0, 8));
        submit(id, 0xff, same(9, 5, 1), abi.encodeWithSelector(ValueCount.selector, 9, 8));
        uint256[] memory values = same(8, 5, 1);
        values[3] = word(5, 0);
        submit(id, 0xff, values, abi.encodeWithSelector(BadCopies.selector, 3, 8));
        values[3] = word(5, 9);
        submit(id, 0xff, values, abi.encodeWithSelector(BadCopies.selector, 3, 8));
        values[3] = type(uint256).max;
        submit(id, 0xff, values, abi.encodeWithSelector(BadScore.selector, 3));
        values[3] = word(1 << 127, 1);
        submit(id, 0xff, values, abi.encodeWithSelector(BadScore.selector, 3));
        values[3] = word((1 << 127) - 1, 8);
        submit(id, 0xff, values, "");
        finish(id);
        settled(id);
    }

    /// @dev Where the rule opens no distances nobody can know of copies.
    function testNoCopiesWithoutDistances() public {
        for (uint8 rule = 0; rule <= TRUST; rule += TRUST) {
            uint256 id = judged(quiet(rule, BY_SCORE), 0xfff | REF);
            submit(id, 0xfff, same(12, 5, 2), abi.encodeWithSelector(BadCopies.selector, 0, 1));
            submit(id, 0xfff, same(12, 5, 1), "");
        }
    }

    function testEqualPayHasNoValues() public {
        uint256 id = judged(quiet(TRUST, EQUAL), 0xfff | REF);
        submit(id, 0xfff, same(12, 5, 1), abi.encodeWithSelector(ValueCount.selector, 12, 0));
        id = judged(quiet(OUTLIER, EQUAL), 0xfff);
        submit(id, 0xfff, zeros(0xfff), abi.encodeWithSelector(ValueCount.selector, 66, 0)); // distances stay off chain
    }

    /// @dev Signed values are these values.
    function testOtherValues() public {
        uint256 id = judged(quiet(TRUST, BY_SCORE), 0xfff | REF);
        bytes[] memory sigs = signatures(id, batchStruct(id, header(id, 0xfff, same(12, 5, 1))), 0x0f);
        vm.expectRevert(abi.encodeWithSelector(BadSignature.selector, 0));
        market.postBatch(id, 0xfff, same(12, 6, 1), keccak256("digest"), 0x0f, sigs);
    }

    function testCap() public {
        uint256 id = judged(quiet(TRUST, BY_SCORE), 0x0f | REF);
        uint256[] memory values = same(4, 500, 1);
        (values[0], values[1]) = (word(1e30, 1), word(1000, 1));
        submit(id, 0x0f, values, "");
        finish(id);
        eq(market.payoutOf(id, 0), uint256(1 ether) / 3, "capped at 1000 of 3000");
        eq(market.payoutOf(id, 1), uint256(1 ether) / 3, "the cap itself");
        eq(market.payoutOf(id, 2), uint256(1 ether) / 6, "below");
        settled(id);
    }

    /// @dev A family of copies shares what one of them would get; the cap comes first.
    function testCopies() public {
        uint256 id = judged(quiet(OUTLIER, BY_SCORE), 0x1f | REF);
        uint256[] memory values = same(5, 900, 3);
        (values[0], values[4]) = (word(900, 1), word(5000, 1));
        submit(id, 0x1f, values, "");
        finish(id);
        uint256 sum = 900 + 3 * 300 + 1000;
        eq(market.payoutOf(id, 0), (900 * uint256(1 ether)) / sum, "alone");
        eq(market.payoutOf(id, 1), (300 * uint256(1 ether)) / sum, "one of three");
        eq(market.payoutOf(id, 4), (1000 * uint256(1 ether)) / sum, "capped");
        settled(id);
        id = judged(quiet(OUTLIER, BY_SCORE), 0x0f | REF);
        values = same(4, 5000, 4);
        submit(id, 0x0f, values, "");
        finish(id);
        eq(market.payoutOf(id, 2), 0.25 ether, "all are copies: min(5000, 1000) / 4 each");
    }

    function testDust() public {
        IDataMarket.Params memory p = quiet(TRUST, BY_SCORE);
        p.reward = 10;
        uint256 id = judged(p, 0x07 | REF);
        submit(id, 0x07, same(3, 7, 1), "");
        finish(id);
        eq(market.payoutOf(id, 0) + market.payoutOf(id, 1) + market.payoutOf(id, 2), 9, "floors");
        eq(market.owed(id, model), 1, "dust");
        settled(id);
    }

    /// @dev One score alone takes the whole reward; a score of 0 is accepted and gets nothing.
    function testZeroAmongOthers() public {
        uint256 id = judged(quiet(MULTI_KRUM, BY_SCORE), 0xfff | REF);
        uint256[] memory values = same(12, 0, 1);
        values[7] = word(1, 1);
        submit(id, 0xfff, values, "");
        finish(id);
        eq(market.payoutOf(id, 7), 1 ether, "all");
        eq(market.payoutOf(id, 6), 0, "nothing");
        settled(id);
    }

    function testNoPositiveScore() public {
        uint256 id = judged(quiet(MULTI_KRUM, BY_SCORE), 0xfff | REF);
        uint256[] memory values = same(12, 0, 1);
        values[3] = word(2, 3); // floors to 0
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.SessionAborted(id, "no output");
        submit(id, 0xfff, values, "");
        noReward(id);
    }

    function testTooFewAccepted() public {
        uint256 id = judged(quiet(TRUST, BY_SCORE), 0xfff | REF);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.SessionAborted(id, "no output");
        submit(id, 0x03, same(2, 9, 1), "");
        noReward(id);
        id = judged(quiet(OUTLIER, EQUAL), 0xfff);
        submit(id, 0, none(), "");
        noReward(id);
        id = judged(quiet(TRUST, EQUAL), REF); // valid is the reference alone
        submit(id, 0, none(), "");
        noReward(id);
        id = judged(quiet(TRUST, EQUAL), 0xfff | REF);
        submit(id, 0x03, none(), ""); // the valid ones get nothing, either
        noReward(id);
        IDataMarket.Params memory p = quiet(NONE, EQUAL);
        p.minAccepted = 12;
        id = judged(p, 0x7ff);
        submit(id, 0x7ff, none(), "");
        noReward(id);
    }

    // ------------------------------------------------------------------------------------------- fuzz

    /// @dev Any scores, copies, cap and reward against payouts computed here by long division, bit by bit.
    function testFuzzPayouts(uint256 seed, uint128 reward, uint128 cap, uint16 accepted) public {
        IDataMarket.Params memory p = quiet(M_KRUM, BY_SCORE);
        p.reward = uint128(bound(reward, 1, type(uint128).max - 1 ether));
        p.scoreCap = uint128(bound(cap, 1, (1 << (seed % 127 + 1)) - 1));
        vm.deal(model, type(uint256).max / 2);
        uint256 id = judged(p, 0xfff | REF);
        accepted = (accepted & 0xfff) | 0x0e;
        uint256 count = Sets.size(accepted);
        uint256[] memory values = new uint256[](count);
        uint256[] memory weights = new uint256[](count);
        uint256 sum;
        for (uint256 i = 0; i < count; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            uint256 score = (random >> 129) >> (random % 128);
            uint256 copies = 1 + (random >> 8) % count;
            values[i] = word(score, copies);
            while (weights[i] * copies + copies <= (score > p.scoreCap ? p.scoreCap : score) && weights[i] < 64) {
                weights[i] += 1; // small ones by counting
            }
            if (weights[i] == 64) weights[i] = (score > p.scoreCap ? p.scoreCap : score) / copies;
            sum += weights[i];
        }
        submit(id, accepted, values, "");
        if (sum == 0) return isPhase(id, IDataMarket.Phase.Aborted);
        finish(id);
        uint256 next;
        uint256 total;
        for (uint16 i = 0; i < 12; ++i) {
            uint256 pay = market.payoutOf(id, i);
            eq(pay, Sets.has(accepted, i) ? divided(p.reward, weights[next++], sum) : 0, "payout");
            total += pay;
        }
        ok(total <= p.reward && p.reward - total < count, "dust is less than a wei each");
        settled(id);
    }

    /// @dev floor(a * b / sum), doubling and adding so that no product is formed.
    function divided(uint256 a, uint256 b, uint256 sum) private pure returns (uint256 quotient) {
        uint256 rest;
        for (uint256 bit = 128; bit > 0; --bit) {
            quotient *= 2;
            rest *= 2;
            if (Sets.has(a, bit - 1)) rest += b;
            quotient += rest / sum;
            rest %= sum;
        }
    }
}
