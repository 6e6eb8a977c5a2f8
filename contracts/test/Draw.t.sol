// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/Errors.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {MarketBase} from "./base/MarketBase.sol";

/// @dev Beacons, the committee and the groups.
contract DrawTest is MarketBase {
    function beacon(uint256 id, uint256 purpose) private view returns (bytes32) {
        bytes32 randao = keccak256(abi.encode("randao", height));
        return keccak256(abi.encode(uint256(randao), block.chainid, address(market), id, purpose));
    }

    function testViews() public view {
        eq(market.registry(), address(registry), "registry");
        (bool output, uint256 selected) = market.select(0, 5, 4, 2500, 0, new uint256[](1));
        ok(output && selected == 5, "the rule, for anybody to ask");
    }

    function testPokeInTheSameBlockDoesNothing() public {
        uint256 id = create(terms());
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Committee);
        eq(market.owed(id, address(this)), 0, "no pay");
    }

    function testCommittee() public {
        uint256 id = create(terms());
        mine(1);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.BeaconSet(id, 0, beacon(id, 0));
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Register);
        eq(view_(id).deadline, height + 15, "register window");
        address[] memory provers = market.committeeOf(id);
        eq(provers.length, 5, "five");
        for (uint256 i = 0; i < 5; ++i) {
            eq(registry.prover(provers[i]).locks, 1, "locked");
            for (uint256 j = 0; j < i; ++j) {
                ok(provers[i] != provers[j], "distinct");
            }
        }
    }

    function testNobodyPokes() public {
        uint256 id = create(terms());
        mine(16);
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Aborted);
        eq(market.owed(id, model), view_(id).escrow - market.owed(id, address(this)), "refund");
    }

    function testPokeInTheDeadlineBlock() public {
        uint256 id = create(terms());
        mine(15);
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Register);
    }

    function testProversGone() public {
        uint256 id = create(terms());
        vm.prank(vm.addr(PROVER_KEY + 1));
        registry.requestExit();
        pokeNext(id);
        isPhase(id, IDataMarket.Phase.Aborted);
        claim(id, model);
    }

    function testGroupBeacon() public {
        uint256 id = started(terms(), IDataMarket.Phase.Draw);
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Draw);
        mine(1);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.BeaconSet(id, 1, beacon(id, 1));
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.PhaseChanged(id, IDataMarket.Phase.Groups, uint64(height + 4));
        market.poke(id);
        bytes32 first = view_(id).beacons[1];
        pokeNext(id);
        ok(view_(id).beacons[1] == first, "one beacon per purpose");
    }

    /// @dev By time: the poke that finds the deadline behind it also sets the beacon.
    function testDrawByTime() public {
        uint256 id = started(terms(), IDataMarket.Phase.Register);
        joinMany(id, 9);
        expire(id);
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Groups);
        eq(view_(id).groupCount, 3, "groups");
    }

    function testBeaconsDiffer() public {
        uint256 id = started(terms(), IDataMarket.Phase.Valid);
        IDataMarket.SessionView memory v = view_(id);
        ok(v.beacons[0] != v.beacons[1] && v.beacons[1] != v.beacons[2] && v.beacons[2] != 0, "differ");
    }

    function testGroups() public {
        uint256 id = started(terms(), IDataMarket.Phase.Groups);
        uint16[] memory order = orderOf(id);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.GroupsDrawn(id, order, 4);
        market.postGroups(id, order);
        isPhase(id, IDataMarket.Phase.Keys);
        eq(view_(id).deadline, view_(id).phaseStart + 8, "keys deadline");
    }

    function testBadOrders() public {
        uint256 id = started(terms(), IDataMarket.Phase.Groups);
        uint16[] memory order = orderOf(id);
        uint16[] memory bad = new uint16[](11);
        vm.expectRevert(abi.encodeWithSelector(OrderLength.selector, 11, 12));
        market.postGroups(id, bad);
        bad = orderOf(id);
        bad[5] = order[4];
        vm.expectRevert(abi.encodeWithSelector(OrderWrong.selector, 5));
        market.postGroups(id, bad);
        bad = orderOf(id);
        bad[0] = 12;
        vm.expectRevert(abi.encodeWithSelector(OrderWrong.selector, 0));
        market.postGroups(id, bad);
        (bad[0], bad[1]) = (order[1], order[0]);
        vm.expectRevert(abi.encodeWithSelector(OrderWrong.selector, 1));
        market.postGroups(id, bad);
        market.postGroups(id, order);
        vm.expectRevert(abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Groups, IDataMarket.Phase.Keys));
        market.postGroups(id, order);
    }

    /// @dev Any swap of two places, or any replaced entry, is refused.
    function testFuzzOnlyTheSortedOrder(uint8 a, uint8 b, uint16 value) public {
        uint256 id = started(terms(), IDataMarket.Phase.Groups);
        uint16[] memory order = orderOf(id);
        (a, b) = (a % 12, b % 12);
        bool same = a == b;
        if (value % 2 == 0) {
            (order[a], order[b]) = (order[b], order[a]);
        } else {
            same = order[a] == value;
            order[a] = value;
        }
        if (!same) vm.expectRevert();
        market.postGroups(id, order);
    }

    /// @dev 9 .. 12 data owners in groups of 3, 14 .. in groups of 4: the last group takes the remainder.
    function testRemainder() public {
        IDataMarket.Params memory p = terms();
        (p.rule, p.groupSize, p.groups) = (0, 4, 4);
        uint256 id = started(p, IDataMarket.Phase.Register);
        joinMany(id, 15);
        expire(id);
        market.poke(id);
        uint16[] memory order = orderOf(id);
        walk(id, IDataMarket.Phase.Batch);
        eq(view_(id).groupCount, 3, "groups of 4, 4 and 7");
        uint256 last;
        for (uint256 i = 8; i < 15; ++i) {
            last |= 1 << order[i];
        }
        postBatch(id, 1 << 2, zeros(1));
        eq(view_(id).acceptedOwners, last, "the last seven");
    }
}
