// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ISecModelUpdate, ISecModelUpdates} from "../../src/onchain/ISecModelUpdate.sol";
import {Test} from "./Test.sol";

/// @dev Sessions of the on-chain baseline with models and pairwise masks as data owners make them. Known by interface alone.
abstract contract OnchainBase is Test {
    uint256 internal constant CHUNK = 250;

    ISecModelUpdates internal factory;
    ISecModelUpdate internal head;
    address internal owner = address(0xACE);
    uint256 internal height = 100;
    uint16 internal rounds = 3; // R
    uint16 internal groupSize = 3; // N
    mapping(uint256 round => int64) internal shift; // what a spoilt round adds to every parameter

    function setUp() public virtual {
        factory = ISecModelUpdates(vm.deployCode("SecModelUpdates.sol:SecModelUpdates", ""));
        vm.deal(owner, 1e9 ether);
        vm.fee(1 gwei);
        vm.roll(height);
    }

    // ------------------------------------------------------------------------------------------- the world

    function mine(uint256 blocks) internal {
        height += blocks;
        vm.roll(height);
    }

    /// @dev To the first block after the deadline of the present state.
    function expire() internal {
        uint256 deadline = head.stateView().deadline;
        if (height <= deadline) mine(deadline + 1 - height);
    }

    function dataOwner(uint256 place) internal pure returns (address) {
        return address(uint160(0xD0000 + place));
    }

    function isState(ISecModelUpdate.State expected) internal view {
        eq(uint256(head.stateView().state), uint256(expected), "state");
    }

    // ------------------------------------------------------------------------------------------- a session

    function terms(uint32 dimension) internal pure returns (ISecModelUpdate.Terms memory t) {
        t.docDigest = bytes32(uint256(1));
        t.ownerPeer = bytes32(uint256(2));
        t.reward = 1 ether;
        t.gasPriceCap = 2 gwei;
        t.dimension = dimension;
        t.muBps = 2500;
        t.mKrum = 1;
        (t.registerBlocks, t.uploadBlocks, t.settleBlocks) = (10, 20, 15);
    }

    function training() internal view returns (ISecModelUpdate.Training memory) {
        return ISecModelUpdate.Training(100, 2, 10, rounds, groupSize);
    }

    /// @dev With exactly what it needs.
    function create(ISecModelUpdate.Terms memory t) internal {
        uint256 price = factory.quote(t, rounds, groupSize);
        vm.prank(owner);
        head = ISecModelUpdate(factory.headOf(factory.create{value: price}(t)));
    }

    function postModel() internal {
        uint16 chunks = head.stateView().chunks;
        for (uint16 c = 0; c < chunks; ++c) {
            uint256[] memory words = initial(c);
            vm.prank(owner);
            head.postModel(c, words);
        }
    }

    /// @dev In Register.
    function started(ISecModelUpdate.Terms memory t) internal {
        create(t);
        postModel();
        vm.prank(owner);
        head.start(training());
    }

    function join(uint256 place) internal {
        vm.prank(dataOwner(place), dataOwner(place)); // a transaction of its own, sent by a wallet
        head.register(bytes32(place + 1));
    }

    function key(uint256 place) internal {
        vm.prank(dataOwner(place), dataOwner(place)); // a transaction of its own, sent by a wallet
        head.postKey(bytes32(place + 1));
    }

    /// @dev In ModelAggregate, every round full.
    function filled(ISecModelUpdate.Terms memory t) internal {
        started(t);
        for (uint256 p = 0; p < uint256(rounds) * groupSize; ++p) {
            join(p);
        }
        for (uint256 p = 0; p < uint256(rounds) * groupSize; ++p) {
            key(p);
        }
    }

    function upload(uint256 place, uint16 chunk) internal {
        uint256[] memory words = masked(place, chunk);
        vm.prank(dataOwner(place), dataOwner(place)); // a transaction of its own, sent by a wallet
        head.upload(chunk, words);
    }

    /// @dev Everything of the members of rounds in `which`.
    function uploadAll(uint256 which) internal {
        uint16 chunks = head.stateView().chunks;
        for (uint256 p = 0; p < uint256(rounds) * groupSize; ++p) {
            if ((which >> (p / groupSize)) & 1 == 0) continue;
            for (uint16 c = 0; c < chunks; ++c) {
                upload(p, c);
            }
        }
    }

    function measureAll() internal {
        uint16 chunks = head.stateView().chunks;
        for (uint16 c = 0; c < chunks; ++c) {
            head.measure(c);
        }
    }

    /// @dev In Payment, with output.
    function finished(ISecModelUpdate.Terms memory t) internal {
        filled(t);
        uploadAll(type(uint256).max);
        measureAll();
        head.select();
    }

    function claim(address who) internal returns (uint256) {
        vm.prank(who);
        return head.claim();
    }

    function exit() internal returns (uint256) {
        vm.prank(owner);
        return head.exit();
    }

    // ------------------------------------------------------------------------------------------- models and masks

    /// @dev Parameter i of the model that the data owner at `place` trained, times 10^8.
    function value(uint256 place, uint256 i) internal view returns (int64) {
        int256 noise = int256(uint256(keccak256(abi.encode("noise", place, i))) % 2_000_001) - 1_000_000;
        return int64(int256(i) * 1_000_000 - 50_000_000 + noise) + shift[place / groupSize];
    }

    /// @dev Parameter i with the masks that cancel in the sum of the round: + for the lower of a pair, - for the higher.
    function maskedLane(uint256 place, uint256 i) internal view returns (uint64 lane) {
        unchecked {
            lane = uint64(value(place, i));
            uint256 first = place - place % groupSize;
            for (uint256 other = first; other < first + groupSize; ++other) {
                if (other < place) lane -= uint64(uint256(keccak256(abi.encode(other, place, i))));
                else if (other > place) lane += uint64(uint256(keccak256(abi.encode(place, other, i))));
            }
        }
    }

    function masked(uint256 place, uint16 chunk) internal view returns (uint256[] memory words) {
        words = empty(chunk);
        uint256 count = parametersOf(chunk);
        for (uint256 j = 0; j < count; ++j) {
            words[j / 4] |= uint256(maskedLane(place, chunk * CHUNK + j)) << (192 - 64 * (j % 4));
        }
    }

    function initial(uint16 chunk) internal view returns (uint256[] memory words) {
        words = empty(chunk);
        uint256 count = parametersOf(chunk);
        for (uint256 j = 0; j < count; ++j) {
            words[j / 4] |= uint256(uint64(int64(int256(chunk * CHUNK + j)) - 7)) << (192 - 64 * (j % 4));
        }
    }

    function empty(uint16 chunk) internal view returns (uint256[] memory) {
        return new uint256[]((parametersOf(chunk) + 3) / 4);
    }

    function parametersOf(uint16 chunk) internal view returns (uint256) {
        uint256 left = head.terms().dimension - chunk * CHUNK;
        return left < CHUNK ? left : CHUNK;
    }

    /// @dev Parameter j of a chunk's words, read as signed.
    function laneOf(uint256[] memory words, uint256 j) internal pure returns (int64) {
        return int64(uint64(words[j / 4] >> (192 - 64 * (j % 4))));
    }

    /// @dev Sum of parameter i over the rounds in `which`, without masks.
    function plain(uint256 which, uint256 i) internal view returns (int256 total) {
        for (uint256 p = 0; p < uint256(rounds) * groupSize; ++p) {
            if ((which >> (p / groupSize)) & 1 == 1) total += value(p, i);
        }
    }
}
