// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/Errors.sol";
import {Gas} from "../src/Gas.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {VerifiedBase} from "./base/VerifiedBase.sol";

/// @dev Mode verified: gas paid back, faults, time, and sessions of both modes side by side.
contract VerifiedMoneyTest is VerifiedBase {
    uint256 private constant PRICE = 1 gwei; // base fee, below the cap

    function testGasIsPaidBack() public {
        uint256 id = started(verified(TRUST, BY_SCORE), IDataMarket.Phase.Finished);
        uint256 wage = 0.05 ether + market.payoutOf(id, 0);
        eq(market.owed(id, dataOwner(0)) - wage, (Gas.REGISTER + Gas.COMMIT_UPLOAD) * PRICE, "two transactions");
        uint256 units = Gas.REGISTER + Gas.COMMIT_UPLOAD + 2 * Gas.CLOSE + Gas.OPEN_UPLOAD;
        wage = 0.05 ether + market.payoutOf(id, 11);
        eq(market.owed(id, dataOwner(11)) - wage, units * PRICE, "who opens and closes Upload");
        eq(market.owed(id, market.committeeOf(id)[0]), 0.01 ether + 2 * Gas.BITMAP * PRICE, "two bitmaps");
        units = 2 * (Gas.POKE + Gas.CLOSE + Gas.BEACON) + 5 * Gas.DRAW + Gas.batchVerified(4, 12);
        eq(market.owed(id, address(this)), units * PRICE, "pokes and batch");
        uint256 rest = market.owed(id, model);
        uint256 held = view_(id).escrow;
        eq(claimAll(id), held, "all");
        ok(rest > 0, "what is left of the budget");
    }

    /// @dev With the base fee above the cap all along, the busiest session stays within its budget.
    function testWorstCaseFitsTheBudget() public {
        IDataMarket.Params memory p = verified(M_KRUM, BY_SCORE);
        vm.fee(100 gwei);
        uint256 id = started(p, IDataMarket.Phase.Delivered);
        for (uint256 seat = 0; seat < 4; ++seat) {
            post(id, seat, 1, 0xfff | REF);
        }
        expire(id);
        market.poke(id);
        walk(id, IDataMarket.Phase.Batch);
        attest(id, 1, 0);
        walk(id, IDataMarket.Phase.Finished);
        address[] memory who = everybody(id);
        uint256 credits;
        for (uint256 i = 0; i < who.length; ++i) {
            if (who[i] != model) credits += market.owed(id, who[i]);
        }
        for (uint16 i = 0; i < 12; ++i) {
            credits -= market.payoutOf(id, i) + 0.05 ether;
        }
        credits -= 3 * 0.01 ether;
        ok(credits <= market.requiredEscrow(p) - 1.05 ether, "budget");
        uint256 units = 12 * (Gas.REGISTER + Gas.COMMIT_UPLOAD) + Gas.OPEN_UPLOAD + 5 * Gas.DRAW + 9 * Gas.BITMAP + 2
            * (Gas.BEACON + Gas.POKE + Gas.fix(5)) + 6 * Gas.CLOSE + 2 * Gas.SLASH
            + Gas.batchVerified(4, 12) + Gas.attest(4, 0, 0);
        eq(credits / 2 gwei, units, "every call once");
    }

    // ------------------------------------------------------------------------------------------- faults

    /// @dev An attestation takes stakes as ever, and never a deposit.
    function testAttest() public {
        uint256 id = started(verified(NONE, EQUAL), IDataMarket.Phase.Batch);
        (uint256 signers, bytes[] memory sigs) = attestation(id, 0, 0xfff);
        vm.expectRevert(NothingNew.selector);
        market.attest(id, 0, 0xfff, signers, sigs);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.Attested(id, 4, 0);
        attest(id, 4, 0xfff | REF);
        eq(BURN.balance, STAKE, "the stake alone");
        eq(view_(id).silentOwners, 0, "nobody");
        eq(view_(id).namedProvers, 4, "named");
        walk(id, IDataMarket.Phase.Finished);
        ok(market.owed(id, dataOwner(3)) >= 0.05 ether + uint256(1 ether) / 12, "deposit and payout");
        ok(market.owed(id, market.committeeOf(id)[2]) < 0.01 ether, "no fee");
        claimAll(id);
        eq(address(market).balance, 0, "nothing stays");
    }

    function testTwoBatches() public {
        uint256 id = started(verified(TRUST, BY_SCORE), IDataMarket.Phase.Output);
        address liar = market.committeeOf(id)[3];
        uint256[] memory values = scores(id, 0xfff);
        IDataMarket.BatchHeader memory a = header(id, 0xfff, values);
        values[5] += 1;
        IDataMarket.BatchHeader memory b = header(id, 0xfff, values);
        bytes memory sigA = signAs(liar, batchStruct(id, a));
        bytes memory sigB = signAs(liar, batchStruct(id, b));
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.ProverSlashed(id, liar, 1);
        market.slashDoubleSign(id, a, sigA, b, sigB);
        walk(id, IDataMarket.Phase.Finished);
        ok(market.owed(id, liar) < 0.01 ether, "no fee");
    }

    function testNoBatch() public {
        uint256 id = started(verified(TRUST, BY_SCORE), IDataMarket.Phase.Batch);
        expire(id);
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Aborted);
        eq(market.payoutOf(id, 0), 0, "no payout");
        ok(market.owed(id, market.committeeOf(id)[0]) < 0.01 ether, "no fee");
        ok(market.owed(id, model) >= 1.05 ether, "reward and fees");
        claimAll(id);
        eq(address(market).balance, 0, "all paid");
    }

    // ------------------------------------------------------------------------------------------- time

    /// @dev From every state of mode verified, by time alone.
    function testFuzzFromEveryState(uint8 target, uint8 more, uint8 rule, bool byScore) public {
        IDataMarket.Phase until = IDataMarket.Phase(bound(target, 1, 12));
        uint256 id = started(verified(rule % 5, byScore ? BY_SCORE : EQUAL), until);
        until = phase(id);
        if (until == IDataMarket.Phase.Register) joinMany(id, more % 12);
        if (until == IDataMarket.Phase.Register && more % 2 == 0 && usesReference(id)) commitReference(id);
        if (until == IDataMarket.Phase.Upload) commitUpload(id, more % 12);
        if (until == IDataMarket.Phase.Delivered) post(id, more % 5, 1, all(id) | refBit(id));
        if (until == IDataMarket.Phase.Valid) post(id, more % 5, 2, all(id) | refBit(id));
        for (uint256 pokes = 0; phase(id) < IDataMarket.Phase.Finished; ++pokes) {
            ok(pokes < 9, "a poke per phase at most");
            mine(200);
            market.poke(id);
        }
        isPhase(id, until == IDataMarket.Phase.Output ? IDataMarket.Phase.Finished : IDataMarket.Phase.Aborted);
        uint256 count = view_(id).registered;
        for (uint256 i = 0; i < count; ++i) {
            ok(claim(id, dataOwner(i)) >= 0.05 ether, "deposit");
        }
        uint256 paid = claim(id, model);
        if (until != IDataMarket.Phase.Output) ok(paid >= 1.05 ether, "reward and fees");
        claimAll(id);
        eq(address(market).balance, 0, "nothing stays");
        address[] memory committee = market.committeeOf(id);
        for (uint256 seat = 0; seat < committee.length; ++seat) {
            eq(registry.prover(committee[seat]).locks, 0, "unlocked");
        }
    }

    // ------------------------------------------------------------------------------------------- both modes

    /// @dev Two sessions of the same people, one of each mode, step by step in turn.
    function testSideBySide() public {
        uint256 grouped = create(terms());
        uint256 single = create(verified(MULTI_KRUM, BY_SCORE));
        while (phase(grouped) < IDataMarket.Phase.Finished || phase(single) < IDataMarket.Phase.Finished) {
            if (phase(grouped) < IDataMarket.Phase.Finished) step(grouped);
            if (phase(single) < IDataMarket.Phase.Finished) step(single);
        }
        isPhase(grouped, IDataMarket.Phase.Finished);
        isPhase(single, IDataMarket.Phase.Finished);
        eq(market.payoutOf(grouped, 3), uint256(1 ether) / 12, "equal");
        eq(market.payoutOf(single, 3), (103 * uint256(1 ether)) / 1266, "by score");
        eq(market.payoutOf(grouped, 12) + market.payoutOf(single, 65535), 0, "nobody");
        eq(view_(grouped).acceptedGroups, 15, "groups");
        eq(view_(grouped).escrow + view_(single).escrow, address(market).balance, "held");
        claimAll(single);
        eq(view_(grouped).escrow, address(market).balance, "the other is untouched");
        claimAll(grouped);
        eq(address(market).balance, 0, "nothing stays");
    }

    function testPayoutOfAGroupedSession() public {
        uint256 id = started(terms(), IDataMarket.Phase.Output);
        eq(market.payoutOf(id, 0), 0, "not finished");
        step(id);
        eq(market.payoutOf(id, 0), uint256(1 ether) / 12, "equal");
        vm.expectRevert(abi.encodeWithSelector(UnknownSession.selector, 7));
        market.poke(7);
        eq(market.payoutOf(7, 0), 0, "no session");
    }
}
