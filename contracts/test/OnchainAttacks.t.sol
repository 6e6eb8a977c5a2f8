// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/onchain/ISecModelUpdate.sol";
import {OnchainBase} from "./base/OnchainBase.sol";

/// @dev What somebody may try for the owner's money and for other people's data; each was possible once.
contract OnchainAttacksTest is OnchainBase {
    uint256 private constant WORDS = 63;

    receive() external payable {}

    /// @dev One contract that drives clones shares everything that is cold: it gets back no more than it spends.
    function testAFarmOfContractsGainsNothing() public {
        (uint256 used, uint256 units) = farm(4, 4, 500, false);
        ok(units < used, "credited more than was spent");
        ok(units * 3 > used, "what was spent counts all the same");
    }

    /// @dev Words written and made 0 again in one transaction give gas back, a fifth of it at most.
    function testUndoingGainsNothing() public {
        (uint256 used, uint256 units) = farm(2, 4, 250, true);
        ok(units <= used * 4 / 5, "more than 80 %");
    }

    /// @dev All places taken by puppets, every chunk by everybody.
    function farm(uint16 r, uint16 n, uint32 d, bool undo) private returns (uint256 used, uint256 units) {
        (rounds, groupSize) = (r, n);
        vm.fee(1 gwei);
        started(terms(d));
        Farm driver = new Farm(head, uint256(r) * n);
        used = gasleft();
        driver.enter();
        used -= gasleft();
        for (uint16 c = 0; c < d / CHUNK; ++c) {
            uint256 before = gasleft();
            driver.upload(c, undo);
            used += before - gasleft();
        }
        units = unitsDue();
    }

    function unitsDue() private view returns (uint256) {
        ISecModelUpdate.SessionView memory v = head.stateView();
        return (v.due - (v.selected == 0 ? 0 : head.terms().reward)) / 1 gwei;
    }

    /// @dev Zeros cost half of what a masked model does, and are paid back as such.
    function testZerosArePaidAtWhatTheyCost() public {
        (rounds, groupSize) = (1, 5);
        filled(terms(250));
        uint256 masked_ = uploadUnits(0, masked(0, 0));
        uint256 zeros = uploadUnits(1, new uint256[](WORDS));
        ok(zeros * 2 < masked_, "zeros");
        uint256 again = uploadUnits(2, masked(2, 0));
        uint256[] memory back = head.sum(0, 0); // all 0 again: a transaction gets up to a fifth back for it
        for (uint256 i = 0; i < WORDS; ++i) {
            back[i] = negative(back[i]);
        }
        uint256 cleared = uploadUnits(3, back);
        ok(cleared * 100 < again * 82, "four fifths");
    }

    function negative(uint256 word) private pure returns (uint256 result) {
        for (uint256 shift_ = 0; shift_ < 256; shift_ += 64) {
            unchecked {
                result |= uint256(uint64(0) - uint64(word >> shift_)) << shift_;
            }
        }
    }

    function uploadUnits(uint256 place, uint256[] memory words) private returns (uint256) {
        address who = dataOwner(place);
        uint256 before = head.memberOf(who).credit;
        vm.prank(who, who);
        head.upload(0, words);
        return (head.memberOf(who).credit - before) / 1 gwei;
    }

    /// @dev A wallet that has delegated itself to code may put many calls into one transaction, like any contract.
    function testADelegatedWalletIsLikeAContract() public {
        started(terms(10));
        join(0);
        address who = dataOwner(1);
        vm.etch(who, abi.encodePacked(hex"ef0100", address(this)));
        join(1);
        ok(head.memberOf(who).credit < head.memberOf(dataOwner(0)).credit * 3 / 5, "no transaction of its own");
    }

    /// @dev An owner that lets the choice time out pays all complete rounds.
    function testSilenceOfTheOwnerCostsNobodyElse() public {
        filled(terms(10));
        uploadAll(5);
        expire();
        head.poke();
        isState(ISecModelUpdate.State.OutlierSuppression);
        expire();
        head.poke();
        eq(head.stateView().selected, 5, "all complete rounds");
        (uint256[] memory words, uint256 count) = head.result(0);
        eq(count, 6, "models");
        ok(laneOf(words, 9) == plain(5, 9), "their sum");
        for (uint256 p = 0; p < 9; ++p) {
            uint256 share = p / 3 == 1 ? 0 : uint256(1 ether) / 6;
            eq(head.owed(dataOwner(p)) - head.memberOf(dataOwner(p)).credit, share, "share");
        }
        eq(claim(address(this)) > 0 ? 1 : 0, 1, "whoever poked has gas to claim");
    }

    /// @dev After a reorganisation another session may get the number: never the address.
    function testAHeadBelongsToItsTerms() public {
        uint256 before = vm.snapshotState();
        create(terms(250));
        address first = address(head);
        vm.revertToState(before);
        before = vm.snapshotState();
        create(terms(100));
        ok(address(head) != first, "other terms");
        vm.revertToState(before);
        before = vm.snapshotState();
        owner = address(0xBAD);
        vm.deal(owner, 1e9 ether);
        create(terms(250));
        ok(address(head) != first, "another owner");
        vm.revertToState(before);
        owner = address(0xACE);
        create(terms(250));
        eq(address(head), first, "the same again");
    }
}

contract Puppet {
    address private immutable BOSS = msg.sender;

    function go(ISecModelUpdate head, bytes calldata call) external {
        require(msg.sender == BOSS);
        (bool done,) = address(head).call(call);
        require(done);
    }
}

contract Farm {
    ISecModelUpdate private immutable HEAD;
    Puppet[] private _puppets;

    constructor(ISecModelUpdate head, uint256 count) {
        HEAD = head;
        for (uint256 i = 0; i < count; ++i) {
            _puppets.push(new Puppet());
        }
    }

    function enter() external {
        for (uint256 i = 0; i < _puppets.length; ++i) {
            _puppets[i].go(HEAD, abi.encodeCall(HEAD.register, (bytes32("peer"))));
            _puppets[i].go(HEAD, abi.encodeCall(HEAD.postKey, (bytes32("key"))));
        }
    }

    /// @dev Zeros, or 1 and -1 by turns.
    function upload(uint16 chunk, bool undo) external {
        for (uint256 i = 0; i < _puppets.length; ++i) {
            uint256[] memory words = new uint256[](63);
            for (uint256 j = 0; undo && j < 63; ++j) {
                words[j] = (i % 2 == 0 ? 1 : uint256(type(uint64).max)) << 192;
            }
            _puppets[i].go(HEAD, abi.encodeCall(HEAD.upload, (chunk, words)));
        }
    }
}
