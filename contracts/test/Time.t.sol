// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {WindowOver} from "../src/Errors.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {MarketBase} from "./base/MarketBase.sol";

/// @dev By time alone, from every state, everybody gets back what is theirs.
contract TimeTest is MarketBase {
    function testFuzzFromEveryState(uint8 target, uint8 more, bool poked) public {
        IDataMarket.Phase until = IDataMarket.Phase(bound(target, 1, 12));
        uint256 id = started(terms(), until);
        if (until == IDataMarket.Phase.Register) joinMany(id, more % 12);
        if (until == IDataMarket.Phase.Keys) commitShares(id, more % 12);
        if (until == IDataMarket.Phase.Upload) commitUpload(id, more % 12);
        if (until == IDataMarket.Phase.Bundles) post(id, more % 5, 0, all(id));
        if (until == IDataMarket.Phase.Delivered) post(id, more % 5, 1, all(id));
        if (until == IDataMarket.Phase.Valid) post(id, more % 5, 2, all(id));
        if (poked && phase(id) == IDataMarket.Phase.Output) mine(200);
        else runOut(id);
        uint256 count = view_(id).registered;
        for (uint256 i = 0; i < count; ++i) {
            ok(claim(id, dataOwner(i)) >= 0.05 ether, "deposit");
        }
        uint256 paid = claim(id, model);
        isPhase(id, until == IDataMarket.Phase.Output ? IDataMarket.Phase.Finished : IDataMarket.Phase.Aborted);
        if (until != IDataMarket.Phase.Output) ok(paid >= 1.05 ether, "reward and fees");
        claimAll(id);
        eq(address(market).balance, 0, "nothing stays");
        address[] memory committee = market.committeeOf(id);
        for (uint256 seat = 0; seat < committee.length; ++seat) {
            eq(registry.prover(committee[seat]).locks, 0, "unlocked");
        }
    }

    /// @dev Every deadline, as MARKET's three windows give them: 15 / 20 / 25 blocks.
    function testDeadlines() public {
        uint256 id = create(terms());
        deadline(id, height + 15);
        walk(id, IDataMarket.Phase.Register);
        deadline(id, height + 15);
        walk(id, IDataMarket.Phase.Draw);
        deadline(id, height + 25);
        walk(id, IDataMarket.Phase.Groups);
        uint256 start = height;
        mine(1);
        deadline(id, start + 4);
        walk(id, IDataMarket.Phase.Keys);
        deadline(id, start + 8);
        walk(id, IDataMarket.Phase.Bundles);
        deadline(id, start + 12);
        mine(1);
        walk(id, IDataMarket.Phase.Upload);
        deadline(id, start + 20);
        walk(id, IDataMarket.Phase.Delivered);
        start = height;
        mine(1);
        deadline(id, start + 5);
        walk(id, IDataMarket.Phase.Query);
        deadline(id, start + 7);
        walk(id, IDataMarket.Phase.Valid);
        deadline(id, start + 12);
        walk(id, IDataMarket.Phase.Batch);
        deadline(id, start + 25);
        mine(9);
        walk(id, IDataMarket.Phase.Output);
        deadline(id, height + 25);
        walk(id, IDataMarket.Phase.Finished);
        deadline(id, 0);
    }

    function deadline(uint256 id, uint256 expected) private view {
        eq(view_(id).deadline, expected, "deadline");
    }

    /// @dev Time runs out again and again, and somebody pokes.
    function runOut(uint256 id) private {
        for (uint256 pokes = 0; phase(id) < IDataMarket.Phase.Finished; ++pokes) {
            ok(pokes < 12, "a poke per phase at most");
            mine(200);
            market.poke(id);
        }
    }

    /// @dev The shortest windows that creation accepts can be walked, every phase to its last block.
    function testShortestWindows() public {
        IDataMarket.Params memory p = terms();
        (p.registerBlocks, p.uploadBlocks, p.settleBlocks) = (3, 10, 10);
        uint256 id = create(p);
        while (phase(id) < IDataMarket.Phase.Finished) {
            IDataMarket.Phase before = phase(id);
            uint256 last = view_(id).deadline;
            bool byPoke = before == IDataMarket.Phase.Committee || before == IDataMarket.Phase.Draw
                || before == IDataMarket.Phase.Query;
            if (byPoke) last -= 1; // the step mines one block
            if (height < last) mine(last - height);
            step(id);
            ok(phase(id) > before && phase(id) != IDataMarket.Phase.Aborted, "on time");
        }
    }

    /// @dev A poke, however late, ends one phase of others at most: in the next one they have their blocks.
    function testOnePhaseAtATime() public {
        uint256 id = started(terms(), IDataMarket.Phase.Keys);
        commitShares(id, 0);
        mine(100);
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Bundles);
        deadline(id, height + 4);
        eq(BURN.balance, 0, "nobody could post");
        mine(4);
        postAll(id, 0, 1);
        mine(100);
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Delivered);
        deadline(id, height + 5);
        mine(6);
        market.poke(id); // fixes the set and draws the beacon, as it would one block after a prompt close
        isPhase(id, IDataMarket.Phase.Valid);
        deadline(id, height + 8);
        eq(BURN.balance, 5 * STAKE, "all were silent in Delivered");
        mine(9);
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Batch);
        deadline(id, height + 10);
        mine(11);
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Aborted);
    }

    /// @dev The least that a phase has when the schedule has run away: 4 blocks, Valid 8, Batch 6.
    function testLeast() public {
        IDataMarket.Params memory p = terms();
        (p.uploadBlocks, p.settleBlocks) = (10, 10);
        uint256 id = create(p);
        while (phase(id) < IDataMarket.Phase.Batch) {
            IDataMarket.Phase now_ = phase(id);
            if (now_ < IDataMarket.Phase.Groups || now_ == IDataMarket.Phase.Query) {
                step(id);
            } else {
                if (now_ == IDataMarket.Phase.Valid) deadline(id, height + 8);
                else ok(view_(id).deadline >= height + 4, "least");
                mine(view_(id).deadline - height);
                step(id);
            }
        }
        deadline(id, height + 6);
    }

    /// @dev The exit delay need not cover a session's length: whoever leaves as soon as it is drawn stays locked while
    /// every phase runs to its end, and then until the last block in which evidence counts.
    function testLeaverWaitsForTheLongestSession() public {
        IDataMarket.Params memory p = terms();
        p.settleBlocks = uint16(EXIT_DELAY);
        uint256 id = started(p, IDataMarket.Phase.Register);
        address who = market.committeeOf(id)[0];
        vm.prank(who);
        registry.requestExit();
        uint256 exit = height + EXIT_DELAY;
        while (phase(id) < IDataMarket.Phase.Output) {
            uint256 last = view_(id).deadline;
            if (height + 1 < last) mine(last - 1 - height);
            step(id);
        }
        expire(id);
        uint256 end = height - 1;
        ok(end > exit + EXIT_DELAY, "longer than the delay, twice");
        held(who, exit, 1);
        market.poke(id); // writes down that it ended
        mine(end + EXIT_DELAY - height);
        held(who, end + 1 + EXIT_DELAY, 0);
        attest(id, 1, 0);
        eq(registry.prover(who).stake, 0, "evidence in the last block finds the stake");
        mine(1);
        held(who, end + 1 + EXIT_DELAY, 0);
        (uint256 signers, bytes[] memory sigs) = attestation(id, 2, 0);
        vm.expectRevert(abi.encodeWithSelector(WindowOver.selector, end + EXIT_DELAY));
        market.attest(id, 2, 0, signers, sigs);
        mine(1);
        vm.prank(who);
        registry.withdraw();
    }

    function held(address who, uint256 exit, uint32 locks) private {
        vm.expectRevert(abi.encodeWithSignature("CannotWithdraw(uint64,uint32)", exit, locks));
        vm.prank(who);
        registry.withdraw();
    }
}
