// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/onchain/ISecModelUpdate.sol";
import {OnchainBase} from "./base/OnchainBase.sol";

interface IOpen {
    function open(uint256 id, address owner, ISecModelUpdate.Terms calldata t) external payable;
}

interface IChunk {
    function add(uint256 round, uint256[] calldata words) external;
    function setModel(uint256[] calldata words) external;
}

/// @dev What the on-chain baseline refuses, and how it says so.
contract OnchainRefusalsTest is OnchainBase {
    function refuses(bytes memory reason, address who, bytes memory call) private {
        refusesWith(reason, who, call, 0);
    }

    function refusesWith(bytes memory reason, address who, bytes memory call, uint256 sent) private {
        vm.deal(who, who.balance + sent);
        vm.prank(who);
        (bool done, bytes memory answer) = address(head).call{value: sent}(call);
        ok(!done, "went through");
        eq(uint256(keccak256(answer)), uint256(keccak256(reason)), "reason");
    }

    function wrong(ISecModelUpdate.State expected) private view returns (bytes memory) {
        return abi.encodeWithSelector(WrongState.selector, expected, head.stateView().state);
    }

    function notTheOwner(address who) private pure returns (bytes memory) {
        return abi.encodeWithSelector(NotTheOwner.selector, who);
    }

    /// @dev Every function in every state that is not its own.
    function testWrongState() public {
        create(terms(10));
        everything(ISecModelUpdate.State.Setup);
        postModel();
        vm.prank(owner);
        head.start(training());
        everything(ISecModelUpdate.State.Register);
        for (uint256 p = 0; p < 9; ++p) {
            join(p);
            key(p);
        }
        everything(ISecModelUpdate.State.ModelAggregate);
        uploadAll(7);
        everything(ISecModelUpdate.State.OutlierSuppression);
        measureAll();
        head.select();
        everything(ISecModelUpdate.State.Payment);
        exit();
        everything(ISecModelUpdate.State.Finished);
        refuses(wrong(ISecModelUpdate.State.Payment), owner, abi.encodeCall(head.exit, ()));
    }

    function everything(ISecModelUpdate.State state) private {
        isState(state);
        uint256[] memory words = empty(0);
        ISecModelUpdate.State s = ISecModelUpdate.State.Setup;
        if (state != s) {
            refuses(wrong(s), owner, abi.encodeCall(head.addChunks, (1)));
            refuses(wrong(s), owner, abi.encodeCall(head.whitelist, (new address[](1))));
            refuses(wrong(s), owner, abi.encodeCall(head.postModel, (0, words)));
            refuses(wrong(s), owner, abi.encodeCall(head.start, (training())));
        }
        s = ISecModelUpdate.State.Register;
        if (state != s) {
            refuses(wrong(s), dataOwner(20), abi.encodeCall(head.register, (bytes32("key"))));
            refuses(wrong(s), dataOwner(0), abi.encodeCall(head.postKey, (bytes32("key"))));
        }
        s = ISecModelUpdate.State.ModelAggregate;
        if (state != s) refuses(wrong(s), dataOwner(0), abi.encodeCall(head.upload, (0, words)));
        s = ISecModelUpdate.State.OutlierSuppression;
        if (state != s) {
            refuses(wrong(s), dataOwner(0), abi.encodeCall(head.measure, (0)));
            refuses(wrong(s), dataOwner(0), abi.encodeCall(head.select, ()));
        }
        s = ISecModelUpdate.State.Payment;
        if (state < s) {
            refuses(
                abi.encodeWithSelector(NothingDue.selector, dataOwner(0)), dataOwner(0), abi.encodeCall(head.claim, ())
            );
            refuses(wrong(s), owner, abi.encodeCall(head.result, (0)));
            if (state != ISecModelUpdate.State.Setup) refuses(wrong(s), owner, abi.encodeCall(head.exit, ()));
        }
        bytes memory early = abi.encodeWithSelector(TooEarly.selector, head.stateView().deadline);
        refuses(early, dataOwner(0), abi.encodeCall(head.poke, ()));
    }

    function testTooLate() public {
        started(terms(10));
        join(0);
        late(abi.encodeCall(head.register, (bytes32("key"))), 20);
        late(abi.encodeCall(head.postKey, (bytes32("key"))), 0);
        filled(terms(10));
        late(abi.encodeCall(head.upload, (0, masked(0, 0))), 0);
        filled(terms(10));
        uploadAll(7);
        late(abi.encodeCall(head.measure, (0)), 0);
        late(abi.encodeCall(head.select, ()), 0);
    }

    /// @dev Not in the block after the deadline; nothing to poke in the last one.
    function late(bytes memory call, uint256 who) private {
        uint256 last = head.stateView().deadline;
        if (height < last) {
            mine(last - height);
            refuses(abi.encodeWithSelector(TooEarly.selector, last), dataOwner(who), abi.encodeCall(head.poke, ()));
        }
        expire();
        refuses(abi.encodeWithSelector(TooLate.selector, last), dataOwner(who), call);
    }

    function testOnlyTheOwner() public {
        create(terms(10));
        address who = dataOwner(0);
        refuses(notTheOwner(who), who, abi.encodeCall(head.addChunks, (1)));
        refuses(notTheOwner(who), who, abi.encodeCall(head.whitelist, (new address[](1))));
        refuses(notTheOwner(who), who, abi.encodeCall(head.postModel, (0, empty(0))));
        refuses(notTheOwner(who), who, abi.encodeCall(head.start, (training())));
        refuses(notTheOwner(who), who, abi.encodeCall(head.exit, ()));
        refuses(notTheOwner(owner), owner, abi.encodeCall(IOpen.open, (3, owner, terms(10))));
        refuses(
            abi.encodeWithSelector(AlreadyMade.selector),
            address(factory),
            abi.encodeCall(IOpen.open, (3, owner, terms(10)))
        );
    }

    function testChunksObeyTheHead() public {
        create(terms(10));
        IChunk chunk = IChunk(head.chunkAt(0));
        vm.expectRevert(abi.encodeWithSelector(NotTheHead.selector, address(this)));
        chunk.add(0, new uint256[](3));
        vm.expectRevert(abi.encodeWithSelector(NotTheHead.selector, address(this)));
        chunk.setModel(new uint256[](3));
    }

    function testWhitelist() public {
        create(terms(10));
        postModel();
        address[] memory who = new address[](2);
        (who[0], who[1]) = (dataOwner(1), owner);
        vm.prank(owner);
        head.whitelist(who);
        vm.prank(owner);
        head.start(training());
        ok(!head.stateView().open && head.isWhitelisted(dataOwner(1)), "listed");
        bytes memory call = abi.encodeCall(head.register, (bytes32("key")));
        refuses(abi.encodeWithSelector(NotAllowed.selector, dataOwner(0)), dataOwner(0), call);
        refuses(abi.encodeWithSelector(NotAllowed.selector, owner), owner, call);
        join(1);
    }

    function testRegister() public {
        (rounds, groupSize) = (1, 2);
        started(terms(10));
        bytes memory again = abi.encodeCall(head.register, (bytes32("key")));
        refuses(abi.encodeWithSelector(NoKey.selector), dataOwner(0), abi.encodeCall(head.register, (bytes32(0))));
        join(0);
        refuses(abi.encodeWithSelector(Twice.selector, dataOwner(0)), dataOwner(0), again);
        join(1);
        refuses(abi.encodeWithSelector(Full.selector, 2), dataOwner(2), again);
        bytes memory post = abi.encodeCall(head.postKey, (bytes32("key")));
        refuses(abi.encodeWithSelector(NotAMember.selector, dataOwner(2)), dataOwner(2), post);
        refuses(abi.encodeWithSelector(NoKey.selector), dataOwner(0), abi.encodeCall(head.postKey, (bytes32(0))));
        key(0);
        refuses(abi.encodeWithSelector(Twice.selector, dataOwner(0)), dataOwner(0), post);
    }

    function testUpload() public {
        filled(terms(260));
        uint256[] memory words = masked(0, 1);
        address who = dataOwner(0);
        refuses(abi.encodeWithSelector(UnknownChunk.selector, 2, 2), who, abi.encodeCall(head.upload, (2, words)));
        refuses(abi.encodeWithSelector(WordCount.selector, 3, 63), who, abi.encodeCall(head.upload, (0, words)));
        words[2] |= 1;
        refuses(abi.encodeWithSelector(BadPadding.selector, words[2]), who, abi.encodeCall(head.upload, (1, words)));
        words[2] ^= 1 | (1 << 127);
        refuses(abi.encodeWithSelector(BadPadding.selector, words[2]), who, abi.encodeCall(head.upload, (1, words)));
        words = masked(0, 1);
        upload(0, 1);
        refuses(abi.encodeWithSelector(Twice.selector, who), who, abi.encodeCall(head.upload, (1, words)));
        who = dataOwner(9);
        refuses(abi.encodeWithSelector(NotAMember.selector, who), who, abi.encodeCall(head.upload, (1, words)));
    }

    function testMeasureAndSelect() public {
        filled(terms(260));
        uploadAll(7);
        address who = dataOwner(0);
        refuses(abi.encodeWithSelector(ChunksMissing.selector, 0, 2), who, abi.encodeCall(head.select, ()));
        refuses(abi.encodeWithSelector(UnknownChunk.selector, 2, 2), who, abi.encodeCall(head.measure, (2)));
        head.measure(1);
        refuses(abi.encodeWithSelector(ChunkTwice.selector, 1), who, abi.encodeCall(head.measure, (1)));
        refuses(abi.encodeWithSelector(ChunksMissing.selector, 1, 2), who, abi.encodeCall(head.select, ()));
    }

    function testStart() public {
        create(terms(260));
        refuses(abi.encodeWithSelector(ChunksMissing.selector, 0, 2), owner, abi.encodeCall(head.start, (training())));
        postModel();
        refuses(abi.encodeWithSelector(ChunkTwice.selector, 0), owner, abi.encodeCall(head.postModel, (0, initial(0))));
        ISecModelUpdate.Training memory t = training();
        t.samples = 0;
        badTraining("samples", t);
        t = training();
        t.epochs = 0;
        badTraining("epochs", t);
        t = training();
        t.batch = 0;
        badTraining("batch", t);
        t = training();
        t.rounds = 17;
        badTraining("rounds", t);
        t.rounds = 0;
        badTraining("rounds", t);
        t = training();
        t.groupSize = 1;
        badTraining("groupSize", t);
        t.groupSize = 256;
        badTraining("groupSize", t);
        t.groupSize = 4;
        uint256 price = head.needed(3, 4);
        uint256 held = address(head).balance;
        bytes memory under = abi.encodeWithSelector(Underfunded.selector, price - 1, price);
        refusesWith(under, owner, abi.encodeCall(head.start, (t)), price - held - 1);
        vm.prank(owner);
        head.start{value: price - held}(t);
        eq(head.training().groupSize, 4, "started");
    }

    function badTraining(bytes32 field, ISecModelUpdate.Training memory t) private {
        refuses(abi.encodeWithSelector(BadTerms.selector, field), owner, abi.encodeCall(head.start, (t)));
    }

    function testTerms() public {
        ISecModelUpdate.Terms memory t = terms(10);
        t.docDigest = 0;
        badTerms("docDigest", t);
        t = terms(10);
        t.reward = 0;
        badTerms("reward", t);
        badTerms("dimension", terms(0));
        badTerms("dimension", terms(32_001));
        t = terms(10);
        t.muBps = 5000;
        badTerms("muBps", t);
        t = terms(10);
        t.mKrum = 0;
        badTerms("mKrum", t);
        t.mKrum = 17;
        badTerms("mKrum", t);
        t = terms(10);
        t.registerBlocks = 2;
        badTerms("registerBlocks", t);
        t.registerBlocks = 100_001;
        badTerms("registerBlocks", t);
        t = terms(10);
        t.uploadBlocks = 2;
        badTerms("uploadBlocks", t);
        t.uploadBlocks = 100_001;
        badTerms("uploadBlocks", t);
        t = terms(10);
        t.settleBlocks = 9;
        badTerms("settleBlocks", t);
        t.settleBlocks = 100_001;
        badTerms("settleBlocks", t);
        vm.expectRevert(abi.encodeWithSelector(Underfunded.selector, 1 ether - 1, 1 ether));
        vm.prank(owner);
        factory.create{value: 1 ether - 1}(terms(10));
    }

    function badTerms(bytes32 field, ISecModelUpdate.Terms memory t) private {
        vm.expectRevert(abi.encodeWithSelector(BadTerms.selector, field));
        vm.prank(owner);
        factory.create{value: 1 ether}(t);
    }

    /// @dev More chunks than one transaction makes.
    function testManyChunks() public {
        create(terms(32_000));
        eq(head.stateView().chunksAdded, 64, "at once");
        refuses(
            abi.encodeWithSelector(UnknownChunk.selector, 64, 64),
            owner,
            abi.encodeCall(head.postModel, (64, initial(64)))
        );
        vm.prank(owner);
        head.addChunks(60);
        vm.prank(owner);
        head.addChunks(60);
        eq(head.stateView().chunksAdded, 128, "all");
        uint256[] memory words = initial(127);
        vm.prank(owner);
        head.postModel(127, words);
        eq(head.stateView().posted, 1 << 127, "the last");
    }
}
