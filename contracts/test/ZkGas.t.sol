// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IZkVerifier} from "../src/zk/IZkVerifier.sol";
import {ZkForger} from "./base/ZkForger.sol";

/// @dev What checks cost as transactions of their own (21,000 and calldata included), in snapshots/zk.json; an inner
/// product has 2 or 3 bytes that are not sign. The aims are those of the design, which were measured for statement gram.
/// forge-config: default.isolate = true
contract ZkGasTest is ZkForger {
    /// @dev Not by a static call, which forge would not make a transaction of.
    function transact(IZkVerifier v, bytes memory data) private {
        (bool done,) = address(v).call(data);
        ok(done, "refused");
    }

    function measure(string memory name) private returns (uint256) {
        return vm.snapshotGasLastCall("zk", name);
    }

    function testGasKeys() public {
        factory.create(terms(false));
        measure("create: gram");
        factory.create(terms(true));
        measure("create: score");
    }

    function testGasRecord() public {
        IZkVerifier v = verifier(false);
        bytes memory data = record(v.sessionHash(market, 1, 0, BOUND), owner(0), false).data;
        transact(v, abi.encodeCall(v.checkRecord, (market, 1, 0, BOUND, data)));
        measure("checkRecord: gram");
        v = verifier(true);
        data = record(v.sessionHash(market, 1, 0, BOUND), owner(0), true).data;
        transact(v, abi.encodeCall(v.checkRecord, (market, 1, 0, BOUND, data)));
        measure("checkRecord: score");
    }

    function testGas3() public {
        batches(3);
    }

    function testGas16() public {
        batches(16);
    }

    function testGas64() public {
        batches(64);
    }

    function batches(uint256 count) private {
        string memory suffix = string.concat(": ", vm.toString(count), " data owners");
        uint256 mask = type(uint256).max >> (256 - count);
        IZkVerifier v = verifier(false);
        Batch memory b = gramBatch(v.sessionHash(market, 1, 0, BOUND), count, mask);
        transact(v, abi.encodeCall(v.verifyGram, (market, 1, 0, BOUND, b.mask, b.dos, b.values, b.proof)));
        uint256 gas_ = measure(string.concat("verifyGram", suffix));
        ok(gas_ <= 240_000 + 72_000 * count + (400 * count * (count + 1)) / 2, "gas of verifyGram");
        v = verifier(true);
        b = scoreBatch(v.sessionHash(market, 1, 0, BOUND), count, mask);
        transact(v, abi.encodeCall(v.verifyScore, (market, 1, 0, BOUND, b.mask, b.dos, b.values, b.proof)));
        gas_ = measure(string.concat("verifyScore", suffix));
        ok(gas_ <= 340_000 + 89_000 * count, "gas of verifyScore");
        b = noneBatch(v.sessionHash(market, 1, 0, BOUND), count, mask);
        transact(v, abi.encodeCall(v.verifyNone, (market, 1, 0, BOUND, b.mask, b.dos)));
        gas_ = measure(string.concat("verifyNone", suffix));
        ok(gas_ <= 200_000 + 89_000 * count, "gas of verifyNone");
    }
}
