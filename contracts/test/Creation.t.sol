// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/Errors.sol";
import {Gas} from "../src/Gas.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {MarketBase} from "./base/MarketBase.sol";

contract CreationTest is MarketBase {
    /// @dev Asking for the price says it, too.
    function refuse(IDataMarket.Params memory p, bytes memory why) private {
        vm.expectRevert(why);
        market.requiredEscrow(p);
        vm.expectRevert(why);
        vm.prank(model);
        market.createSession(p);
    }

    /// @dev Refused for what the registry is, not for the terms.
    function refuseHere(IDataMarket.Params memory p, bytes memory why) private {
        uint256 value = market.requiredEscrow(p);
        vm.expectRevert(why);
        vm.prank(model);
        market.createSession{value: value}(p);
    }

    function accept(IDataMarket.Params memory p) private {
        isPhase(create(p), IDataMarket.Phase.Committee);
    }

    function testCreated() public {
        IDataMarket.Params memory p = terms();
        uint256 value = market.requiredEscrow(p);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.SessionCreated(1, model, p.docDigest);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.PhaseChanged(1, IDataMarket.Phase.Committee, uint64(height + 15));
        vm.prank(model);
        eq(market.createSession{value: value}(p), 1, "first id");
        IDataMarket.SessionView memory v = view_(1);
        eq(v.owner, model, "owner");
        eq(v.createdBlock, height, "created");
        eq(v.phaseStart, height, "phase start");
        eq(v.deadline, height + 15, "deadline");
        eq(v.escrow, value, "escrow");
        eq(address(market).balance, value, "balance");
        eq(market.sessionCount(), 1, "count");
        eq(market.committeeOf(1).length, 0, "no committee yet");
        eq(market.dataOwnersOf(1).length, 0, "no data owners yet");
        ok(keccak256(abi.encode(market.params(1))) == keccak256(abi.encode(p)), "params");
    }

    function testEscrow() public view {
        IDataMarket.Params memory p = terms();
        eq(market.requiredEscrow(p), 1 ether + 5 * 0.01 ether + this.worstCase(p) * 2 gwei, "escrow");
        p.gasPriceCap = 0;
        eq(market.requiredEscrow(p), 1.05 ether, "without gas");
    }

    function worstCase(IDataMarket.Params calldata p) external pure returns (uint256) {
        return Gas.worstCase(p);
    }

    function testWrongValue() public {
        IDataMarket.Params memory p = terms();
        uint256 value = market.requiredEscrow(p);
        vm.startPrank(model);
        vm.expectRevert(abi.encodeWithSelector(WrongValue.selector, value - 1, value));
        market.createSession{value: value - 1}(p);
        vm.expectRevert(abi.encodeWithSelector(WrongValue.selector, value + 1, value));
        market.createSession{value: value + 1}(p);
        vm.stopPrank();
    }

    function testModeAndRule() public {
        IDataMarket.Params memory p = terms();
        p.mode = 2;
        refuse(p, abi.encodeWithSelector(BadMode.selector, 2));
        p.mode = 0;
        p.rule = 4;
        refuse(p, abi.encodeWithSelector(BadRule.selector, 4));
        (p.rule, p.payout) = (0, 1);
        refuse(p, abi.encodeWithSelector(BadPayout.selector, 1));
        (p.payout, p.scoreCap) = (0, 1);
        refuse(p, abi.encodeWithSelector(BadScoreCap.selector, 1));
    }

    function testSizes() public {
        IDataMarket.Params memory p = terms();
        p.rule = 0;
        (p.groups, p.groupSize) = (0, 3);
        refuse(p, abi.encodeWithSelector(BadSizes.selector, 3, 0));
        (p.groups, p.groupSize) = (17, 3);
        refuse(p, abi.encodeWithSelector(BadSizes.selector, 3, 17));
        (p.groups, p.groupSize) = (4, 1);
        refuse(p, abi.encodeWithSelector(BadSizes.selector, 1, 4));
        (p.groups, p.groupSize) = (4, 33);
        refuse(p, abi.encodeWithSelector(BadSizes.selector, 33, 4));
        (p.groups, p.groupSize) = (16, 17);
        refuse(p, abi.encodeWithSelector(BadSizes.selector, 17, 16));
        p.bound = 65536;
        (p.groups, p.groupSize) = (16, 16);
        accept(p);
        (p.groups, p.groupSize) = (8, 32);
        accept(p);
        (p.groups, p.groupSize) = (1, 3);
        accept(p);
    }

    function testCommittee() public {
        for (uint256 i = 5; i < 16; ++i) {
            enlist(i);
        }
        IDataMarket.Params memory p = terms();
        (p.committee, p.threshold) = (4, 1);
        refuse(p, abi.encodeWithSelector(BadCommittee.selector, 4, 1));
        (p.committee, p.threshold) = (8, 2);
        refuse(p, abi.encodeWithSelector(BadCommittee.selector, 8, 2));
        (p.committee, p.threshold) = (5, 0);
        refuse(p, abi.encodeWithSelector(BadCommittee.selector, 5, 0));
        (p.committee, p.threshold) = (17, 4);
        refuse(p, abi.encodeWithSelector(BadCommittee.selector, 17, 4));
        (p.committee, p.threshold) = (255, 255);
        refuse(p, abi.encodeWithSelector(BadCommittee.selector, 255, 255));
        (p.committee, p.threshold) = (16, 3);
        accept(p);
    }

    function testRuleNeedsGroups() public {
        IDataMarket.Params memory p = terms();
        p.muBps = 10000;
        refuse(p, abi.encodeWithSelector(BadMu.selector, 10000));
        p.muBps = 5000;
        refuse(p, abi.encodeWithSelector(TooFewGroups.selector, 4, 5));
        p.rule = 0;
        accept(p);
        (p.rule, p.muBps) = (3, 2500);
        refuse(p, abi.encodeWithSelector(BadMKrum.selector, 0, 1));
        p.mKrum = 2;
        refuse(p, abi.encodeWithSelector(BadMKrum.selector, 2, 1));
        p.mKrum = 1;
        accept(p);
        (p.rule, p.mKrum) = (2, 0);
        accept(p);
    }

    function testMinAccepted() public {
        IDataMarket.Params memory p = terms();
        p.minAccepted = 2;
        refuse(p, abi.encodeWithSelector(BadMinAccepted.selector, 2));
        p.minAccepted = 13;
        refuse(p, abi.encodeWithSelector(BadMinAccepted.selector, 13));
        p.minAccepted = 12;
        accept(p);
    }

    function testWindows() public {
        IDataMarket.Params memory p = terms();
        (p.registerBlocks, p.uploadBlocks, p.settleBlocks) = (2, 10, 10);
        refuse(p, abi.encodeWithSelector(WindowTooShort.selector, 2, 10, 10));
        (p.registerBlocks, p.uploadBlocks, p.settleBlocks) = (3, 9, 10);
        refuse(p, abi.encodeWithSelector(WindowTooShort.selector, 3, 9, 10));
        (p.registerBlocks, p.uploadBlocks, p.settleBlocks) = (3, 10, 9);
        refuse(p, abi.encodeWithSelector(WindowTooShort.selector, 3, 10, 9));
        p.settleBlocks = 101;
        refuseHere(p, abi.encodeWithSelector(SettleTooLong.selector, 101, 100));
        p.settleBlocks = 10;
        accept(p);
    }

    function testDimensionAndReward() public {
        IDataMarket.Params memory p = terms();
        p.dimension = 4095;
        refuse(p, abi.encodeWithSelector(BadDimension.selector, 4095));
        p.publicSums = true;
        accept(p);
        p.dimension = 0;
        refuse(p, abi.encodeWithSelector(BadDimension.selector, 0));
        p = terms();
        p.dimension = 4096;
        accept(p);
        p.dimension = 2 ** 24 - 1;
        accept(p);
        p.dimension = 2 ** 24;
        refuse(p, abi.encodeWithSelector(BadDimension.selector, 2 ** 24));
        p.dimension = 4096;
        p.reward = 0;
        refuse(p, abi.encodeWithSelector(BadReward.selector, 0));
        p.reward = 1;
        accept(p);
    }

    function testFieldFit() public {
        IDataMarket.Params memory p = terms();
        p.bound = 0;
        refuse(p, abi.encodeWithSelector(BadBound.selector, 0));
        p.bound = type(uint64).max;
        refuse(p, abi.encodeWithSelector(BadBound.selector, type(uint64).max));
    }

    function testFracBits() public {
        IDataMarket.Params memory p = terms();
        p.fracBits = 40;
        accept(p);
        p.fracBits = 41;
        refuse(p, abi.encodeWithSelector(BadFracBits.selector, 41));
    }

    /// @dev Exactly the largest bound for which the wrap-around test of the largest group is sound.
    function testFuzzBound(uint64 value, uint16 size, uint8 groups) public {
        IDataMarket.Params memory p = terms();
        (p.rule, p.groups) = (0, uint16(bound(groups, 1, 8)));
        p.groupSize = uint16(bound(size, p.groups == 1 ? 3 : 2, 32));
        uint256 most = p.groups == 1 ? p.groupSize : 2 * uint256(p.groupSize) - 1;
        uint256 largest = (10 * 2 ** 28) / (87 * most);
        p.bound = uint64(value % 3 == 0 ? largest + value % 2 : value % 2 ** 26);
        if (p.bound != 0 && p.bound <= largest) accept(p);
        else refuse(p, abi.encodeWithSelector(BadBound.selector, p.bound));
    }

    function testNeedsProvers() public {
        vm.prank(vm.addr(PROVER_KEY));
        registry.requestExit();
        refuseHere(terms(), abi.encodeWithSelector(TooFewProvers.selector, 4, 5));
    }

    function testUnknownSession() public {
        vm.expectRevert(abi.encodeWithSelector(UnknownSession.selector, 1));
        market.poke(1);
        vm.expectRevert(abi.encodeWithSelector(UnknownSession.selector, 0));
        market.claim(0);
    }

    /// @dev No terms, however odd, make the arithmetic of creation panic or the escrow wrap.
    function testFuzzTermsNeverPanic(IDataMarket.Params memory p) public {
        p.mode %= 3;
        p.rule %= 6;
        (bool done, bytes memory answer) = address(market).call(abi.encodeCall(IDataMarket.requiredEscrow, (p)));
        if (done) ok(abi.decode(answer, (uint256)) >= p.reward, "escrow");
        else ok(bytes4(answer) != bytes4(keccak256("Panic(uint256)")), "panic");
    }
}
