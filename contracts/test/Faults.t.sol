// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/Errors.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {MarketBase} from "./base/MarketBase.sol";

/// @dev Attestations and batches signed twice.
contract FaultsTest is MarketBase {
    function refuse(uint256 id, uint256 provers, uint256 owners, bytes memory why) private {
        (uint256 signers, bytes[] memory sigs) = attestation(id, provers, owners);
        vm.expectRevert(why);
        market.attest(id, provers, owners, signers, sigs);
    }

    function testAttested() public {
        uint256 id = started(terms(), IDataMarket.Phase.Batch);
        address liar = market.committeeOf(id)[2];
        (uint256 signers, bytes[] memory sigs) = attestation(id, 4, 0x11);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.Attested(id, 4, 0x11);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.DepositForfeited(id, 0);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.DepositForfeited(id, 4);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.ProverSlashed(id, liar, 3);
        market.attest(id, 4, 0x11, signers, sigs);
        eq(BURN.balance, STAKE + 0.1 ether, "burned");
        eq(view_(id).namedProvers, 4, "named");
        eq(view_(id).silentOwners, 0x11, "silent");
        eq(view_(id).escrow, address(market).balance, "escrow is the balance");
        walk(id, IDataMarket.Phase.Finished);
        ok(market.owed(id, liar) < 0.01 ether, "no fee");
        uint256 silent = market.owed(id, dataOwner(0));
        eq(market.owed(id, dataOwner(1)) - silent, 0.05 ether, "the payout stays, the deposit does not");
        claimAll(id);
        eq(address(market).balance, 0, "all paid");
    }

    function testRefused() public {
        uint256 id = started(terms(), IDataMarket.Phase.Valid);
        (uint256 signers, bytes[] memory sigs) = attestation(id, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Batch, IDataMarket.Phase.Valid));
        market.attest(id, 1, 1, signers, sigs);
        postAll(id, 2, 0x7ff);
        refuse(id, 0, 0x800, abi.encodeWithSelector(NotInSet.selector, 11));
        refuse(id, 0, 0x1000, abi.encodeWithSelector(BitOutOfRange.selector, 0x1000, 12));
        refuse(id, 0, 0, abi.encodeWithSelector(NothingNew.selector));
        vm.expectRevert(abi.encodeWithSelector(BitOutOfRange.selector, 32, 5));
        market.attest(id, 32, 0, signers, sigs);
        vm.expectRevert(abi.encodeWithSelector(TooManyNamed.selector, 3, 1));
        market.attest(id, 3, 0, signers, sigs);
        vm.expectRevert(abi.encodeWithSelector(NamedSigner.selector, 2));
        market.attest(id, 2, 0, signers, sigs);
        vm.expectRevert(abi.encodeWithSelector(TooFewSignatures.selector, 3, 4));
        market.attest(id, 1, 0, 0x0e, new bytes[](3));
        vm.expectRevert(abi.encodeWithSelector(BadSignature.selector, 1));
        market.attest(id, 1, 2, signers, sigs);
        market.attest(id, 1, 1, signers, sigs);
        vm.expectRevert(NothingNew.selector);
        market.attest(id, 1, 1, signers, sigs);
    }

    /// @dev At most t in all, not per attestation; a second attestation adds what is new.
    function testCumulative() public {
        uint256 id = started(terms(), IDataMarket.Phase.Batch);
        attest(id, 1, 1);
        refuse(id, 1, 1, abi.encodeWithSelector(NothingNew.selector));
        attest(id, 1, 3);
        eq(view_(id).silentOwners, 3, "both");
        eq(BURN.balance, STAKE + 0.1 ether, "nobody twice");
        vm.expectRevert(abi.encodeWithSelector(TooManyNamed.selector, 5, 1));
        market.attest(id, 4, 0, 0, new bytes[](0));
        walk(id, IDataMarket.Phase.Finished);
        claimAll(id);
        eq(address(market).balance, 0, "all paid");
    }

    /// @dev Until settleBlocks after the end. Who has its deposit already is passed over and blocks nothing.
    function testAfterTheEnd() public {
        uint256 id = started(terms(), IDataMarket.Phase.Finished);
        address liar = market.committeeOf(id)[0];
        uint256 spared = claim(id, dataOwner(0));
        ok(spared > 0.05 ether, "claimed");
        uint256 first = claim(id, model);
        mine(25);
        attest(id, 1, 3);
        eq(view_(id).silentOwners, 2, "the one that had not claimed");
        eq(market.owed(id, model), 0.01 ether, "the withheld fee");
        uint256 second = claim(id, model);
        eq(second, 0.01 ether, "and no more");
        ok(first > 0, "first claim");
        ok(market.owed(id, liar) < 0.01 ether, "no fee");
        claimAll(id);
        eq(address(market).balance, 0, "all paid");
    }

    /// @dev A fee that is taken stays taken; the stake goes.
    function testFeeTakenBefore() public {
        uint256 id = started(terms(), IDataMarket.Phase.Finished);
        address liar = market.committeeOf(id)[0];
        ok(claim(id, liar) > 0.01 ether, "fee");
        attest(id, 1, 0);
        eq(registry.prover(liar).stake, 0, "stake");
        claimAll(id);
        eq(address(market).balance, 0, "all paid");
    }

    function testWindowOver() public {
        uint256 id = started(terms(), IDataMarket.Phase.Finished);
        uint256 last = height + 25;
        mine(26);
        refuse(id, 1, 0, abi.encodeWithSelector(WindowOver.selector, last));
        IDataMarket.BatchHeader memory h;
        vm.expectRevert(abi.encodeWithSelector(WindowOver.selector, last));
        market.slashDoubleSign(id, h, "", h, "");
    }

    /// @dev Without a batch nobody is owed a fee, and nothing can be attested afterwards.
    function testNoAttestationWithoutABatch() public {
        uint256 id = started(terms(), IDataMarket.Phase.Batch);
        expire(id);
        market.poke(id);
        refuse(id, 1, 0, abi.encodeWithSelector(NoBatch.selector));
        mine(100);
        refuse(id, 1, 0, abi.encodeWithSelector(NoBatch.selector));
    }

    /// @dev In a group that is too small to be unmasked nobody sends anything, and nobody forfeits anything.
    function testSmallGroupsForfeitNothing() public {
        uint256 id = started(terms(), IDataMarket.Phase.Valid);
        uint16[] memory order = orderOf(id);
        uint256 alone = uint256(1) << order[2];
        uint256 two = (uint256(1) << order[4]) | (uint256(1) << order[5]);
        postAll(id, 2, alone | two | (uint256(1) << order[6]) | (uint256(1) << order[7]) | (uint256(1) << order[8]));
        refuse(id, 0, alone, abi.encodeWithSelector(NothingNew.selector));
        attest(id, 1, alone | two);
        eq(view_(id).silentOwners, two, "the pair, not the lonely one");
        eq(BURN.balance, STAKE + 2 * 0.05 ether, "burned");
        expire(id);
        market.poke(id);
        ok(claim(id, market.dataOwnersOf(id)[order[2]]) >= 0.05 ether, "its deposit");
        claimAll(id);
        eq(address(market).balance, 0, "all paid");
    }

    /// @dev A leaving prover's stake outlives the window in which it can be slashed.
    function testLeavingDoesNotSaveTheStake() public {
        uint256 id = started(terms(), IDataMarket.Phase.Register);
        address liar = market.committeeOf(id)[0];
        vm.prank(liar);
        registry.requestExit();
        walk(id, IDataMarket.Phase.Output);
        mine(30);
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Finished);
        mine(20);
        vm.expectRevert();
        vm.prank(liar);
        registry.withdraw();
        attest(id, 1, 0);
        eq(registry.prover(liar).stake, 0, "slashed");
    }

    // ------------------------------------------------------------------------------------------- two batches

    function twoBatches(uint256 id, uint256 seat)
        private
        view
        returns (IDataMarket.BatchHeader memory a, bytes memory sa, IDataMarket.BatchHeader memory b, bytes memory sb)
    {
        a = header(id, 15, zeros(15));
        b = header(id, 7, zeros(7));
        address who = market.committeeOf(id)[seat];
        sa = signAs(who, batchStruct(id, a));
        sb = signAs(who, batchStruct(id, b));
    }

    function testTwoBatches() public {
        uint256 id = started(terms(), IDataMarket.Phase.Batch);
        (IDataMarket.BatchHeader memory a, bytes memory sa, IDataMarket.BatchHeader memory b, bytes memory sb) =
            twoBatches(id, 3);
        address liar = market.committeeOf(id)[3];
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.ProverSlashed(id, liar, 1);
        market.slashDoubleSign(id, a, sa, b, sb);
        eq(registry.prover(liar).stake, 0, "slashed");
        vm.expectRevert(abi.encodeWithSelector(AlreadySlashed.selector, 3));
        market.slashDoubleSign(id, b, sb, a, sa);
        walk(id, IDataMarket.Phase.Finished);
        ok(market.owed(id, liar) < 0.01 ether, "no fee");
        claimAll(id);
        eq(address(market).balance, 0, "all paid");
    }

    function testNotTwoBatches() public {
        uint256 id = started(terms(), IDataMarket.Phase.Batch);
        (IDataMarket.BatchHeader memory a, bytes memory sa, IDataMarket.BatchHeader memory b, bytes memory sb) =
            twoBatches(id, 3);
        vm.expectRevert(SameBatch.selector);
        market.slashDoubleSign(id, a, sa, a, sa);
        (,,, bytes memory other) = twoBatches(id, 2);
        vm.expectRevert(abi.encodeWithSelector(BadSignature.selector, 3));
        market.slashDoubleSign(id, a, sa, b, other);
        vm.expectRevert(abi.encodeWithSelector(NotInCommittee.selector, address(0)));
        market.slashDoubleSign(id, a, hex"1234", b, sb);
        bytes memory outsider = signAs(dataOwner(0), batchStruct(id, a));
        vm.expectRevert(abi.encodeWithSelector(NotInCommittee.selector, dataOwner(0)));
        market.slashDoubleSign(id, a, outsider, b, sb);
    }

    function testTwoBatchesTooEarly() public {
        uint256 id = started(terms(), IDataMarket.Phase.Valid);
        IDataMarket.BatchHeader memory h;
        vm.expectRevert(abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Batch, IDataMarket.Phase.Valid));
        market.slashDoubleSign(id, h, "", h, "");
    }

    /// @dev Also after a batch that never came, and after one that is final.
    function testTwoBatchesLater() public {
        uint256 id = started(terms(), IDataMarket.Phase.Batch);
        (IDataMarket.BatchHeader memory a, bytes memory sa, IDataMarket.BatchHeader memory b, bytes memory sb) =
            twoBatches(id, 0);
        expire(id);
        market.slashDoubleSign(id, a, sa, b, sb);
        isPhase(id, IDataMarket.Phase.Aborted);
        eq(registry.prover(market.committeeOf(id)[0]).stake, 0, "slashed");
        claimAll(id);
        eq(address(market).balance, 0, "all paid");
    }
}
