// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDataMarket} from "../src/IDataMarket.sol";
import {Sets} from "../src/Sets.sol";
import {MarketBase} from "./base/MarketBase.sol";

/// @dev What each function costs as a transaction of its own (21,000 and calldata included), in snapshots/gas.json:
/// every run compares, `npm run snapshot` rewrites. The units that Gas.sol pays back are set from these figures.
/// forge-config: default.isolate = true
contract GasTest is MarketBase {
    function measure(string memory name) internal returns (uint256) {
        return vm.snapshotGasLastCall("gas", name);
    }

    function testGasDemo() public {
        IDataMarket.Params memory p = terms();
        uint256 id = create(p);
        measure("createSession");
        session(id, "");
    }

    function testGasSecondSessionOfTheSameMarket() public {
        walk(create(terms()), IDataMarket.Phase.Finished);
        uint256 id = create(terms());
        measure("createSession (second)");
        pokeNext(id);
        measure("poke: committee of 5 (second)");
    }

    function testGasLarge() public {
        for (uint256 i = 5; i < 16; ++i) {
            enlist(i);
        }
        IDataMarket.Params memory p = terms();
        (p.groups, p.groupSize, p.committee, p.threshold) = (16, 16, 16, 3);
        p.bound = 65536;
        uint256 id = create(p);
        session(id, " (256 data owners, 16 provers)");
    }

    function session(uint256 id, string memory suffix) private {
        pokeNext(id);
        measure(string.concat("poke: committee", suffix));
        uint256 most = uint256(market.params(id).groups) * market.params(id).groupSize;
        for (uint256 i = 0; i < most; ++i) {
            join(id, i);
            label("register", i, most, suffix);
        }
        pokeNext(id);
        measure(string.concat("poke: groups", suffix));
        groupsOf(id);
        measure(string.concat("postGroups", suffix));
        for (uint256 i = 0; i < most; ++i) {
            commitShares(id, i);
            label("commitShares", i, most, suffix);
        }
        bitmaps(id, 0, suffix);
        for (uint256 i = 0; i < most; ++i) {
            commitUpload(id, i);
            label("commitUpload", i, most, suffix);
        }
        bitmaps(id, 1, suffix);
        pokeNext(id);
        measure(string.concat("poke: query", suffix));
        bitmaps(id, 2, suffix);
        uint256 passed = Sets.full(view_(id).groupCount);
        attest(id, 1 << 4, 1);
        measure(string.concat("attest", suffix));
        postBatch(id, passed, zeros(passed));
        measure(string.concat("postBatch", suffix));
        vm.prank(model);
        market.acknowledge(id);
        measure(string.concat("acknowledge", suffix));
        claim(id, dataOwner(1));
        measure(string.concat("claim: data owner", suffix));
        claim(id, market.committeeOf(id)[1]);
        measure(string.concat("claim: prover", suffix));
        claim(id, model);
        measure(string.concat("claim: owner", suffix));
    }

    function bitmaps(uint256 id, uint8 kind, string memory suffix) private {
        uint256 n = market.params(id).committee;
        for (uint256 seat = 0; seat < n; ++seat) {
            post(id, seat, kind, all(id));
            label(string.concat("postBitmap ", vm.toString(kind)), seat, n, suffix);
        }
    }

    /// @dev First, second and last of a series: the first pays for new words, the last for closing the phase.
    function label(string memory name, uint256 i, uint256 count, string memory suffix) private {
        if (i == 0) measure(string.concat(name, ": first", suffix));
        else if (i == 1) measure(string.concat(name, ": next", suffix));
        else if (i + 1 == count) measure(string.concat(name, ": last", suffix));
    }

    function testGasReceiptThatSlashes() public {
        uint256 id = started(terms(), IDataMarket.Phase.Delivered);
        post(id, 0, 1, 0);
        address prover = market.committeeOf(id)[0];
        bytes memory signature = signAs(prover, receiptStruct(id, dataOwner(3), uploadRoot(3), 0));
        market.postReceipt(id, 3, 0, signature);
        measure("postReceipt: slashes");
        signature = signAs(prover, receiptStruct(id, dataOwner(4), uploadRoot(4), 0));
        market.postReceipt(id, 4, 0, signature);
        measure("postReceipt");
    }

    function testGasDoubleSign() public {
        uint256 id = started(terms(), IDataMarket.Phase.Batch);
        address prover = market.committeeOf(id)[0];
        IDataMarket.BatchHeader memory a = header(id, 15, zeros(15));
        IDataMarket.BatchHeader memory b = header(id, 7, zeros(7));
        bytes memory sigA = signAs(prover, batchStruct(id, a));
        bytes memory sigB = signAs(prover, batchStruct(id, b));
        market.slashDoubleSign(id, a, sigA, b, sigB);
        measure("slashDoubleSign");
    }

    function testGasSilence() public {
        uint256 id = started(terms(), IDataMarket.Phase.Bundles);
        for (uint256 seat = 0; seat < 4; ++seat) {
            post(id, seat, 0, all(id));
        }
        expire(id);
        market.poke(id);
        measure("poke: bundles by time, one silent prover");
    }

    function testGasRegistry() public {
        enlist(7);
        measure("registry.register");
        vm.prank(vm.addr(PROVER_KEY + 7));
        registry.requestExit();
        measure("registry.requestExit");
        mine(EXIT_DELAY + 1);
        vm.prank(vm.addr(PROVER_KEY + 7));
        registry.withdraw();
        measure("registry.withdraw");
    }
}
