// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import "../src/onchain/ISecModelUpdate.sol";
import {SecModelGas} from "../src/onchain/SecModelGas.sol";
import {OnchainBase} from "./base/OnchainBase.sol";

/// @dev The money of the on-chain baseline, whatever people do.
contract OnchainMoneyTest is OnchainBase {
    uint256 private constant PEOPLE = 8; // 0: the owner, 7: nobody in particular

    /// @dev Random calls by everybody at a base fee above the cap, with exactly the money that start wants: at every step
    /// what is due is there, and in the end everybody has everything and nothing stays.
    /// forge-config: default.fuzz.runs = 48
    function testFuzzMoney(uint256 seed) public {
        rounds = uint16(1 + seed % 3);
        groupSize = 2;
        vm.fee(5 gwei);
        ISecModelUpdate.Terms memory t = terms(uint32(1 + (seed >> 8) % 8));
        t.mKrum = uint16(1 + (seed >> 16) % rounds);
        started(t);
        uint256 deposit = address(head).balance;
        uint256 paid;
        for (uint256 i = 0; i < 80; ++i) {
            paid += act(uint256(keccak256(abi.encode(seed, i))), t.dimension);
            solvent();
        }
        while (head.stateView().state < ISecModelUpdate.State.Payment) {
            expire();
            head.poke();
            solvent();
        }
        if ((seed >> 24) & 1 == 1) paid += tryExit(); // before the others, or after them
        for (uint256 who = 0; who < PEOPLE; ++who) {
            paid += tryClaim(person(who));
            eq(head.owed(person(who)), 0, "paid twice");
        }
        paid += tryClaim(address(this)) + tryExit();
        eq(address(head).balance, 0, "nothing stays");
        eq(paid, deposit, "all of it");
    }

    function solvent() private view {
        ISecModelUpdate.SessionView memory v = head.stateView();
        ok(v.due <= v.held, "due is there");
        if (v.state == ISecModelUpdate.State.Finished) eq(v.due, v.held, "the rest is gone");
        if (v.state < ISecModelUpdate.State.Payment) ok(v.due + head.terms().reward <= v.held, "the reward is there");
        ok(v.complete & ~v.live == 0 && v.selected & ~v.complete == 0, "selected, complete, live");
    }

    function person(uint256 i) private view returns (address) {
        return i == 0 ? owner : dataOwner(i - 1);
    }

    /// @dev One call by somebody, mostly one that makes sense.
    function act(uint256 dice, uint256 dimension) private returns (uint256 got) {
        address who = person((dice >> 8) % PEOPLE);
        uint256 kind = dice % 10;
        if (kind == 8) return tryClaim(who);
        if (kind == 9) {
            if ((dice >> 16) % 8 == 0) expire();
            else mine(1);
            if ((dice >> 32) % 4 == 0) return tryExit();
            return 0;
        }
        ISecModelUpdate.State state = head.stateView().state;
        bytes memory call = abi.encodeCall(head.poke, ());
        if (state == ISecModelUpdate.State.Register) {
            if (kind < 4) call = abi.encodeCall(head.register, (bytes32("peer")));
            else if (kind < 7) call = abi.encodeCall(head.postKey, (bytes32("key")));
        } else if (state == ISecModelUpdate.State.ModelAggregate) {
            if (kind < 7) call = abi.encodeCall(head.upload, (0, lanes(dice, dimension)));
        } else if (kind < 5) {
            call = kind < 3 ? abi.encodeCall(head.measure, (0)) : abi.encodeCall(head.select, ());
        }
        vm.prank(who);
        (bool done,) = address(head).call(call);
        done; // a refusal is an answer too
        return 0;
    }

    /// @dev Zeros, x, -x or random words: also those that let a sum become 0 again.
    function lanes(uint256 dice, uint256 dimension) private pure returns (uint256[] memory words) {
        words = new uint256[]((dimension + 3) / 4);
        uint256 choice = (dice >> 40) % 4;
        for (uint256 j = 0; j < dimension; ++j) {
            uint64 lane = choice == 0 ? 0 : choice == 1 ? 1 : choice == 2 ? type(uint64).max : uint64(dice >> (j * 16));
            words[j / 4] |= uint256(lane) << (192 - 64 * (j % 4));
        }
    }

    function tryClaim(address who) private returns (uint256 amount) {
        amount = head.owed(who);
        uint256 before = who.balance;
        vm.prank(who);
        (bool done,) = address(head).call(abi.encodeCall(head.claim, ()));
        ok(done == (amount != 0), "claim");
        eq(who.balance, before + amount, "what was owed");
    }

    function tryExit() private returns (uint256 amount) {
        uint256 before = owner.balance;
        vm.prank(owner);
        (bool done,) = address(head).call(abi.encodeCall(head.exit, ()));
        amount = owner.balance - before;
        ok(done || amount == 0, "exit");
    }

    /// @dev Sums that become 0 again and again: fresh words are paid for once.
    function testFreshWordsArePaidOnce() public {
        (rounds, groupSize) = (1, 4);
        vm.fee(2 gwei);
        filled(terms(250));
        uint96[4] memory paid;
        for (uint256 p = 0; p < 4; ++p) {
            uint256[] memory words = new uint256[](63);
            for (uint256 i = 0; i < 63; ++i) {
                words[i] = uint256(p % 2 == 0 ? 1 : type(uint64).max) << 192; // 1, -1, 1, -1
            }
            uint96 before = head.memberOf(dataOwner(p)).credit;
            vm.prank(dataOwner(p), dataOwner(p));
            head.upload(0, words);
            paid[p] = head.memberOf(dataOwner(p)).credit - before;
        }
        ok(paid[0] > 2 * paid[2], "the first");
        eq(paid[2], SecModelGas.upload(63, 0) * 2 gwei, "not again");
        ok(head.stateView().complete == 1, "complete");
        eq(head.sum(0, 0)[0], 0, "sum");
    }

    /// @dev What is held at the start is enough when everybody does everything at the cap and is paid the fixed units,
    /// and not much is left: summed here, for in one transaction much is warm and what was spent is less.
    function testTheBudgetIsTight() public {
        (rounds, groupSize) = (4, 3);
        vm.fee(9 gwei);
        ISecModelUpdate.Terms memory t = terms(260);
        finished(t);
        ISecModelUpdate.SessionView memory v = head.stateView();
        uint256 budget = v.held - t.reward;
        uint256 units = 12 * (SecModelGas.REGISTER + SecModelGas.KEY) + 2 * SecModelGas.CLOSE; // of Register, of uploads
        for (uint256 c = 0; c < 2; ++c) {
            uint256 words = SecModelGas.wordsOf(260, c);
            units += 4 * (SecModelGas.upload(words, words) + 2 * SecModelGas.upload(words, 0));
            units += SecModelGas.measure(4, words, c == 0);
        }
        units += SecModelGas.select(4, t.mKrum);
        uint256 most = units * t.gasPriceCap;
        ok(most < budget && most * 100 > budget * 95, "95 to 100 %");
        ok(v.due - t.reward / 3 * 3 <= most, "what is paid");
    }

    /// @dev The base fee counts where it is below the cap.
    function testTheLowerPriceCounts() public {
        started(terms(10));
        join(0);
        vm.fee(2 gwei);
        join(1);
        vm.fee(50 gwei);
        join(2);
        uint256 low = head.memberOf(dataOwner(0)).credit;
        uint256 high = head.memberOf(dataOwner(1)).credit;
        ok(high * 100 > low * 199 && high * 100 < low * 201, "at the cap");
        uint256 higher = head.memberOf(dataOwner(2)).credit;
        ok(higher * 100 > low * 199 && higher * 100 < low * 201, "above it");
    }

    /// @dev From Setup the owner has everything back, also without enough to start.
    function testExitFromSetup() public {
        ISecModelUpdate.Terms memory t = terms(260);
        vm.prank(owner);
        head = ISecModelUpdate(factory.headOf(factory.create{value: 1 ether}(t)));
        eq(exit(), 1 ether, "the deposit");
        isState(ISecModelUpdate.State.Finished);
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, 0));
        head.poke();
        vm.expectRevert(abi.encodeWithSelector(NothingDue.selector, owner));
        claim(owner);
    }

    /// @dev A data owner that is a contract and tries everything while it is being paid; so does the owner.
    function testReentrancy() public {
        (rounds, groupSize) = (1, 2);
        Thief owning = new Thief();
        owner = address(owning);
        vm.deal(owner, 100 ether);
        started(terms(10));
        Thief thief = new Thief();
        vm.prank(address(thief));
        head.register(bytes32("peer"));
        join(1);
        vm.prank(address(thief));
        head.postKey(bytes32("key"));
        key(1);
        uint256[] memory words = masked(0, 0);
        vm.prank(address(thief));
        head.upload(0, words);
        upload(1, 0);
        thief.aim(head);
        owning.aim(head);
        uint256 due = head.owed(address(thief));
        eq(claim(address(thief)), due, "what is due");
        eq(address(thief).balance, due, "and no more");
        exit();
        eq(thief.blocked() + owning.blocked(), 4, "all were tried");
        ok(claim(dataOwner(1)) != 0, "the others are paid");
        eq(address(head).balance, 0, "everybody was paid");
    }

    /// @dev Whoever refuses money harms itself alone.
    function testRefusesMoney() public {
        (rounds, groupSize) = (1, 2);
        finishedWithWall();
        uint256 due = head.owed(address(this));
        vm.expectRevert(abi.encodeWithSelector(PaymentFailed.selector, address(this), due));
        head.claim();
        ok(claim(dataOwner(1)) != 0, "others are paid");
        exit();
        eq(head.owed(address(this)), due, "it is still there");
        eq(address(head).balance, due, "and held");
    }

    /// @dev This contract takes no money.
    function finishedWithWall() private {
        started(terms(10));
        head.register(bytes32("peer"));
        join(1);
        head.postKey(bytes32("key"));
        key(1);
        head.upload(0, masked(0, 0));
        upload(1, 0);
    }

    receive() external payable {
        if (groupSize == 2 && rounds == 1 && address(head).code.length != 0 && head.memberOf(address(this)).place != 0)
        {
            revert("no");
        }
    }
}

contract Thief {
    ISecModelUpdate private _head;
    uint256 public blocked;

    function aim(ISecModelUpdate head) external {
        _head = head;
    }

    receive() external payable {
        if (address(_head) == address(0)) return;
        blocked += tried(abi.encodeCall(_head.claim, ())) + tried(abi.encodeCall(_head.exit, ()));
    }

    function tried(bytes memory call) private returns (uint256) {
        (bool done, bytes memory answer) = address(_head).call(call);
        bytes4 expected = ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector;
        return !done && bytes4(answer) == expected ? 1 : 0;
    }
}
