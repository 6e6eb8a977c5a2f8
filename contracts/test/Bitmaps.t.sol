// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/Errors.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {Sets} from "../src/Sets.sol";
import {MarketBase} from "./base/MarketBase.sol";

/// @dev The sets V, delivered and U, receipts, and the silence of provers.
contract BitmapsTest is MarketBase {
    function stakeOf(uint256 id, uint256 seat) private view returns (uint256) {
        return registry.prover(market.committeeOf(id)[seat]).stake;
    }

    function receipt(uint256 id, uint16 index, uint8 seat) private {
        bytes memory signature = receiptSignature(id, index, seat);
        market.postReceipt(id, index, seat, signature);
    }

    function receiptSignature(uint256 id, uint16 index, uint8 seat) private view returns (bytes memory) {
        bytes32 hash = receiptStruct(id, market.dataOwnersOf(id)[index], uploadRoot(index), seat);
        return signAs(market.committeeOf(id)[seat], hash);
    }

    function testPosted() public {
        uint256 id = started(terms(), IDataMarket.Phase.Bundles);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.BitmapPosted(id, 0, 0, 5);
        post(id, 0, 0, 5);
        address[] memory c = market.committeeOf(id);
        vm.expectRevert(abi.encodeWithSelector(BitmapTwice.selector, 0, 0));
        vm.prank(c[0]);
        market.postBitmap(id, 0, 7);
        vm.expectRevert(abi.encodeWithSelector(BitOutOfRange.selector, 1 << 12, 12));
        vm.prank(c[1]);
        market.postBitmap(id, 0, 1 << 12);
        vm.expectRevert(abi.encodeWithSelector(NotInCommittee.selector, model));
        vm.prank(model);
        market.postBitmap(id, 0, 1);
        vm.expectRevert(
            abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Delivered, IDataMarket.Phase.Bundles)
        );
        vm.prank(c[1]);
        market.postBitmap(id, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Valid, IDataMarket.Phase.Bundles));
        vm.prank(c[1]);
        market.postBitmap(id, 2, 1);
        vm.expectRevert(abi.encodeWithSelector(BitOutOfRange.selector, 3, 2));
        vm.prank(c[1]);
        market.postBitmap(id, 3, 1);
    }

    /// @dev n - t = 4 of 5 decide; three or fewer do not.
    function testQuorum() public {
        uint256 id = started(terms(), IDataMarket.Phase.Bundles);
        post(id, 0, 0, 0x007);
        post(id, 1, 0, 0x00f);
        post(id, 2, 0, 0x01f);
        post(id, 3, 0, 0x03f);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.SetFixed(id, 0, 0x00f);
        post(id, 4, 0, 0xfff);
        eq(view_(id).sets[0], 0x00f, "V");
    }

    /// @dev Set by time against a count made here, any bitmaps, any number of silent provers.
    function testFuzzSetByTime(uint256 seed, uint8 silent) public {
        uint256 id = started(terms(), IDataMarket.Phase.Bundles);
        uint256[12] memory votes;
        uint256 slashed;
        for (uint256 seat = 0; seat < 5; ++seat) {
            if (Sets.has(silent, seat)) {
                ++slashed;
                continue;
            }
            uint256 bits =
                (uint256(keccak256(abi.encode(seed, seat))) | uint256(keccak256(abi.encode(seat, seed)))) & 0xfff;
            for (uint256 i = 0; i < 12; ++i) {
                if (Sets.has(bits, i)) ++votes[i];
            }
            post(id, seat, 0, bits);
        }
        uint256 expected;
        for (uint256 i = 0; i < 12; ++i) {
            if (votes[i] >= 4) expected |= 1 << i;
        }
        if (phase(id) == IDataMarket.Phase.Bundles) expire(id);
        market.poke(id);
        eq(view_(id).sets[0], expected, "V");
        for (uint256 seat = 0; seat < 5; ++seat) {
            eq(stakeOf(id, seat), Sets.has(silent, seat) ? 0 : STAKE, "stake");
        }
        eq(BURN.balance, slashed * STAKE, "burned");
        isPhase(id, expected == 0 ? IDataMarket.Phase.Aborted : IDataMarket.Phase.Upload);
    }

    function testSilentProver() public {
        uint256 id = started(terms(), IDataMarket.Phase.Bundles);
        for (uint256 seat = 0; seat < 4; ++seat) {
            post(id, seat, 0, all(id));
        }
        expire(id);
        address quiet = market.committeeOf(id)[4];
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.ProverSlashed(id, quiet, 0);
        market.poke(id);
        ok(!registry.prover(quiet).drawable, "cannot be drawn");
        walk(id, IDataMarket.Phase.Finished); // it votes from now on, is not slashed again, and gets no fee
        eq(BURN.balance, STAKE, "once");
        ok(market.owed(id, quiet) < 0.01 ether, "no fee");
        ok(market.owed(id, market.committeeOf(id)[3]) > 0.01 ether, "fee");
    }

    function testNobodyComplete() public {
        uint256 id = started(terms(), IDataMarket.Phase.Bundles);
        postAll(id, 0, 0);
        isPhase(id, IDataMarket.Phase.Aborted);
        claimAll(id);
        eq(address(market).balance, 0, "all paid");
    }

    /// @dev kind 2 reuses the words of kind 0: what a silent prover posted then must not count now.
    function testOldBitmapsDoNotCount() public {
        uint256 id = started(terms(), IDataMarket.Phase.Valid);
        for (uint256 seat = 0; seat < 3; ++seat) {
            post(id, seat, 2, all(id));
        }
        expire(id);
        market.poke(id);
        eq(view_(id).sets[2], 0, "three votes are too few");
        isPhase(id, IDataMarket.Phase.Batch);
    }

    function testValidAreAmongDelivered() public {
        uint256 id = started(terms(), IDataMarket.Phase.Delivered);
        postAll(id, 1, 0x0ff);
        isPhase(id, IDataMarket.Phase.Delivered); // waits for receipts of the others
        expire(id);
        market.poke(id);
        eq(view_(id).sets[1], 0x0ff, "delivered");
        postAll(id, 2, 0xffe);
        eq(view_(id).sets[2], 0x0fe, "U");
        isPhase(id, IDataMarket.Phase.Batch);
    }

    // ------------------------------------------------------------------------------------------- receipts

    function testReceiptBeforeTheBitmap() public {
        uint256 id = started(terms(), IDataMarket.Phase.Delivered);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.ReceiptPosted(id, 11, 4);
        receipt(id, 11, 4);
        post(id, 4, 1, 0x7ff);
        eq(stakeOf(id, 4), STAKE, "no fault: the bit is there");
        for (uint256 seat = 0; seat < 3; ++seat) {
            post(id, seat, 1, 0xfff);
        }
        post(id, 3, 1, 0);
        eq(view_(id).sets[1], 0xfff, "the receipt is the fourth bit");
        isPhase(id, IDataMarket.Phase.Query);
    }

    function testReceiptAfterTheBitmapSlashes() public {
        uint256 id = started(terms(), IDataMarket.Phase.Delivered);
        post(id, 2, 1, 0x7ff);
        address liar = market.committeeOf(id)[2];
        bytes memory signature = receiptSignature(id, 11, 2);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.ProverSlashed(id, liar, 2);
        market.postReceipt(id, 11, 2, signature);
        eq(stakeOf(id, 2), 0, "slashed");
        vm.expectRevert(abi.encodeWithSelector(AlreadyDone.selector, 11));
        market.postReceipt(id, 11, 2, signature);
    }

    /// @dev Provers that all post at once cannot shut out a data owner that holds n - t receipts.
    function testReceiptsAfterAllBitmaps() public {
        uint256 id = started(terms(), IDataMarket.Phase.Delivered);
        post(id, 0, 1, 0xfff);
        post(id, 1, 1, 0xfff);
        post(id, 2, 1, 0xfff);
        post(id, 3, 1, 0x7ff);
        post(id, 4, 1, 0x7ff);
        isPhase(id, IDataMarket.Phase.Delivered);
        receipt(id, 11, 3);
        isPhase(id, IDataMarket.Phase.Query);
        eq(view_(id).sets[1], 0xfff, "delivered");
        eq(BURN.balance, STAKE, "the one that left it out");
    }

    /// @dev A silent prover's receipts count, and it loses its stake for the silence.
    function testReceiptOfASilentProver() public {
        uint256 id = started(terms(), IDataMarket.Phase.Delivered);
        for (uint256 seat = 0; seat < 3; ++seat) {
            post(id, seat, 1, 0xfff);
        }
        receipt(id, 0, 4);
        expire(id);
        market.poke(id);
        eq(view_(id).sets[1], 1, "delivered");
        eq(stakeOf(id, 3) + stakeOf(id, 4), 0, "both silent");
    }

    function testBadReceipts() public {
        uint256 id = started(terms(), IDataMarket.Phase.Upload);
        bytes memory signature = receiptSignature(id, 1, 0);
        vm.expectRevert(
            abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Delivered, IDataMarket.Phase.Upload)
        );
        market.postReceipt(id, 1, 0, signature);
        for (uint256 i = 1; i < 12; ++i) {
            commitUpload(id, i);
        }
        expire(id);
        vm.expectRevert(abi.encodeWithSelector(NoUpload.selector, 0));
        market.postReceipt(id, 0, 0, signature);
        vm.expectRevert(abi.encodeWithSelector(NoUpload.selector, 300));
        market.postReceipt(id, 300, 0, signature);
        vm.expectRevert(abi.encodeWithSelector(BadSignature.selector, 1));
        market.postReceipt(id, 1, 1, signature);
        vm.expectRevert(abi.encodeWithSelector(BadSignature.selector, 0));
        market.postReceipt(id, 2, 0, signature);
        vm.expectRevert(abi.encodeWithSelector(BadSignature.selector, 9));
        market.postReceipt(id, 1, 9, signature);
        vm.expectRevert(abi.encodeWithSelector(BadSignature.selector, 0));
        market.postReceipt(id, 1, 0, hex"00");
        market.postReceipt(id, 1, 0, signature);
    }
}
