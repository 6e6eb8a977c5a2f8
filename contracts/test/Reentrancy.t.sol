// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {TransferFailed} from "../src/Errors.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {MarketBase} from "./base/MarketBase.sol";

/// @dev An owner that is a contract and tries everything while it is being paid.
contract ReentrancyTest is MarketBase {
    function testClaimIsNotReentrant() public {
        Thief thief = new Thief(market);
        model = address(thief);
        vm.deal(model, 1000 ether);
        uint256 other = started(terms(), IDataMarket.Phase.Output); // money to steal
        uint256 id = started(terms(), IDataMarket.Phase.Finished);
        uint256 due = market.owed(id, model);
        uint256 before = address(market).balance;
        thief.aim(id, other);
        eq(claim(id, model), due, "what is due and no more");
        eq(before - address(market).balance, due, "from the market");
        eq(thief.tries(), 4, "all were tried");
        ok(thief.claimBlocked(), "claim inside claim");
        isPhase(other, IDataMarket.Phase.Finished); // acknowledging another session is its right, and harmless
        thief.calm();
        claimAll(id);
        claimAll(other);
        eq(address(market).balance, 0, "everybody was paid");
    }

    /// @dev A claimant that refuses money harms itself alone.
    function testRefusesMoney() public {
        model = address(new Wall());
        vm.deal(model, 1000 ether);
        uint256 id = started(terms(), IDataMarket.Phase.Finished);
        uint256 due = market.owed(id, model);
        vm.expectRevert(abi.encodeWithSelector(TransferFailed.selector, model, due));
        vm.prank(model);
        market.claim(id);
        ok(claim(id, dataOwner(0)) != 0, "others are paid");
        eq(market.owed(id, model), due, "it is still there");
    }
}

contract Wall {}

contract Thief {
    IDataMarket private immutable MARKET;
    uint256 private _id;
    uint256 private _other;
    uint256 public tries;
    bool public claimBlocked;

    constructor(IDataMarket market) {
        MARKET = market;
    }

    function aim(uint256 id, uint256 other) external {
        (_id, _other) = (id, other);
    }

    function calm() external {
        _id = 0;
    }

    receive() external payable {
        if (_id == 0) return;
        bytes4 guard = ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector;
        (bool done, bytes memory why) = address(MARKET).call(abi.encodeCall(IDataMarket.claim, (_id)));
        claimBlocked = !done && bytes4(why) == guard;
        (done, why) = address(MARKET).call(abi.encodeCall(IDataMarket.claim, (_other)));
        claimBlocked = claimBlocked && !done && bytes4(why) == guard;
        (done,) = address(MARKET).call(abi.encodeCall(IDataMarket.poke, (_id)));
        (done,) = address(MARKET).call(abi.encodeCall(IDataMarket.acknowledge, (_other)));
        tries += 4;
    }
}
