// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/Errors.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {VerifiedBase} from "./base/VerifiedBase.sol";

/// @dev Mode verified: its phases, and the owner's reference as one more upload.
contract VerifiedTest is VerifiedBase {
    function wrong(IDataMarket.Phase expected, IDataMarket.Phase actual) private {
        vm.expectRevert(abi.encodeWithSelector(WrongPhase.selector, expected, actual));
    }

    // ------------------------------------------------------------------------------------------- the whole way

    function testEveryRuleAndPayout() public {
        for (uint8 rule = 0; rule <= TRUST; ++rule) {
            for (uint8 payout = 0; payout <= BY_SCORE; ++payout) {
                this.wholeSession(verified(rule, payout)); // a call each: its memory is freed
            }
        }
        eq(address(market).balance, 0, "nothing stays");
    }

    function wholeSession(IDataMarket.Params memory p) external {
        uint256 id = started(p, IDataMarket.Phase.Finished);
        IDataMarket.SessionView memory v = view_(id);
        eq(v.sets[0], 0xfff, "all registered");
        uint256 expected = usesReference(id) ? 0xfff | REF : 0xfff;
        eq(v.sets[1], expected, "delivered");
        eq(v.sets[2], expected, "valid");
        eq(v.acceptedOwners, 0xfff, "accepted");
        eq(v.acceptedGroups, 0xfff, "data owners are groups of one");
        eq(v.groupCount, 12, "groups of one");
        ok(v.beacons[0] != 0 && v.beacons[1] == 0 && v.beacons[2] != 0, "no beacon for groups");
        uint256 sum = 12 * 100 + 66;
        for (uint16 i = 0; i < 12; ++i) {
            uint256 pay = p.payout == EQUAL ? uint256(1 ether) / 12 : (1 ether * (100 + uint256(i))) / sum;
            eq(market.payoutOf(id, i), pay, "payout");
            ok(market.owed(id, dataOwner(i)) >= pay + 0.05 ether, "owed");
        }
        for (uint256 seat = 0; seat < 5; ++seat) {
            ok(market.owed(id, market.committeeOf(id)[seat]) > 0.01 ether, "a fee for two bitmaps");
        }
        eq(claimAll(id), v.escrow, "all");
        eq(view_(id).escrow, 0, "nothing left");
    }

    /// @dev Register goes straight to Upload; nothing between can be called.
    function testPhases() public {
        uint256 id = started(verified(NONE, EQUAL), IDataMarket.Phase.Register);
        for (uint256 i = 0; i < 11; ++i) {
            join(id, i);
        }
        isPhase(id, IDataMarket.Phase.Register);
        address last = dataOwner(11);
        bytes32[] memory none;
        mine(2);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.Registered(id, 11, last, "peer", "keys");
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.SetFixed(id, 0, 0xfff);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.PhaseChanged(id, IDataMarket.Phase.Upload, uint64(height + 20));
        vm.prank(last);
        market.register{value: 0.05 ether}(id, "peer", "keys", none);
        wrong(IDataMarket.Phase.Groups, IDataMarket.Phase.Upload);
        market.postGroups(id, new uint16[](12));
        wrong(IDataMarket.Phase.Keys, IDataMarket.Phase.Upload);
        vm.prank(last);
        market.commitShares(id, "root");
        address prover = market.committeeOf(id)[0];
        wrong(IDataMarket.Phase.Bundles, IDataMarket.Phase.Upload);
        vm.prank(prover);
        market.postBitmap(id, 0, 0xfff);
        mine(1);
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Upload); // no beacon is due
    }

    function testDeadlines() public {
        uint256 id = create(verified(TRUST, BY_SCORE));
        walk(id, IDataMarket.Phase.Register);
        eq(view_(id).deadline, height + 15, "Register");
        mine(7);
        walk(id, IDataMarket.Phase.Upload);
        eq(view_(id).deadline, height + 20, "the whole upload window");
        mine(3);
        walk(id, IDataMarket.Phase.Delivered);
        uint256 start = height;
        eq(view_(id).deadline, start + 5, "a fifth of settle");
        walk(id, IDataMarket.Phase.Query);
        eq(view_(id).deadline, start + 7, "three tenths");
        walk(id, IDataMarket.Phase.Valid);
        eq(view_(id).deadline, start + 12, "half");
        walk(id, IDataMarket.Phase.Batch);
        eq(view_(id).deadline, start + 25, "settle");
        walk(id, IDataMarket.Phase.Output);
        eq(view_(id).deadline, height + 25, "output");
    }

    /// @dev Windows as short as creation accepts, every phase to its last block.
    function testShortestWindows() public {
        IDataMarket.Params memory p = verified(TRUST, EQUAL);
        (p.registerBlocks, p.uploadBlocks, p.settleBlocks) = (3, 10, 10);
        uint256 id = create(p);
        while (phase(id) < IDataMarket.Phase.Finished) {
            uint256 last = view_(id).deadline;
            if (phase(id) == IDataMarket.Phase.Committee || phase(id) == IDataMarket.Phase.Query) last -= 1;
            if (height < last) mine(last - height);
            step(id);
        }
        isPhase(id, IDataMarket.Phase.Finished);
        eq(BURN.balance, 0, "nobody is slashed");
    }

    // ------------------------------------------------------------------------------------------- registration

    function testRegisterByTime() public {
        uint256 id = started(verified(NONE, EQUAL), IDataMarket.Phase.Register);
        joinMany(id, 4);
        expire(id);
        mine(5);
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Upload);
        eq(view_(id).sets[0], 0xf, "those that came");
        eq(view_(id).groupCount, 4, "groups");
        eq(view_(id).deadline, height + 20, "from the poke on");
        walk(id, IDataMarket.Phase.Finished);
        eq(market.payoutOf(id, 0), 0.25 ether, "reward over registered");
    }

    function testTooFew() public {
        uint256 id = started(verified(NONE, EQUAL), IDataMarket.Phase.Register);
        joinMany(id, 2);
        expire(id);
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Aborted);
        eq(claim(id, dataOwner(1)) / 0.05 ether, 1, "deposit");
        for (uint8 rule = 1; rule <= TRUST; ++rule) {
            IDataMarket.Params memory p = verified(rule, EQUAL);
            (p.muBps, p.mKrum) = (5000, 1);
            id = started(p, IDataMarket.Phase.Register);
            joinMany(id, 4); // f = 2: a distance rule wants 5
            expire(id);
            market.poke(id);
            isPhase(id, rule == TRUST ? IDataMarket.Phase.Upload : IDataMarket.Phase.Aborted);
        }
    }

    /// @dev Nobody gets the place of the reference, and nobody comes in while the session waits for it.
    function testFullWaitsForTheReference() public {
        IDataMarket.Params memory p = verified(TRUST, EQUAL);
        (p.groups, p.deposit) = (255, 0);
        uint256 id = started(p, IDataMarket.Phase.Register);
        joinMany(id, 255);
        isPhase(id, IDataMarket.Phase.Register);
        address late = dataOwner(255);
        bytes32[] memory none;
        vm.expectRevert(abi.encodeWithSelector(SessionFull.selector, 255));
        vm.prank(late);
        market.register(id, "peer", "keys", none);
        commitReference(id);
        isPhase(id, IDataMarket.Phase.Upload);
        eq(view_(id).sets[0], REF - 1, "255 data owners");
        eq(market.dataOwnersOf(id).length, 255, "the owner is none of them");
        walk(id, IDataMarket.Phase.Finished);
        eq(view_(id).acceptedOwners, REF - 1, "all");
        eq(market.payoutOf(id, 254), uint256(1 ether) / 255, "the last one");
        eq(market.payoutOf(id, 255), 0, "the reference earns nothing");
    }

    function testReferenceBeforeTheLastDataOwner() public {
        uint256 id = started(verified(NONE, BY_SCORE), IDataMarket.Phase.Register);
        joinMany(id, 11);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.ReferenceCommitted(id, referenceRoot());
        commitReference(id);
        isPhase(id, IDataMarket.Phase.Register);
        join(id, 11);
        isPhase(id, IDataMarket.Phase.Upload);
    }

    function testNobodyWaitsForAReferenceThatNobodyNeeds() public {
        uint256 id = started(verified(OUTLIER, EQUAL), IDataMarket.Phase.Register);
        vm.expectRevert(ReferenceUnused.selector);
        vm.prank(model);
        market.commitReference(id, "root");
        joinMany(id, 12);
        isPhase(id, IDataMarket.Phase.Upload);
    }

    function testCommitReferenceRefused() public {
        uint256 id = create(verified(TRUST, EQUAL));
        wrong(IDataMarket.Phase.Register, IDataMarket.Phase.Committee);
        vm.prank(model);
        market.commitReference(id, "root");
        walk(id, IDataMarket.Phase.Register);
        vm.expectRevert(abi.encodeWithSelector(NotOwner.selector, address(this)));
        market.commitReference(id, "root");
        vm.startPrank(model);
        vm.expectRevert(EmptyRoot.selector);
        market.commitReference(id, 0);
        market.commitReference(id, "root");
        vm.expectRevert(abi.encodeWithSelector(AlreadyDone.selector, 255));
        market.commitReference(id, "other");
        vm.stopPrank();
        joinMany(id, 3);
        expire(id);
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Upload);
        wrong(IDataMarket.Phase.Register, IDataMarket.Phase.Upload);
        vm.prank(model);
        market.commitReference(id, "root");
        uint256 grouped = started(terms(), IDataMarket.Phase.Register);
        vm.expectRevert(ReferenceUnused.selector);
        vm.prank(model);
        market.commitReference(grouped, "root");
        vm.expectRevert(abi.encodeWithSelector(UnknownSession.selector, 99));
        market.commitReference(99, "root");
    }

    function testReferenceTooLate() public {
        uint256 id = started(verified(TRUST, EQUAL), IDataMarket.Phase.Register);
        joinMany(id, 12);
        expire(id);
        wrong(IDataMarket.Phase.Register, IDataMarket.Phase.Upload);
        vm.prank(model);
        market.commitReference(id, "root");
        market.poke(id);
        walk(id, IDataMarket.Phase.Finished);
        eq(view_(id).acceptedOwners, 0xfff, "trust without a reference refuses nobody");
    }

    // ------------------------------------------------------------------------------------------- uploads and sets

    function testUpload() public {
        uint256 id = started(verified(TRUST, EQUAL), IDataMarket.Phase.Upload);
        commitUpload(id, 4);
        address who = dataOwner(4);
        vm.expectRevert(abi.encodeWithSelector(AlreadyDone.selector, 4));
        vm.prank(who);
        market.commitUpload(id, "x");
        vm.expectRevert(abi.encodeWithSelector(NotDataOwner.selector, model));
        vm.prank(model);
        market.commitUpload(id, "x");
        for (uint256 i = 0; i < 12; ++i) {
            if (i != 4) commitUpload(id, i);
        }
        isPhase(id, IDataMarket.Phase.Delivered); // full, whatever the reference
    }

    /// @dev The reference's bit may be posted where the reference is committed, and nowhere else.
    function testReferenceBit() public {
        uint256 id = started(verified(TRUST, EQUAL), IDataMarket.Phase.Delivered);
        post(id, 0, 1, 0xfff | REF);
        address prover = market.committeeOf(id)[1];
        vm.expectRevert(abi.encodeWithSelector(BitOutOfRange.selector, 1 << 254, 12));
        vm.prank(prover);
        market.postBitmap(id, 1, 1 << 254 | REF);
        for (uint256 seat = 1; seat < 5; ++seat) {
            post(id, seat, 1, seat < 4 ? 0xfff | REF : 0xfff);
        }
        eq(view_(id).sets[1], 0xfff | REF, "four of five");
        walk(id, IDataMarket.Phase.Valid);
        postAll(id, 2, 0xfff);
        eq(view_(id).sets[2], 0xfff, "not valid");
        id = started(verified(NONE, EQUAL), IDataMarket.Phase.Delivered);
        prover = market.committeeOf(id)[1];
        vm.expectRevert(abi.encodeWithSelector(BitOutOfRange.selector, 0xfff | REF, 12));
        vm.prank(prover);
        market.postBitmap(id, 1, 0xfff | REF);
    }

    /// @dev An uncommitted reference is out of range although the session would use one.
    function testReferenceBitWithoutAReference() public {
        uint256 id = started(verified(TRUST, EQUAL), IDataMarket.Phase.Register);
        joinMany(id, 12);
        expire(id);
        market.poke(id);
        walk(id, IDataMarket.Phase.Delivered);
        address prover = market.committeeOf(id)[0];
        vm.expectRevert(abi.encodeWithSelector(BitOutOfRange.selector, REF, 12));
        vm.prank(prover);
        market.postBitmap(id, 1, REF);
        bytes memory signature = signAs(prover, receiptStruct(id, model, referenceRoot(), 0));
        vm.expectRevert(abi.encodeWithSelector(NoUpload.selector, 255));
        market.postReceipt(id, 255, 0, signature);
    }

    function referenceReceipt(uint256 id, uint8 seat) private {
        address prover = market.committeeOf(id)[seat];
        bytes memory signature = signAs(prover, receiptStruct(id, model, referenceRoot(), seat));
        market.postReceipt(id, 255, seat, signature);
    }

    function testReceiptsOfTheReference() public {
        uint256 id = started(verified(TRUST, EQUAL), IDataMarket.Phase.Delivered);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.ReceiptPosted(id, 255, 0);
        referenceReceipt(id, 0);
        post(id, 0, 1, 0xfff);
        eq(BURN.balance, 0, "the bit is there");
        for (uint256 seat = 1; seat < 5; ++seat) {
            post(id, seat, 1, seat < 3 ? 0xfff | REF : 0xfff);
        }
        isPhase(id, IDataMarket.Phase.Delivered); // the reference is short of one bit: it may post receipts
        vm.expectRevert(abi.encodeWithSelector(BadSignature.selector, 4));
        market.postReceipt(id, 255, 4, new bytes(65));
        referenceReceipt(id, 3);
        eq(BURN.balance, STAKE, "left out");
        isPhase(id, IDataMarket.Phase.Query);
        eq(view_(id).sets[1], 0xfff | REF, "delivered");
    }

    function testReferenceNeverDelivered() public {
        uint256 id = started(verified(TRUST, BY_SCORE), IDataMarket.Phase.Delivered);
        postAll(id, 1, 0xfff);
        isPhase(id, IDataMarket.Phase.Delivered);
        expire(id);
        market.poke(id);
        eq(view_(id).sets[1], 0xfff, "delivered");
        pokeNext(id);
        postAll(id, 2, 0xfff | REF);
        eq(view_(id).sets[2], 0xfff, "valid are among delivered");
    }

    // ------------------------------------------------------------------------------------------- provers

    function testSilentProver() public {
        uint256 id = started(verified(TRUST, EQUAL), IDataMarket.Phase.Delivered);
        for (uint256 seat = 0; seat < 4; ++seat) {
            post(id, seat, 1, 0xfff | REF);
        }
        address quiet = market.committeeOf(id)[4];
        expire(id);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.ProverSlashed(id, quiet, 0);
        market.poke(id);
        walk(id, IDataMarket.Phase.Finished);
        eq(BURN.balance, STAKE, "once");
        ok(market.owed(id, quiet) < 0.01 ether, "no fee");
        ok(market.owed(id, market.committeeOf(id)[3]) > 0.01 ether, "a fee for the two bitmaps there are");
    }

    function testFeeNeedsBothBitmaps() public {
        uint256 id = started(verified(NONE, EQUAL), IDataMarket.Phase.Valid);
        for (uint256 seat = 1; seat < 5; ++seat) {
            post(id, seat, 2, 0xfff);
        }
        expire(id);
        market.poke(id);
        walk(id, IDataMarket.Phase.Finished);
        ok(market.owed(id, market.committeeOf(id)[0]) < 0.01 ether, "no fee");
        ok(market.owed(id, market.committeeOf(id)[1]) > 0.01 ether, "fee");
    }
}
