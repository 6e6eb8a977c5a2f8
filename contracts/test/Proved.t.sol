// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/Errors.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {Sets} from "../src/Sets.sol";
import {BadOrder, BadPairing, BadShape} from "../src/zk/ZkErrors.sol";
import {ProvedBase} from "./base/ProvedBase.sol";

/// @dev Certificate zk: what the market lets a proof decide, with a verifier that believes the word "proof".
contract ProvedTest is ProvedBase {
    function quiet(uint8 rule, uint8 payout) private pure returns (IDataMarket.Params memory p) {
        p = proved(rule, payout);
        p.gasPriceCap = 0; // no reimbursement: amounts are the bare wages
    }

    /// @dev By the committee's first member.
    function submit(uint256 id, bytes memory dos, bytes memory values, bytes memory proof, bytes memory why) private {
        address who = market.committeeOf(id)[0];
        if (why.length != 0) vm.expectRevert(why);
        vm.prank(who);
        market.postProof(id, dos, values, proof);
    }

    function settled(uint256 id) private {
        walk(id, IDataMarket.Phase.Finished);
        uint256 held = view_(id).escrow;
        uint256 sum;
        for (uint16 i = 0; i < view_(id).registered; ++i) {
            sum += market.payoutOf(id, i);
        }
        ok(sum <= market.params(id).reward, "at most the reward");
        eq(market.owed(id, model) + sum, market.params(id).reward, "what is left goes back");
        eq(claimAll(id), held, "all");
        eq(view_(id).escrow, 0, "nothing left");
    }

    function refunded(uint256 id) private {
        isPhase(id, IDataMarket.Phase.Aborted);
        eq(view_(id).acceptedOwners, 0, "none accepted");
        eq(market.owed(id, dataOwner(0)), 0.05 ether, "deposit");
        eq(market.owed(id, market.committeeOf(id)[0]), 0.01 ether, "fee");
        eq(market.owed(id, model), 1 ether, "reward back");
        eq(claimAll(id), 12 * 0.05 ether + 1.05 ether, "all");
    }

    // ------------------------------------------------------------------------------------------- the way there

    function testNoQuery() public {
        uint256 id = started(proved(OUTLIER, EQUAL), IDataMarket.Phase.Delivered);
        postAll(id, 1, all(id));
        isPhase(id, IDataMarket.Phase.Valid);
        eq(view_(id).deadline, height + 12, "half of the window");
        address who = market.committeeOf(id)[0];
        bytes memory values = openings(all(id), 1);
        uint256 members = all(id);
        vm.prank(who);
        vm.expectRevert(WrongCertificate.selector);
        market.postOpenings(id, members, values);
        pokeNext(id);
        eq(uint256(view_(id).beacons[2]), 0, "no beacon");
        isPhase(id, IDataMarket.Phase.Valid);
    }

    function testValidHasItsBlocks() public {
        IDataMarket.Params memory p = proved(NONE, EQUAL);
        p.settleBlocks = 10;
        uint256 id = started(p, IDataMarket.Phase.Delivered);
        postAll(id, 1, all(id));
        eq(view_(id).deadline, height + 8, "eight at least");
    }

    // ------------------------------------------------------------------------------------------- what is accepted

    function testDistances() public {
        uint256 id = started(quiet(OUTLIER, EQUAL), IDataMarket.Phase.Batch);
        int128[] memory xs = usual(12);
        (xs[3], xs[7]) = (9_000, -9_000);
        uint256[] memory order = byAddress(id, 0xfff);
        uint256 mask;
        for (uint256 k = 0; k < 12; ++k) {
            if (order[k] != 3 && order[k] != 7) mask |= 1 << k;
        }
        bytes32 hash = keccak256(products(order, xs));
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.Proved(id, mask, 12, hash);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.BatchFinal(
            id, keccak256(abi.encode(id, 0xfff, 0xf77, hash, keccak256("proof"))), 0xf77, 0xf77, 0xf77
        );
        postProof(id, xs);
        eq(view_(id).acceptedOwners, 0xf77, "accepted");
        walk(id, IDataMarket.Phase.Finished);
        eq(market.payoutOf(id, 0), uint256(1 ether) / 12, "accepted");
        eq(market.payoutOf(id, 3), 0, "refused");
        settled(id);
    }

    /// @dev The rule runs on those within the bound: the others are neither near nor far.
    function testNormsAboveTheBound() public {
        int128 most = 3 * 65536;
        for (uint8 rule = OUTLIER; rule <= M_KRUM; ++rule) {
            IDataMarket.Params memory p = quiet(rule, EQUAL);
            (p.muBps, p.mKrum) = (1000, 9);
            uint256 id = started(p, IDataMarket.Phase.Batch);
            int128[] memory xs = usual(12);
            (xs[0], xs[1], xs[2]) = (most + 1, most + 1, -most - 1);
            postProof(id, xs);
            eq(view_(id).acceptedOwners & 7, 0, "no norm above the bound");
            ok(Sets.size(view_(id).acceptedOwners) >= 7, "the others");
            settled(id);
        }
    }

    function testTooFewWithinTheBound() public {
        uint256 id = started(quiet(OUTLIER, EQUAL), IDataMarket.Phase.Batch);
        int128[] memory xs = usual(12);
        for (uint256 i = 2; i < 12; ++i) {
            xs[i] = 1 << 20;
        }
        postProof(id, xs);
        refunded(id);
    }

    function testTrust() public {
        uint256 id = started(quiet(TRUST, BY_SCORE), IDataMarket.Phase.Batch);
        int128[] memory xs = usual(12);
        (xs[0], xs[5], xs[11]) = (0, -1, 5000); // cap 1000
        uint256 accepted = 0xfff & ~uint256(0x21);
        uint256[] memory words = new uint256[](10);
        uint256 next;
        for (uint256 i = 0; i < 12; ++i) {
            if (Sets.has(accepted, i)) words[next++] = word(uint256(int256(xs[i])), 1);
        }
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.Scored(id, words);
        postProof(id, xs);
        eq(view_(id).acceptedOwners, accepted, "accepted");
        walk(id, IDataMarket.Phase.Finished);
        uint256 sum = 101 + 102 + 103 + 104 + 106 + 107 + 108 + 109 + 110 + 1000;
        eq(market.payoutOf(id, 1), uint256(1 ether) * 101 / sum, "by score");
        eq(market.payoutOf(id, 11), uint256(1 ether) * 1000 / sum, "capped");
        eq(market.payoutOf(id, 5), 0, "refused");
        settled(id);
    }

    /// @dev Equal pay goes to all that are valid; the scores still say who is in the sum.
    function testTrustWithEqualPay() public {
        uint256 id = started(quiet(TRUST, EQUAL), IDataMarket.Phase.Batch);
        int128[] memory xs = usual(12);
        xs[4] = -7;
        postProof(id, xs);
        eq(view_(id).acceptedOwners, 0xfef, "accepted");
        walk(id, IDataMarket.Phase.Finished);
        eq(market.payoutOf(id, 4), uint256(1 ether) / 12, "paid");
        settled(id);
    }

    function testNoneByContribution() public {
        uint256 id = started(quiet(NONE, BY_SCORE), IDataMarket.Phase.Batch);
        int128[] memory xs = usual(12);
        xs[2] = -9;
        postProof(id, xs);
        eq(view_(id).acceptedOwners, 0xfff, "nobody is refused");
        walk(id, IDataMarket.Phase.Finished);
        eq(market.payoutOf(id, 2), 0, "no pay below 0");
        settled(id);
    }

    function testNoneEqual() public {
        uint256 id = started(quiet(NONE, EQUAL), IDataMarket.Phase.Batch);
        postProof(id, usual(12));
        eq(view_(id).acceptedOwners, 0xfff, "all");
        settled(id);
    }

    /// @dev Without a valid reference there are no scores: trust acts as none, contribution as equal pay.
    function testWithoutTheReference() public {
        for (uint8 rule = NONE; rule <= TRUST; rule += TRUST) {
            uint256 id = judged(quiet(rule, BY_SCORE), 0xff1);
            bytes memory dos = records(id, byAddress(id, 0xff1));
            bytes memory with = bytes.concat(record(id, model), dos);
            submit(id, with, "", "", abi.encodeWithSelector(RecordsLength.selector, with.length, dos.length));
            submit(id, dos, "", "", "");
            eq(view_(id).acceptedOwners, 0xff1, "all");
            walk(id, IDataMarket.Phase.Finished);
            eq(market.payoutOf(id, 4), uint256(1 ether) / 12, "equal");
            settled(id);
        }
    }

    function testNoOutput() public {
        int128[] memory xs = new int128[](12);
        uint256 id = started(quiet(NONE, BY_SCORE), IDataMarket.Phase.Batch);
        postProof(id, xs); // no score is positive
        refunded(id);
        id = started(quiet(TRUST, EQUAL), IDataMarket.Phase.Batch);
        (xs[0], xs[1]) = (1, 2);
        postProof(id, xs); // fewer than minAccepted
        refunded(id);
        id = started(quiet(TRUST, BY_SCORE), IDataMarket.Phase.Batch);
        uint256[] memory order = byAddress(id, 0xfff);
        submit(
            id, records(id, order), inOrder(order, xs), "lie", abi.encodeWithSelector(BadPairing.selector)
        ); // that there is none must be proved too
    }

    /// @dev With fewer valid ones than minAccepted the outcome is known: nothing is looked at, and fees are due.
    function testTooFewValid() public {
        uint256 id = judged(quiet(OUTLIER, EQUAL), 3);
        vm.expectRevert(abi.encodeWithSelector(NotInCommittee.selector, address(this)));
        market.postProof(id, "", "", "");
        submit(id, "", "any", "thing", "");
        refunded(id);
    }

    /// @dev Seats that voted for nobody, twice, have done nothing for the session. One vote of the two is enough.
    function testAbstainersEarnNothing() public {
        uint256 id = started(quiet(OUTLIER, EQUAL), IDataMarket.Phase.Delivered);
        post(id, 0, 1, 0);
        post(id, 1, 1, 0);
        for (uint256 seat = 2; seat < 5; ++seat) {
            post(id, seat, 1, 0xfff);
        }
        expire(id); // three of five deliver nobody
        market.poke(id);
        post(id, 0, 2, 0);
        post(id, 1, 2, 1);
        for (uint256 seat = 2; seat < 5; ++seat) {
            post(id, seat, 2, 0);
        }
        submit(id, "", "", "", "");
        isPhase(id, IDataMarket.Phase.Aborted);
        address[] memory committee = market.committeeOf(id);
        eq(market.owed(id, committee[0]), 0, "abstained");
        for (uint256 seat = 1; seat < 5; ++seat) {
            eq(market.owed(id, committee[seat]), 0.01 ether, "has voted");
        }
        eq(market.owed(id, model), 1.01 ether, "the fee goes back");
        eq(claimAll(id), 12 * 0.05 ether + 1.05 ether, "all");
    }

    /// @dev A session goes on without t of them, and they are not paid for it.
    function testOneAbstains() public {
        uint256 id = started(quiet(OUTLIER, EQUAL), IDataMarket.Phase.Delivered);
        for (uint8 kind = 1; kind <= 2; ++kind) {
            for (uint256 seat = 0; seat < 5; ++seat) {
                post(id, seat, kind, seat == 4 ? 0 : 0xfff);
            }
        }
        postProof(id, usual(12));
        walk(id, IDataMarket.Phase.Finished);
        address[] memory committee = market.committeeOf(id);
        eq(market.owed(id, committee[4]), 0, "abstained");
        eq(market.owed(id, committee[3]), 0.01 ether, "has voted");
        uint256 held = view_(id).escrow;
        eq(claimAll(id), held, "all");
    }

    // ------------------------------------------------------------------------------------------- what is refused

    function testWhoAndWhen() public {
        uint256 id = started(quiet(OUTLIER, EQUAL), IDataMarket.Phase.Valid);
        uint256[] memory order = byAddress(id, 0xfff);
        (bytes memory dos, bytes memory values) = (records(id, order), products(order, usual(12)));
        bytes memory why =
            abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Batch, IDataMarket.Phase.Valid);
        submit(id, dos, values, "proof", why);
        walk(id, IDataMarket.Phase.Batch);
        vm.expectRevert(abi.encodeWithSelector(NotInCommittee.selector, address(this)));
        market.postProof(id, dos, values, "proof");
        vm.expectRevert(abi.encodeWithSelector(NotInCommittee.selector, model));
        vm.prank(model);
        market.postProof(id, dos, values, "proof");
        submit(id, dos, values, "lie", abi.encodeWithSelector(BadPairing.selector)); // undoes everything
        submit(id, dos, values, "proof", "");
        why = abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Batch, IDataMarket.Phase.Output);
        submit(id, dos, values, "proof", why);
        attest(id, 1 << 4, 0); // works as ever
        eq(view_(id).namedProvers, 1 << 4, "named");
    }

    function testCertificates() public {
        uint256 id = started(quiet(OUTLIER, EQUAL), IDataMarket.Phase.Batch);
        uint256[] memory none;
        bytes[] memory sigs = signatures(id, batchStruct(id, header(id, 0xfff, none)), 0x0f);
        vm.expectRevert(WrongCertificate.selector);
        market.postBatch(id, 0xfff, none, keccak256("digest"), 0x0f, sigs);
        uint256[2] memory signed =
            [started(verified(NONE, EQUAL), IDataMarket.Phase.Batch), started(terms(), IDataMarket.Phase.Batch)];
        for (uint256 i = 0; i < 2; ++i) {
            submit(signed[i], "", "", "", abi.encodeWithSelector(WrongCertificate.selector));
        }
    }

    function testNoBatchByTheDeadline() public {
        uint256 id = started(quiet(OUTLIER, EQUAL), IDataMarket.Phase.Batch);
        expire(id);
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Aborted);
        eq(market.owed(id, market.committeeOf(id)[0]), 0, "no fee without a batch");
        eq(market.owed(id, model), 1.05 ether, "the rest");
        eq(claimAll(id), 12 * 0.05 ether + 1.05 ether, "all");
    }

    /// @dev The records are exactly those of VALID, each as committed to, by address.
    function testRecords() public {
        uint256 id = judged(quiet(OUTLIER, EQUAL), 0x7ff);
        uint256[] memory order = byAddress(id, 0x7ff);
        bytes memory values = products(order, usual(12));
        bytes memory good = records(id, order);
        uint256[] memory fewer = byAddress(id, 0x3ff);
        wrongLength(id, records(id, fewer)); // one left out
        wrongLength(id, records(id, byAddress(id, 0xfff))); // one added
        wrongLength(id, bytes.concat(good, hex"00"));
        wrongLength(id, record(id, dataOwner(0))); // a batch of one decides nothing
        uint256 last = order[10];
        order[10] = 11; // registered, delivered, yet not valid
        submit(id, records(id, order), values, "proof", abi.encodeWithSelector(NotInSet.selector, 11));
        order[10] = order[9];
        submit(id, records(id, order), values, "proof", abi.encodeWithSelector(AlreadyDone.selector, order[9]));
        (order[9], order[10]) = (last, order[9]);
        submit(id, records(id, order), values, "proof", abi.encodeWithSelector(BadOrder.selector, 10));
        order = byAddress(id, 0x3ff);
        bytes memory foreign = bytes.concat(records(id, order), record(id, address(0xffff)));
        submit(id, foreign, values, "proof", abi.encodeWithSelector(NotDataOwner.selector, address(0xffff)));
        good[640 * 4 + 639] ^= 0x01;
        order = byAddress(id, 0x7ff);
        submit(id, good, values, "proof", abi.encodeWithSelector(WrongRecord.selector, order[4]));
        good[640 * 4 + 639] ^= 0x01;
        good[640 * 4 + 3] ^= 0x01; // the address's unused bits
        submit(id, good, values, "proof", abi.encodeWithSelector(WrongRecord.selector, order[4]));
        good[640 * 4 + 3] ^= 0x01;
        submit(id, good, values, "proof", "");
    }

    function wrongLength(uint256 id, bytes memory dos) private {
        bytes memory why = abi.encodeWithSelector(RecordsLength.selector, dos.length, 640 * 11);
        submit(id, dos, "", "proof", why);
    }

    function testTheReferencesRecord() public {
        uint256 id = started(quiet(TRUST, BY_SCORE), IDataMarket.Phase.Batch);
        uint256[] memory order = byAddress(id, 0xfff);
        bytes memory values = inOrder(order, usual(12));
        bytes memory good = records(id, order);
        bytes memory owners = new bytes(12 * 896);
        for (uint256 i = 0; i < owners.length; ++i) {
            owners[i] = good[896 + i];
        }
        submit(id, owners, values, "proof", abi.encodeWithSelector(RecordsLength.selector, 12 * 896, 13 * 896));
        bytes memory other = bytes.concat(record(id, dataOwner(0)), owners);
        submit(id, other, values, "proof", abi.encodeWithSelector(NotOwner.selector, dataOwner(0)));
        other = bytes.concat(owners, record(id, model)); // in the wrong place
        submit(id, other, values, "proof", abi.encodeWithSelector(NotOwner.selector, dataOwner(order[0])));
        good[895] ^= 0x01;
        submit(id, good, values, "proof", abi.encodeWithSelector(WrongRecord.selector, 255));
        good[895] ^= 0x01;
        submit(id, good, values, "proof", "");
    }

    /// @dev Values of another statement, or of another number of records, are the verifier's to refuse.
    function testValuesOfAnotherShape() public {
        uint256 id = started(quiet(OUTLIER, EQUAL), IDataMarket.Phase.Batch);
        uint256[] memory order = byAddress(id, 0xfff);
        bytes memory dos = records(id, order);
        bytes memory good = products(order, usual(12));
        bytes memory why = abi.encodeWithSelector(BadShape.selector);
        submit(id, dos, inOrder(order, usual(12)), "proof", why);
        submit(id, dos, "", "proof", why);
        submit(id, dos, bytes.concat(good, bytes16(0)), "proof", why);
        id = started(quiet(TRUST, EQUAL), IDataMarket.Phase.Batch);
        order = byAddress(id, 0xfff);
        submit(id, records(id, order), products(order, usual(12)), "proof", why);
        submit(id, records(id, order), "", "proof", why);
    }

    /// @dev Records of another session have other digests, and so does a record that was made for it.
    function testAnotherSession() public {
        uint256 a = started(quiet(OUTLIER, EQUAL), IDataMarket.Phase.Batch);
        uint256[] memory order = byAddress(a, 0xfff);
        (bytes memory dos, bytes memory values) = (records(a, order), products(order, usual(12)));
        submit(a, dos, values, "proof", "");
        walk(a, IDataMarket.Phase.Finished);
        uint256 b = started(quiet(OUTLIER, EQUAL), IDataMarket.Phase.Batch);
        submit(b, dos, values, "proof", abi.encodeWithSelector(WrongRecord.selector, order[0]));
    }

    function testSixtyFour() public {
        for (uint8 rule = NONE; rule <= TRUST; ++rule) {
            IDataMarket.Params memory p = quiet(rule, EQUAL);
            (p.groups, p.muBps) = (64, 1000);
            uint256 id = started(p, IDataMarket.Phase.Batch);
            int128[] memory xs = usual(64);
            xs[63] = -90_000;
            postProof(id, xs);
            uint256 accepted = view_(id).acceptedOwners;
            if (rule == M_KRUM) eq(Sets.size(accepted), 5, "m of them");
            else if (rule == MULTI_KRUM) eq(Sets.size(accepted), 58, "all but mu");
            else if (rule == OUTLIER) ok(Sets.size(accepted) >= 58 && !Sets.has(accepted, 63), "at most mu less");
            else eq(accepted, rule == NONE ? type(uint64).max : type(uint64).max >> 1, "all but one");
            settled(id);
        }
    }
}
