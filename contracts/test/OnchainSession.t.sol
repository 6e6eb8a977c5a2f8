// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/onchain/ISecModelUpdate.sol";
import {OnchainBase} from "./base/OnchainBase.sol";

/// @dev Whole sessions of the on-chain baseline: what comes out, and who is paid.
contract OnchainSessionTest is OnchainBase {
    ISecModelUpdate.State internal constant PAYMENT = ISecModelUpdate.State.Payment;

    receive() external payable {} // it measures, and is paid for it

    /// @dev Two chunks, four rounds of three, one of them spoilt: the sum over P' is that of honest rounds' models. (With
    /// three, the rule of the paper would have to pick one of the last two: equally far from each other.)
    function testWholeSession() public {
        rounds = 4;
        ISecModelUpdate.Terms memory t = terms(260);
        t.mKrum = 2;
        shift[1] = 1e12;
        finished(t);
        ISecModelUpdate.SessionView memory v = head.stateView();
        eq(v.selected, 5, "the spoilt round is left out");
        isState(PAYMENT);
        for (uint16 c = 0; c < 2; ++c) {
            (uint256[] memory words, uint256 count) = head.result(c);
            eq(count, 6, "models in the sum");
            for (uint256 j = 0; j < parametersOf(c); ++j) {
                ok(laneOf(words, j) == plain(5, c * CHUNK + j), "masks cancel");
                ok(laneOf(head.model(c), j) == int64(int256(c * CHUNK + j)) - 7, "W^p");
            }
        }
        eq(head.owed(dataOwner(0)) - head.memberOf(dataOwner(0)).credit, t.reward / 6, "share");
        eq(head.owed(dataOwner(3)), head.memberOf(dataOwner(3)).credit, "gas alone");
        uint256 paid = claim(address(this)) + exit();
        for (uint256 p = 0; p < 12; ++p) {
            paid += claim(dataOwner(p));
        }
        eq(paid, v.held, "all of it");
        eq(address(head).balance, 0, "nothing stays");
    }

    /// @dev Distances are those of the unmasked sums, over all chunks.
    function testDistances() public {
        shift[2] = -3e9;
        filled(terms(260));
        uploadAll(7);
        measureAll();
        uint256[] memory d = head.distances();
        uint256 pair;
        for (uint256 r = 0; r < 3; ++r) {
            for (uint256 s = r + 1; s < 3; ++s) {
                uint256 expected;
                for (uint256 i = 0; i < 260; ++i) {
                    int256 x = plain(1 << r, i) - plain(1 << s, i);
                    expected += uint256(x * x);
                }
                eq(d[pair++], expected, "distance");
            }
        }
    }

    /// @dev One member of round 1 never uploads its second chunk: A_1 is empty, the others go on after the deadline.
    function testDropout() public {
        filled(terms(260));
        uploadAll(5);
        upload(3, 0);
        upload(3, 1);
        upload(4, 0);
        expire();
        vm.expectEmit(true, false, false, true, address(head));
        emit ISecModelUpdate.SuppressionOpened(1, 5, uint64(height + 15));
        head.poke();
        measureAll();
        head.select();
        eq(head.stateView().selected, 1, "ties by index");
        (, uint256 count) = head.result(0);
        eq(count, 3, "models");
        ok(head.owed(dataOwner(4)) > head.memberOf(dataOwner(4)).place, "its gas is paid back all the same");
    }

    /// @dev At most m rounds are complete: no distances are needed.
    function testNothingToChoose() public {
        filled(terms(10));
        uploadAll(2);
        expire();
        head.poke();
        isState(PAYMENT);
        eq(head.stateView().selected, 2, "the only one");
        (uint256[] memory words,) = head.result(0);
        ok(laneOf(words, 9) == plain(2, 9), "its sum");
    }

    /// @dev A round that did not fill up, or lacks a key, takes no part; its members could not unmask anything.
    function testRoundsThatDidNotFill() public {
        started(terms(10));
        for (uint256 p = 0; p < 8; ++p) {
            join(p);
            if (p != 1) key(p);
        }
        expire();
        vm.expectEmit(true, false, false, true, address(head));
        emit ISecModelUpdate.AggregationOpened(1, 2, uint64(height + 20));
        head.poke();
        uint256[] memory words = masked(0, 0);
        vm.expectRevert(abi.encodeWithSelector(NotAMember.selector, dataOwner(0)));
        vm.prank(dataOwner(0));
        head.upload(0, words);
        uploadAll(2);
        isState(PAYMENT);
        eq(head.stateView().selected, 2, "round 1");
    }

    /// @dev Whoever stops where, time brings everybody's money back.
    function testByTimeAlone() public {
        uint256[4] memory steps = [uint256(0), 1, 2, 3];
        for (uint256 i = 0; i < 4; ++i) {
            uint256 step = steps[i];
            if (step == 0) started(terms(10));
            else filled(terms(10));
            if (step == 2) upload(0, 0);
            if (step == 3) uploadAll(7);
            while (head.stateView().state < PAYMENT) {
                expire();
                head.poke();
            }
            eq(head.stateView().selected, step == 3 ? 7 : 0, "all, or no output");
            exit();
            uint256 due = head.stateView().due;
            eq(address(head).balance, due, "what is due stays");
            if (step > 0) ok(claim(dataOwner(0)) > 0, "gas");
            vm.expectRevert(abi.encodeWithSelector(NothingDue.selector, dataOwner(0)));
            claim(dataOwner(0));
        }
    }

    /// @dev R and N where the paper's condition on m cannot hold.
    function testTwoRoundsOfTwo() public {
        (rounds, groupSize) = (2, 2);
        finished(terms(5));
        eq(head.stateView().selected, 1, "equally far from each other");
    }

    function testSingleRound() public {
        rounds = 1;
        filled(terms(250));
        uploadAll(1);
        eq(head.stateView().selected, 1, "at once");
    }

    function testIdsAndHeads() public {
        create(terms(10));
        ISecModelUpdate first = head;
        vm.expectEmit(true, true, false, false, address(factory));
        emit ISecModelUpdates.Created(2, owner, address(0), bytes32(uint256(1)));
        create(terms(260));
        eq(factory.count(), 2, "count");
        eq(factory.headOf(1), address(first), "first");
        eq(head.stateView().id, 2, "id");
        eq(head.stateView().chunksAdded, 2, "chunks");
        ok(head.chunkAt(0) != head.chunkAt(1), "contracts of their own");
        eq(head.stateView().owner, owner, "owner");
    }
}
