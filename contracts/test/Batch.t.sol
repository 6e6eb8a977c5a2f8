// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/Errors.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {Sets} from "../src/Sets.sol";
import {MarketBase} from "./base/MarketBase.sol";

contract BatchTest is MarketBase {
    function submit(uint256 id, uint256 passed, uint256[] memory distances, uint256 signers, bytes memory why) private {
        bytes32 hash = batchStruct(id, header(id, passed, distances));
        bytes[] memory sigs = signatures(id, hash, signers);
        if (why.length != 0) vm.expectRevert(why);
        market.postBatch(id, passed, distances, keccak256("digest"), signers, sigs);
    }

    /// @dev Group 2 far from the others: dropped by `outlier`.
    function odd() private pure returns (uint256[] memory distances) {
        distances = new uint256[](6);
        (distances[0], distances[1], distances[2]) = (10, 900, 11);
        (distances[3], distances[4], distances[5]) = (905, 12, 910);
    }

    function testFinal() public {
        uint256 id = started(terms(), IDataMarket.Phase.Batch);
        uint256[] memory distances = odd();
        uint256 members = groupMembers(id, 2);
        bytes32 hash = batchStruct(id, header(id, 15, distances));
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.BatchFinal(id, hash, 15, 11, 0xfff & ~members);
        submit(id, 15, distances, 0x1e, "");
        IDataMarket.SessionView memory v = view_(id);
        isPhase(id, IDataMarket.Phase.Output);
        eq(v.acceptedGroups, 11, "groups");
        eq(v.acceptedOwners, 0xfff & ~members, "data owners");
        ok(v.batchHash == hash, "hash");
        eq(v.deadline, height + 25, "output window");
        vm.expectRevert(abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Batch, IDataMarket.Phase.Output));
        market.postBatch(id, 15, distances, 0, 0, new bytes[](0));
    }

    function groupMembers(uint256 id, uint256 group) private view returns (uint256 members) {
        uint16[] memory order = orderOf(id);
        for (uint256 i = group * 3; i < group * 3 + 3; ++i) {
            members |= 1 << order[i];
        }
    }

    function testSignatures() public {
        uint256 id = started(terms(), IDataMarket.Phase.Batch);
        uint256[] memory d = odd();
        submit(id, 15, d, 7, abi.encodeWithSelector(TooFewSignatures.selector, 3, 4));
        bytes32 hash = batchStruct(id, header(id, 15, d));
        bytes[] memory sigs = signatures(id, hash, 0x0f);
        vm.expectRevert(abi.encodeWithSelector(SignatureCount.selector, 4, 5));
        market.postBatch(id, 15, d, keccak256("digest"), 0x1f, sigs);
        vm.expectRevert(abi.encodeWithSelector(BadSignature.selector, 4)); // the fourth is of seat 3, not of seat 4
        market.postBatch(id, 15, d, keccak256("digest"), 0x17, sigs);
        vm.expectRevert(abi.encodeWithSelector(BadSignature.selector, 0));
        market.postBatch(id, 15, d, keccak256("other digest"), 0x0f, sigs);
        vm.expectRevert(abi.encodeWithSelector(BitOutOfRange.selector, 0x2f, 5));
        market.postBatch(id, 15, d, keccak256("digest"), 0x2f, sigs);
        sigs[1] = sigs[0];
        vm.expectRevert(abi.encodeWithSelector(BadSignature.selector, 1));
        market.postBatch(id, 15, d, keccak256("digest"), 0x0f, sigs);
        submit(id, 15, d, 0x1f, "");
    }

    /// @dev The mirrored signature of the same message is refused.
    function testMalleableSignature() public {
        uint256 id = started(terms(), IDataMarket.Phase.Batch);
        uint256[] memory d = odd();
        bytes[] memory sigs = signatures(id, batchStruct(id, header(id, 15, d)), 0x0f);
        bytes memory first = sigs[0];
        bytes32 s;
        assembly ("memory-safe") {
            s := mload(add(first, 0x40))
        }
        bytes32 r;
        assembly ("memory-safe") {
            r := mload(add(first, 0x20))
        }
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        sigs[0] = abi.encodePacked(r, order - uint256(s), first[64] == bytes1(uint8(27)) ? uint8(28) : uint8(27));
        vm.expectRevert(abi.encodeWithSelector(BadSignature.selector, 0));
        market.postBatch(id, 15, d, keccak256("digest"), 0x0f, sigs);
    }

    function testAnotherSessionsSignatures() public {
        uint256 a = started(terms(), IDataMarket.Phase.Batch);
        uint256 b = started(terms(), IDataMarket.Phase.Batch);
        bytes[] memory sigs = signatures(b, batchStruct(a, header(a, 15, odd())), 0x0f);
        vm.expectRevert(abi.encodeWithSelector(BadSignature.selector, 0));
        market.postBatch(b, 15, odd(), keccak256("digest"), 0x0f, sigs);
    }

    function testGroupsMustBeReady() public {
        uint256 id = started(terms(), IDataMarket.Phase.Valid);
        uint16[] memory order = orderOf(id);
        // two of group 1 and one of group 3 are not valid: T = 2 holds for neither 1, but for 3
        uint256 valid = 0xfff & ~((1 << order[3]) | (1 << order[4]) | (1 << order[9]));
        postAll(id, 2, valid);
        submit(id, 15, zeros(15), 0x0f, abi.encodeWithSelector(GroupNotReady.selector, 1));
        submit(id, 0x1d, zeros(0x1d), 0x0f, abi.encodeWithSelector(BitOutOfRange.selector, 0x1d, 4));
        submit(id, 13, zeros(15), 0x0f, abi.encodeWithSelector(DistanceCount.selector, 6, 3));
        uint256[] memory d = zeros(13);
        d[1] = 1 << 240;
        submit(id, 13, d, 0x0f, abi.encodeWithSelector(DistanceTooLarge.selector, 1));
        submit(id, 13, zeros(13), 0x0f, "");
        eq(view_(id).acceptedOwners, valid & ~(1 << order[5]), "group 1 falls as a whole");
    }

    /// @dev Nothing passed, or the rule keeps nothing, or too few accepted: refunds and fees.
    function testNoOutput() public {
        uint256 id = started(terms(), IDataMarket.Phase.Batch);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.SessionAborted(id, "no output");
        submit(id, 0, zeros(0), 0x0f, "");
        noReward(id);
        id = started(terms(), IDataMarket.Phase.Batch);
        submit(id, 3, zeros(3), 0x0f, "");
        noReward(id);
        IDataMarket.Params memory p = terms();
        (p.rule, p.minAccepted) = (0, 10);
        id = started(p, IDataMarket.Phase.Batch);
        submit(id, 7, zeros(7), 0x0f, "");
        noReward(id);
    }

    function noReward(uint256 id) private {
        isPhase(id, IDataMarket.Phase.Aborted);
        uint256 owner = market.owed(id, dataOwner(0));
        ok(owner >= 0.05 ether && owner < 0.051 ether, "deposit and gas");
        uint256 prover = market.owed(id, market.committeeOf(id)[0]);
        ok(prover >= 0.01 ether && prover < 0.011 ether, "fee and gas");
        eq(view_(id).acceptedOwners, 0, "none accepted");
        claimAll(id);
        eq(view_(id).escrow, 0, "all paid");
    }

    function testNoBatch() public {
        uint256 id = started(terms(), IDataMarket.Phase.Batch);
        expire(id);
        vm.expectRevert(abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Batch, IDataMarket.Phase.Aborted));
        market.postBatch(id, 15, odd(), 0, 0, new bytes[](0));
        market.poke(id);
        ok(market.owed(id, market.committeeOf(id)[0]) < 0.01 ether, "no fee");
        ok(market.owed(id, dataOwner(0)) >= 0.05 ether, "deposit");
        claimAll(id);
        eq(address(market).balance, 0, "all paid");
    }

    /// @dev mu refers to the groups drawn, also when fewer than asked for came together.
    function testFewerGroupsThanAskedFor() public {
        IDataMarket.Params memory p = terms();
        (p.groups, p.muBps) = (8, 2500);
        uint256 id = started(p, IDataMarket.Phase.Register);
        joinMany(id, 12);
        expire(id);
        market.poke(id);
        walk(id, IDataMarket.Phase.Batch);
        eq(view_(id).groupCount, 4, "groups");
        submit(id, 15, odd(), 0x0f, "");
        eq(view_(id).acceptedGroups, 11, "f = 1 of 4");
    }
}
