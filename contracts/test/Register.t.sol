// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/Errors.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {MarketBase} from "./base/MarketBase.sol";

contract RegisterTest is MarketBase {
    bytes32[] private _none;

    function tryRegister(uint256 id, address who, uint256 value, bytes32 peer, bytes memory why) private {
        vm.deal(who, 10 ether);
        if (why.length != 0) vm.expectRevert(why);
        vm.prank(who);
        market.register{value: value}(id, peer, "keys", _none);
    }

    function testRegistered() public {
        uint256 id = started(terms(), IDataMarket.Phase.Register);
        address who = dataOwner(0);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.Registered(id, 0, who, keccak256(abi.encode("peer", who)), keccak256(abi.encode("keys", who)));
        join(id, 0);
        eq(view_(id).registered, 1, "registered");
        eq(market.dataOwnersOf(id)[0], who, "address");
        eq(view_(id).escrow, address(market).balance, "deposit is held");
    }

    function testRefused() public {
        uint256 id = started(terms(), IDataMarket.Phase.Register);
        address who = join(id, 0);
        tryRegister(id, who, 0.05 ether, "p", abi.encodeWithSelector(AlreadyRegistered.selector, who));
        who = dataOwner(1);
        tryRegister(
            id, who, 0.05 ether - 1, "p", abi.encodeWithSelector(WrongValue.selector, 0.05 ether - 1, 0.05 ether)
        );
        tryRegister(
            id, who, 0.05 ether + 1, "p", abi.encodeWithSelector(WrongValue.selector, 0.05 ether + 1, 0.05 ether)
        );
        tryRegister(id, who, 0.05 ether, 0, abi.encodeWithSelector(EmptyKey.selector));
        tryRegister(id, model, 0.05 ether, "p", abi.encodeWithSelector(OwnerOrProver.selector, model));
        address prover = market.committeeOf(id)[2];
        tryRegister(id, prover, 0.05 ether, "p", abi.encodeWithSelector(OwnerOrProver.selector, prover));
        tryRegister(id, who, 0.05 ether, "p", "");
    }

    /// @dev Nobody can keep a key out by registering it first.
    function testPeerKeysNeedNotBeUnique() public {
        uint256 id = started(terms(), IDataMarket.Phase.Register);
        bytes32[] memory none;
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(dataOwner(i));
            market.register{value: 0.05 ether}(id, "the same", "keys", none);
        }
        eq(view_(id).registered, 2, "both");
    }

    /// @dev Deposits far beyond all ether there is: sums of 256 bits hold them, and everybody gets them back.
    function testHugeDeposits() public {
        IDataMarket.Params memory p = terms();
        p.deposit = 2 ** 120;
        for (uint256 i = 0; i < 12; ++i) {
            vm.deal(dataOwner(i), 2 ** 121);
        }
        uint256 id = started(p, IDataMarket.Phase.Finished);
        uint256 held = address(market).balance;
        eq(view_(id).escrow, held, "held");
        eq(claimAll(id), held, "all");
    }

    function testWrongPhase() public {
        uint256 id = create(terms());
        bytes memory why =
            abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Register, IDataMarket.Phase.Committee);
        tryRegister(id, dataOwner(0), 0.05 ether, "p", why);
        walk(id, IDataMarket.Phase.Draw);
        why = abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Register, IDataMarket.Phase.Draw);
        tryRegister(id, dataOwner(20), 0.05 ether, "p", why);
    }

    function testFullCloses() public {
        uint256 id = started(terms(), IDataMarket.Phase.Register);
        mine(3);
        joinMany(id, 12);
        isPhase(id, IDataMarket.Phase.Draw);
        eq(view_(id).groupCount, 4, "groups");
        eq(view_(id).phaseStart, height, "closed in this block");
        eq(view_(id).deadline, height + 25, "deadline");
    }

    function testInTheDeadlineBlock() public {
        uint256 id = started(terms(), IDataMarket.Phase.Register);
        mine(15);
        eq(view_(id).deadline, height, "deadline");
        join(id, 0);
        mine(1);
        bytes memory why =
            abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Register, IDataMarket.Phase.Aborted);
        tryRegister(id, dataOwner(1), 0.05 ether, "p", why);
    }

    /// @dev 0 .. 12 data owners by the deadline: a session with floor(count / N) groups, or refunds.
    function testFuzzEnough(uint8 count, uint8 rule, uint16 muBps, uint8 minAccepted) public {
        IDataMarket.Params memory p = terms();
        p.rule = rule % 3;
        p.muBps = muBps % 5000;
        p.minAccepted = uint16(bound(minAccepted, 3, 12));
        count %= 12;
        uint256 id = started(p, IDataMarket.Phase.Register);
        joinMany(id, count);
        expire(id);
        market.poke(id);
        uint256 groups = count / 3;
        bool enough = count >= p.minAccepted && groups >= (p.rule == 0 ? 1 : groups * p.muBps / 10000 + 3);
        isPhase(id, enough ? IDataMarket.Phase.Groups : IDataMarket.Phase.Aborted);
        eq(view_(id).groupCount, enough ? groups : 0, "groups");
    }

    function testWhitelist() public {
        bytes32 a = leaf(dataOwner(0));
        bytes32 b = leaf(dataOwner(1));
        IDataMarket.Params memory p = terms();
        p.whitelistRoot = a < b ? keccak256(abi.encodePacked(a, b)) : keccak256(abi.encodePacked(b, a));
        uint256 id = started(p, IDataMarket.Phase.Register);
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = b;
        vm.prank(dataOwner(0));
        market.register{value: 0.05 ether}(id, "p", "k", proof);
        address stranger = dataOwner(2);
        vm.expectRevert(abi.encodeWithSelector(NotWhitelisted.selector, stranger));
        vm.prank(stranger);
        market.register{value: 0.05 ether}(id, "q", "k", proof);
        tryRegister(id, dataOwner(1), 0.05 ether, "q", abi.encodeWithSelector(NotWhitelisted.selector, dataOwner(1)));
    }

    function leaf(address who) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(who))));
    }

    /// @dev The same people can be in two sessions at once.
    function testTwoSessions() public {
        uint256 a = started(terms(), IDataMarket.Phase.Draw);
        uint256 b = started(terms(), IDataMarket.Phase.Draw);
        walk(b, IDataMarket.Phase.Finished);
        walk(a, IDataMarket.Phase.Finished);
        claimAll(a);
        claimAll(b);
        eq(address(market).balance, 0, "all paid");
    }
}
