// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ISecModelUpdate} from "../src/onchain/ISecModelUpdate.sol";
import {SecModelGas} from "../src/onchain/SecModelGas.sol";
import {OnchainBase} from "./base/OnchainBase.sol";

/// @dev What each function of the on-chain baseline costs as a transaction of its own, in snapshots/onchain.json; and that
/// what is paid back is about that.
/// forge-config: default.isolate = true
contract OnchainGasTest is OnchainBase {
    function snap(string memory name) private returns (uint256) {
        return vm.snapshotGasLastCall("onchain", name);
    }

    function near(uint256 gas_, uint256 units, uint256 tolerance) private pure {
        if (gas_ > units + tolerance || units > gas_ + tolerance) revert NotEqual("units", units, gas_);
    }

    /// @dev R = 2, 4, 6, 8 as in the paper and 16, two full chunks.
    function testGas2() public {
        session(2, 1);
    }

    function testGas4() public {
        session(4, 2);
    }

    function testGas6() public {
        session(6, 3);
    }

    function testGas8() public {
        session(8, 4);
    }

    function testGas16() public {
        session(16, 15);
    }

    function session(uint16 r, uint16 m) private {
        (rounds, groupSize) = (r, 2);
        string memory suffix = string.concat(" (R ", vm.toString(r), ")");
        ISecModelUpdate.Terms memory t = terms(500);
        t.mKrum = m;
        vm.prank(owner);
        uint256 id = factory.create{value: 1 ether}(t);
        snap("create: 2 chunks");
        head = ISecModelUpdate(factory.headOf(id));
        postModel();
        snap("postModel");
        vm.prank(owner);
        head.start{value: 1 ether}(training());
        snap("start");
        members(uint256(r) * 2);
        uploads(uint256(r) * 2);
        head.measure(0);
        near(snap(string.concat("measure: first", suffix)), SecModelGas.measure(r, 63, true), 20_000);
        head.measure(1);
        near(snap(string.concat("measure", suffix)), SecModelGas.measure(r, 63, false), 20_000);
        head.select();
        near(snap(string.concat("select", suffix)), SecModelGas.select(r, m), 10_000 + 60_000 * uint256(r / 16));
        vm.deal(dataOwner(0), 1 ether); // not an account that is new
        claim(dataOwner(0));
        snap("claim");
        exit();
        snap("exit");
    }

    function members(uint256 count) private {
        for (uint256 p = 0; p < count; ++p) {
            join(p);
            if (p == 1) near(snap("register"), SecModelGas.REGISTER, 2_000);
        }
        for (uint256 p = 0; p < count; ++p) {
            key(p);
            if (p == 2) near(snap("postKey"), SecModelGas.KEY, 3_000);
        }
        near(snap("postKey: last"), SecModelGas.KEY + SecModelGas.CLOSE, 10_000);
    }

    function uploads(uint256 count) private {
        upload(0, 0);
        near(snap("upload: first of a round and chunk"), SecModelGas.upload(63, 63), 25_000);
        upload(0, 1);
        upload(1, 0);
        near(snap("upload"), SecModelGas.upload(63, 0), 15_000);
        for (uint256 p = 1; p < count; ++p) {
            if (p > 1) upload(p, 0);
            upload(p, 1);
        }
        near(snap("upload: last"), SecModelGas.upload(63, 0) + SecModelGas.CLOSE, 40_000);
    }

    function testGasCreation() public {
        create(terms(250));
        postModel();
        vm.prank(owner);
        factory.create{value: 1 ether}(terms(250));
        snap("create: 1 chunk");
        vm.prank(owner);
        factory.create{value: 1 ether}(terms(5_701));
        snap("create: 23 chunks");
        vm.prank(owner);
        uint256 id = factory.create{value: 1 ether}(terms(32_000));
        snap("create: 64 chunks of 128");
        head = ISecModelUpdate(factory.headOf(id));
        vm.prank(owner);
        head.addChunks(64);
        snap("addChunks: 64");
        address[] memory who = new address[](32);
        for (uint256 i = 0; i < 32; ++i) {
            who[i] = dataOwner(i);
        }
        vm.prank(owner);
        head.whitelist(who);
        snap("whitelist: 32");
    }

    /// @dev A short chunk, and states that end by poke.
    function testGasByTime() public {
        rounds = 4;
        ISecModelUpdate.Terms memory t = terms(100);
        t.mKrum = 2;
        filled(t);
        upload(0, 0);
        near(snap("upload: 25 words, first of a round and chunk"), SecModelGas.upload(25, 25), 35_000);
        upload(1, 0);
        near(snap("upload: 25 words"), SecModelGas.upload(25, 0), 15_000);
        for (uint256 p = 2; p < 9; ++p) {
            upload(p, 0);
        }
        expire();
        head.poke();
        near(snap("poke: ModelAggregate"), SecModelGas.POKE + SecModelGas.CLOSE, 15_000);
        expire();
        head.poke();
        near(snap("poke: OutlierSuppression"), SecModelGas.POKE + SecModelGas.CLOSE, 15_000);
    }
}
