// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/Errors.sol";
import {Gas} from "../src/Gas.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {MarketBase} from "./base/MarketBase.sol";

contract MoneyTest is MarketBase {
    uint256 private constant PRICE = 1 gwei; // base fee, below the cap

    function quiet() private pure returns (IDataMarket.Params memory p) {
        p = terms();
        p.gasPriceCap = 0; // no reimbursement: amounts are the bare wages
    }

    function testEqualPay() public {
        uint256 id = started(quiet(), IDataMarket.Phase.Finished);
        uint256 pay = uint256(1 ether) / 12;
        eq(market.owed(id, dataOwner(3)), 0.05 ether + pay, "payout and deposit");
        eq(market.owed(id, market.committeeOf(id)[4]), 0.01 ether, "fee");
        eq(market.owed(id, model), 1 ether - 12 * pay, "dust");
        eq(market.owed(id, address(0x1234)), 0, "stranger");
        eq(claim(id, dataOwner(3)), 0.05 ether + pay, "paid");
        eq(market.owed(id, dataOwner(3)), 0, "once");
        vm.expectRevert(abi.encodeWithSelector(NothingOwed.selector, dataOwner(3)));
        vm.prank(dataOwner(3));
        market.claim(id);
    }

    /// @dev The parts of those who are not accepted go back to the owner: nobody gains by sabotage.
    function testSharesOfTheOthersGoBack() public {
        uint256 id = started(quiet(), IDataMarket.Phase.Valid);
        uint16[] memory order = orderOf(id);
        postAll(id, 2, 0xfff & ~(1 << order[0]));
        postBatch(id, 15, zeros(15));
        vm.prank(model);
        market.acknowledge(id);
        uint256 pay = uint256(1 ether) / 12;
        eq(market.owed(id, dataOwner(order[0])), 0.05 ether, "deposit only");
        eq(market.owed(id, dataOwner(order[1])), 0.05 ether + pay, "no more than before");
        eq(market.owed(id, model), 1 ether - 11 * pay, "the rest");
    }

    function testFeeNeedsEveryBitmap() public {
        uint256 id = started(quiet(), IDataMarket.Phase.Valid);
        for (uint256 seat = 0; seat < 4; ++seat) {
            post(id, seat, 2, all(id));
        }
        expire(id);
        market.poke(id);
        walk(id, IDataMarket.Phase.Finished);
        eq(market.owed(id, market.committeeOf(id)[4]), 0, "no fee");
        eq(market.owed(id, market.committeeOf(id)[3]), 0.01 ether, "fee");
        ok(market.owed(id, model) >= 0.01 ether, "the fee goes back");
    }

    function testNothingBeforeTheEnd() public {
        uint256 id = create(quiet());
        while (phase(id) < IDataMarket.Phase.Finished) {
            eq(market.owed(id, model), 0, "owner");
            eq(market.owed(id, dataOwner(0)), 0, "data owner");
            vm.expectRevert(abi.encodeWithSelector(NotFinal.selector, phase(id)));
            market.claim(id);
            step(id);
        }
    }

    function testAcknowledge() public {
        uint256 id = started(quiet(), IDataMarket.Phase.Batch);
        vm.expectRevert(abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Output, IDataMarket.Phase.Batch));
        vm.prank(model);
        market.acknowledge(id);
        step(id);
        vm.expectRevert(abi.encodeWithSelector(NotOwner.selector, address(this)));
        market.acknowledge(id);
        address prover = market.committeeOf(id)[0];
        eq(registry.prover(prover).locks, 1, "locked");
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.Acknowledged(id);
        vm.prank(model);
        market.acknowledge(id);
        eq(registry.prover(prover).locks, 0, "unlocked");
    }

    /// @dev The owner cannot hold anything back by not answering.
    function testOwnerGone() public {
        uint256 id = started(quiet(), IDataMarket.Phase.Output);
        expire(id);
        eq(claim(id, dataOwner(0)), 0.05 ether + uint256(1 ether) / 12, "a claim finishes the session");
        isPhase(id, IDataMarket.Phase.Finished);
        vm.expectRevert(
            abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Output, IDataMarket.Phase.Finished)
        );
        vm.prank(model);
        market.acknowledge(id);
    }

    // ------------------------------------------------------------------------------------------- gas

    function testGasIsPaidBack() public {
        uint256 id = started(terms(), IDataMarket.Phase.Finished);
        uint256 expected = (Gas.REGISTER + Gas.COMMIT_SHARES + Gas.COMMIT_UPLOAD) * PRICE;
        eq(market.owed(id, dataOwner(0)), 0.05 ether + uint256(1 ether) / 12 + expected, "three transactions");
        eq(market.owed(id, market.committeeOf(id)[0]), 0.01 ether + 3 * Gas.BITMAP * PRICE, "three bitmaps");
        expected += 3 * Gas.CLOSE * PRICE; // closed Register, Keys and Upload
        eq(market.owed(id, dataOwner(11)), 0.05 ether + uint256(1 ether) / 12 + expected, "who closes a phase");
        expected = 0.01 ether + (3 * Gas.BITMAP + 3 * (Gas.CLOSE + Gas.fix(5))) * PRICE;
        eq(market.owed(id, market.committeeOf(id)[4]), expected, "who fixes a set");
        uint256 units = 3 * (Gas.POKE + Gas.CLOSE + Gas.BEACON) + 5 * Gas.DRAW + Gas.GROUPS + 12 * Gas.GROUPS_EACH
            + Gas.batch(4, 6, 12, 0);
        eq(market.owed(id, address(this)), units * PRICE, "pokes, order, batch");
    }

    function testOnlyTheFirstPokeIsPaid() public {
        uint256 id = create(terms());
        mine(1);
        address late = address(0x77);
        market.poke(id);
        vm.prank(late);
        market.poke(id);
        walk(id, IDataMarket.Phase.Finished);
        eq(market.owed(id, late), 0, "no effect, no pay");
    }

    function testCap() public {
        IDataMarket.Params memory p = terms();
        uint256 id = create(p);
        vm.fee(100 gwei);
        walk(id, IDataMarket.Phase.Register);
        join(id, 0);
        expire(id);
        market.poke(id);
        eq(market.owed(id, dataOwner(0)), 0.05 ether + Gas.REGISTER * 2 gwei, "capped at 2 gwei");
    }

    function testNoBaseFee() public {
        vm.fee(0);
        uint256 id = started(terms(), IDataMarket.Phase.Finished);
        eq(market.owed(id, address(this)), 0, "nothing to pay back");
    }

    /// @dev With the base fee above the cap all along, the busiest session stays within its budget.
    function testWorstCaseFitsTheBudget() public {
        IDataMarket.Params memory p = terms();
        vm.fee(100 gwei);
        uint256 id = started(p, IDataMarket.Phase.Bundles);
        postAll(id, 0, 0xfff);
        walk(id, IDataMarket.Phase.Batch);
        attest(id, 1, 1);
        attest(id, 1, 2);
        attest(id, 1, 4);
        walk(id, IDataMarket.Phase.Finished);
        uint256 credits;
        address[] memory who = everybody(id);
        for (uint256 i = 0; i < who.length; ++i) {
            if (who[i] != model) credits += market.owed(id, who[i]);
        }
        credits -= 4 * 0.01 ether + 12 * (uint256(1 ether) / 12) + 9 * 0.05 ether;
        ok(credits <= market.requiredEscrow(p) - 1.05 ether, "budget");
        uint256 units = credits / 2 gwei;
        uint256 expected = 12 * (Gas.REGISTER + Gas.COMMIT_SHARES + Gas.COMMIT_UPLOAD + Gas.GROUPS_EACH) + Gas.GROUPS
            + 5 * (3 * Gas.BITMAP + Gas.DRAW) + 3 * (Gas.BEACON + Gas.POKE + Gas.fix(5)) + 9 * Gas.CLOSE
            + Gas.batch(4, 6, 12, 0) + 2 * Gas.attest(4, 1, 12) + Gas.SLASH;
        eq(units, expected, "every call once, two of three attestations");
    }

    /// @dev Any reward, fee, deposit: all that came in goes out, and nobody accepted gets less than the others.
    function testFuzzAllIsPaidOut(uint96 reward, uint96 fee, uint96 deposit, uint16 valid, uint16 price) public {
        IDataMarket.Params memory p = terms();
        (p.reward, p.proverFee, p.deposit) = (uint128(reward) + 1, fee, deposit);
        p.rule = 0;
        vm.fee(price);
        for (uint256 i = 0; i < 12; ++i) {
            vm.deal(dataOwner(i), 1 ether + uint256(deposit));
        }
        vm.deal(model, 1e30);
        uint256 id = started(p, IDataMarket.Phase.Valid);
        postAll(id, 2, valid & 0xfff);
        uint256 passed = ready(id, valid & 0xfff);
        postBatch(id, passed, zeros(passed));
        if (phase(id) == IDataMarket.Phase.Output) step(id);
        uint256 held = address(market).balance;
        eq(view_(id).escrow, held, "escrow");
        eq(claimAll(id), held, "all");
        eq(address(market).balance, 0, "nothing left");
    }

    function ready(uint256 id, uint256 valid) private view returns (uint256 passed) {
        uint16[] memory order = orderOf(id);
        for (uint256 r = 0; r < 4; ++r) {
            uint256 count;
            for (uint256 i = 3 * r; i < 3 * r + 3; ++i) {
                count += (valid >> order[i]) & 1;
            }
            if (count >= 2) passed |= 1 << r;
        }
    }
}
