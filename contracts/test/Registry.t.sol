// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {TransferFailed} from "../src/Errors.sol";
import {IProverRegistry} from "../src/IProverRegistry.sol";
import {ProverRegistry} from "../src/ProverRegistry.sol";
import {Test} from "./base/Test.sol";

/// @dev This contract is the market.
contract RegistryTest is Test {
    ProverRegistry private _registry;
    uint256 private _height = 10;

    function setUp() public {
        _registry = new ProverRegistry(1 ether, 100);
        _registry.setMarket(address(this));
        vm.roll(_height);
    }

    function enlist(uint256 i, uint256 stake) private returns (address who) {
        who = address(uint160(0x1000 + i));
        vm.deal(who, stake);
        vm.prank(who);
        _registry.register{value: stake}(bytes32(i + 1), bytes32(i + 2));
    }

    function exit(address who) private {
        vm.prank(who);
        _registry.requestExit();
    }

    function mine(uint256 blocks) private {
        _height += blocks;
        vm.roll(_height);
    }

    function testRegister() public {
        vm.expectEmit(true, true, true, true, address(_registry));
        emit IProverRegistry.StakeAdded(address(0x1000), 1 ether, 1 ether);
        vm.expectEmit(true, true, true, true, address(_registry));
        emit IProverRegistry.ProverRegistered(address(0x1000), bytes32(uint256(1)), bytes32(uint256(2)), 1 ether);
        address who = enlist(0, 1 ether);
        IProverRegistry.Prover memory p = _registry.prover(who);
        ok(
            p.drawable && p.stake == 1 ether && p.peerKey == bytes32(uint256(1)) && p.encKey == bytes32(uint256(2)),
            "kept"
        );
        eq(_registry.drawableCount(), 1, "count");
        enlist(0, 0.5 ether);
        eq(_registry.prover(who).stake, 1.5 ether, "added");
        eq(_registry.drawableCount(), 1, "still one");
        vm.prank(who);
        _registry.register("new", "keys");
        ok(_registry.prover(who).peerKey == "new", "keys changed");
    }

    function testRegisterRefused() public {
        vm.deal(address(1), 2 ether);
        vm.startPrank(address(1));
        vm.expectRevert(ProverRegistry.EmptyKeys.selector);
        _registry.register{value: 1 ether}(0, "x");
        vm.expectRevert(ProverRegistry.EmptyKeys.selector);
        _registry.register{value: 1 ether}("x", 0);
        vm.expectRevert(abi.encodeWithSelector(ProverRegistry.StakeTooLow.selector, 1 ether - 1, 1 ether));
        _registry.register{value: 1 ether - 1}("x", "y");
        vm.expectRevert(abi.encodeWithSelector(ProverRegistry.NotRegistered.selector, address(1)));
        _registry.requestExit();
        vm.expectRevert(abi.encodeWithSelector(ProverRegistry.CannotWithdraw.selector, 0, 0));
        _registry.withdraw();
        vm.stopPrank();
    }

    /// @dev Shares are sealed to the keys of a committee member: it can add stake, not change keys.
    function testKeysAreLocked() public {
        address who = enlist(0, 1 ether);
        _registry.draw("b", 1);
        vm.deal(who, 1 ether);
        vm.startPrank(who);
        vm.expectRevert(abi.encodeWithSelector(ProverRegistry.KeysLocked.selector, 1));
        _registry.register("new", bytes32(uint256(2)));
        vm.expectRevert(abi.encodeWithSelector(ProverRegistry.KeysLocked.selector, 1));
        _registry.register(bytes32(uint256(1)), "new");
        _registry.register{value: 1 ether}(bytes32(uint256(1)), bytes32(uint256(2)));
        vm.stopPrank();
        eq(_registry.prover(who).stake, 2 ether, "added");
    }

    function testExit() public {
        address who = enlist(0, 3 ether);
        vm.expectEmit(true, true, true, true, address(_registry));
        emit IProverRegistry.ExitRequested(who, uint64(_height + 100));
        exit(who);
        eq(_registry.drawableCount(), 0, "not drawable");
        vm.startPrank(who);
        vm.expectRevert(abi.encodeWithSelector(ProverRegistry.AlreadyLeaving.selector, _height + 100));
        _registry.requestExit();
        mine(100);
        vm.expectRevert(abi.encodeWithSelector(ProverRegistry.CannotWithdraw.selector, _height, 0));
        _registry.withdraw();
        mine(1);
        _registry.withdraw();
        eq(who.balance, 3 ether, "stake back");
        vm.expectRevert(abi.encodeWithSelector(ProverRegistry.CannotWithdraw.selector, 0, 0));
        _registry.withdraw();
        vm.stopPrank();
        eq(address(_registry).balance, 0, "empty");
    }

    function testComeBack() public {
        address who = enlist(0, 1 ether);
        exit(who);
        enlist(0, 0);
        ok(_registry.prover(who).drawable && _registry.prover(who).exitBlock == 0, "stays");
    }

    /// @dev Locked: no withdrawal; afterwards the delay starts anew.
    function testLocked() public {
        address who = enlist(0, 1 ether);
        address[] memory drawn = _registry.draw("b", 1);
        exit(who);
        mine(500);
        vm.expectRevert(abi.encodeWithSelector(ProverRegistry.CannotWithdraw.selector, 110, 1));
        vm.prank(who);
        _registry.withdraw();
        _registry.unlock(drawn);
        eq(_registry.prover(who).exitBlock, _height + 100, "waits");
        mine(101);
        vm.prank(who);
        _registry.withdraw();
    }

    function testSlash() public {
        address who = enlist(0, 2.5 ether);
        vm.expectEmit(true, true, true, true, address(_registry));
        emit IProverRegistry.Slashed(who, 7, 1 ether);
        eq(_registry.slash(who, 7), 1 ether, "burned");
        ok(_registry.prover(who).drawable, "enough left");
        eq(_registry.slash(who, 8), 1 ether, "burned");
        ok(!_registry.prover(who).drawable, "too little left");
        eq(_registry.slash(who, 9), 0.5 ether, "what is there");
        eq(_registry.slash(who, 9), 0, "nothing is there");
        eq(address(0xdEaD).balance, 2.5 ether, "burned");
        enlist(0, 1 ether);
        ok(_registry.prover(who).drawable, "back");
    }

    function testMarketOnly() public {
        vm.startPrank(address(5));
        vm.expectRevert(abi.encodeWithSelector(ProverRegistry.NotMarket.selector, address(5)));
        _registry.draw("b", 0);
        vm.expectRevert(abi.encodeWithSelector(ProverRegistry.NotMarket.selector, address(5)));
        _registry.unlock(new address[](0));
        vm.expectRevert(abi.encodeWithSelector(ProverRegistry.NotMarket.selector, address(5)));
        _registry.slash(address(5), 1);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(5)));
        _registry.setMarket(address(5));
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(ProverRegistry.MarketAlreadySet.selector, address(this)));
        _registry.setMarket(address(5));
    }

    function testNotEnough() public {
        enlist(0, 1 ether);
        vm.expectRevert(abi.encodeWithSelector(ProverRegistry.NotEnoughDrawable.selector, 1, 2));
        _registry.draw("b", 2);
    }

    /// @dev n distinct drawable provers, each locked once, whatever joined and left before.
    function testFuzzDraw(bytes32 beacon, uint8 count, uint8 n, uint32 leavers) public {
        count = uint8(bound(count, 1, 24));
        for (uint256 i = 0; i < count; ++i) {
            enlist(i, 1 ether);
        }
        uint256 rest = count;
        for (uint256 i = 0; i < count; ++i) {
            if ((leavers >> i) & 1 == 1) {
                exit(address(uint160(0x1000 + i)));
                --rest;
            }
        }
        eq(_registry.drawableCount(), rest, "count");
        n = uint8(bound(n, 0, rest));
        address[] memory drawn = _registry.draw(beacon, n);
        eq(drawn.length, n, "length");
        for (uint256 i = 0; i < n; ++i) {
            IProverRegistry.Prover memory p = _registry.prover(drawn[i]);
            ok(p.drawable && p.locks == 1, "drawable, once");
        }
    }

    /// @dev Against Fisher-Yates on an array.
    function testFuzzDrawIsFisherYates(bytes32 beacon, uint8 n) public {
        uint256 count = 9;
        address[] memory deck = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            deck[i] = enlist(i, 1 ether);
        }
        n = uint8(bound(n, 1, count));
        address[] memory drawn = _registry.draw(beacon, n);
        for (uint256 i = 0; i < n; ++i) {
            uint256 j = i + uint256(keccak256(abi.encode(beacon, i))) % (count - i);
            (deck[i], deck[j]) = (deck[j], deck[i]);
            eq(drawn[i], deck[i], "place");
        }
    }

    function testWithdrawToNobody() public {
        Refuser refuser = new Refuser(_registry);
        vm.deal(address(refuser), 1 ether);
        refuser.join();
        refuser.quit();
        mine(101);
        vm.expectRevert(abi.encodeWithSelector(TransferFailed.selector, address(refuser), 1 ether));
        refuser.take();
    }

    function testWithdrawIsNotReentrant() public {
        Greedy greedy = new Greedy(_registry);
        vm.deal(address(greedy), 1 ether);
        enlist(3, 5 ether); // somebody else's money
        greedy.join();
        greedy.quit();
        mine(101);
        greedy.take();
        eq(address(greedy).balance, 1 ether, "once");
        ok(greedy.tried(), "it tried");
    }
}

contract Refuser {
    ProverRegistry internal immutable REGISTRY;

    constructor(ProverRegistry registry) {
        REGISTRY = registry;
    }

    function join() external {
        REGISTRY.register{value: 1 ether}("a", "b");
    }

    function quit() external {
        REGISTRY.requestExit();
    }

    function take() public {
        REGISTRY.withdraw();
    }
}

contract Greedy is Refuser {
    bool public tried;

    constructor(ProverRegistry registry) Refuser(registry) {}

    receive() external payable {
        tried = true;
        try REGISTRY.withdraw() {} catch {}
    }
}
