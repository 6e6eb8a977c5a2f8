// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Gas} from "../src/Gas.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {Sets} from "../src/Sets.sol";
import {ProvedBase} from "./base/ProvedBase.sol";

/// @dev What each function costs as a transaction of its own (21,000 and calldata included), in snapshots/gas.json:
/// every run compares, `npm run snapshot` rewrites. The units that Gas.sol pays back are set from these figures.
/// forge-config: default.isolate = true
contract GasTest is ProvedBase {
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
        uint256 n = market.params(id).committee;
        pokeNext(id);
        near(
            measure(string.concat("poke: committee", suffix)), Gas.POKE + Gas.CLOSE + Gas.BEACON + n * Gas.DRAW, 20_000
        );
        uint256 most = uint256(market.params(id).groups) * market.params(id).groupSize;
        for (uint256 i = 0; i < most; ++i) {
            join(id, i);
            label("register", i, most, suffix, Gas.REGISTER);
        }
        pokeNext(id);
        near(measure(string.concat("poke: groups", suffix)), Gas.POKE + Gas.CLOSE + Gas.BEACON, 5_000);
        groupsOf(id);
        near(measure(string.concat("postGroups", suffix)), Gas.GROUPS + most * Gas.GROUPS_EACH, 30_000);
        for (uint256 i = 0; i < most; ++i) {
            commitShares(id, i);
            label("commitShares", i, most, suffix, Gas.COMMIT_SHARES);
        }
        bitmaps(id, 0, suffix);
        for (uint256 i = 0; i < most; ++i) {
            commitUpload(id, i);
            label("commitUpload", i, most, suffix, Gas.COMMIT_UPLOAD);
        }
        bitmaps(id, 1, suffix);
        pokeNext(id);
        measure(string.concat("poke: query", suffix));
        opened(id, suffix);
        bitmaps(id, 2, suffix);
        uint256 passed = Sets.full(view_(id).groupCount);
        attest(id, 1 << 4, 1);
        uint256 gas_ = measure(string.concat("attest", suffix));
        near(gas_, Gas.attest(Sets.size(quorum(id)), 1, view_(id).registered) + Gas.SLASH, 30_000);
        postBatch(id, passed, zeros(passed));
        gas_ = measure(string.concat("postBatch", suffix));
        near(gas_, Gas.batch(Sets.size(quorum(id)), zeros(passed).length, most, 0), 100_000);
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
        uint256 again = kind == 2 && market.params(id).mode == 0 ? 18_000 : 0; // words of kind 0
        for (uint256 seat = 0; seat < n; ++seat) {
            post(id, seat, kind, all(id) | refBit(id));
            label(string.concat("postBitmap ", vm.toString(kind)), seat, n, suffix, Gas.BITMAP - again);
        }
    }

    function opened(uint256 id, string memory suffix) private {
        uint256 n = market.params(id).committee;
        uint256 units = Gas.openings(8 * Sets.size(view_(id).sets[1]));
        for (uint256 seat = 0; seat < n; ++seat) {
            postOpenings(id, seat, view_(id).sets[1]);
            label("postOpenings", seat, n, suffix, units);
        }
    }

    function testGasVerified() public {
        verifiedSession(12, 5, OUTLIER, " (verified)");
        verifiedSession(12, 5, TRUST, " (verified, trust)");
    }

    function testGasVerified32() public {
        verifiedSession(32, 5, OUTLIER, " (verified, 32 data owners)");
    }

    function testGasVerified64() public {
        verifiedSession(64, 5, OUTLIER, " (verified, 64 data owners)");
    }

    function testGasVerified255() public {
        for (uint256 i = 5; i < 16; ++i) {
            enlist(i);
        }
        verifiedSession(255, 16, TRUST, " (verified, 255 data owners, 16 provers)");
    }

    /// @dev With equal pay nothing is stored per data owner.
    function testGasVerifiedEqual() public {
        IDataMarket.Params memory p = verified(TRUST, EQUAL);
        p.groups = 255;
        uint256 id = started(p, IDataMarket.Phase.Batch);
        postBatch(id, REF - 1, scores(id, REF - 1));
        near(measure("postBatch: equal pay (verified, 255 data owners)"), Gas.batchVerified(4, 0), 10_000);
    }

    function verifiedSession(uint16 owners, uint8 n, uint8 rule, string memory suffix) private {
        IDataMarket.Params memory p = verified(rule, BY_SCORE);
        (p.groups, p.committee, p.threshold) = (owners, n, (n - 1) / 4);
        uint256 id = started(p, IDataMarket.Phase.Register);
        commitReference(id);
        measure(string.concat("commitReference", suffix));
        for (uint256 i = 0; i < owners; ++i) {
            join(id, i);
            uint256 units = Gas.REGISTER + (i + 1 == owners ? Gas.CLOSE + Gas.OPEN_UPLOAD : 0);
            label("register", i, owners, suffix, units);
        }
        for (uint256 i = 0; i < owners; ++i) {
            commitUpload(id, i);
            label("commitUpload", i, owners, suffix, Gas.COMMIT_UPLOAD);
        }
        bitmaps(id, 1, suffix);
        pokeNext(id);
        measure(string.concat("poke: query", suffix));
        opened(id, suffix);
        bitmaps(id, 2, suffix);
        uint256 accepted = all(id);
        uint256[] memory values = scores(id, accepted);
        for (uint256 i = 0; i < owners; ++i) {
            values[i] += 1 << 60; // as wide as products of updates are
        }
        postBatch(id, accepted, values);
        uint256 gas_ = measure(string.concat("postBatch", suffix));
        near(gas_, Gas.batchVerified(Sets.size(quorum(id)), owners), 30_000 + 500 * uint256(owners));
        vm.prank(model);
        market.acknowledge(id);
        measure(string.concat("acknowledge", suffix));
        claim(id, dataOwner(1));
        measure(string.concat("claim: data owner", suffix));
        claim(id, model);
        measure(string.concat("claim: owner", suffix));
    }

    /// @dev With a verifier that costs next to nothing: the market's own part of it. What is paid back includes a real one;
    /// tests/integration/test_chain_proofs.py compares.
    function testGasProved() public {
        IDataMarket.Params memory p = proved(OUTLIER, EQUAL);
        uint256 id = started(p, IDataMarket.Phase.Delivered);
        bitmaps(id, 1, " (zk)");
        bitmaps(id, 2, " (zk)");
        postProof(id, usual(12));
        measure("postProof: 12 records, no verifier");
        p.groups = 64;
        id = judged(p, 3);
        postProof(id, usual(64));
        near(measure("postProof: too few valid"), Gas.unproved(5), 10_000);
    }

    /// @dev 64 data owners anywhere; what m-krum costs more than other rules is paid back, for few picks and for many.
    function testGasProvedRules() public {
        uint256 none = rule64(OUTLIER, 0, "outlier");
        rule64(MULTI_KRUM, 0, "multi-krum");
        for (uint16 m = 8; m <= 62; m += 27) {
            uint256 more = rule64(M_KRUM, m, string.concat("m-krum of ", vm.toString(m))) - none;
            near(more, Gas.proof(true, 64, m, 0) - Gas.proof(true, 64, 0, 0), 50_000 + more / 8);
        }
    }

    function rule64(uint8 rule, uint16 m, string memory name) private returns (uint256) {
        IDataMarket.Params memory p = proved(rule, EQUAL);
        (p.groups, p.muBps, p.mKrum) = (64, 0, m);
        uint256 id = started(p, IDataMarket.Phase.Batch);
        int128[] memory xs = new int128[](64);
        for (uint256 i = 0; i < 64; ++i) {
            xs[i] = int128(int256(uint256(keccak256(abi.encode(i))) % 100_000));
        }
        postProof(id, xs);
        return measure(string.concat("postProof: 64 records, no verifier, ", name));
    }

    /// @dev The reference that comes last opens Upload.
    function testGasReferenceLast() public {
        uint256 id = started(verified(TRUST, EQUAL), IDataMarket.Phase.Register);
        joinMany(id, 12);
        commitReference(id);
        measure("commitReference: opens Upload");
    }

    /// @dev First, second and last of a series: the first pays for new words, the last for closing the phase.
    function label(string memory name, uint256 i, uint256 count, string memory suffix, uint256 units) private {
        if (i == 0) measure(string.concat(name, ": first", suffix));
        else if (i == 1) near(measure(string.concat(name, ": next", suffix)), units, 4_000);
        else if (i + 1 == count) measure(string.concat(name, ": last", suffix));
    }

    /// @dev What is paid back is about what was spent.
    function near(uint256 measured, uint256 units, uint256 tolerance) private pure {
        if (measured > units + tolerance || units > measured + tolerance) revert NotEqual("units", units, measured);
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

    /// @dev Everybody silent: the most deposits that one attestation can take.
    function testGasAttestAll() public {
        IDataMarket.Params memory p = terms();
        (p.groups, p.groupSize, p.bound) = (16, 16, 65536);
        uint256 id = started(p, IDataMarket.Phase.Batch);
        attest(id, 1, type(uint256).max);
        near(measure("attest: 256 deposits"), Gas.attest(4, 256, 256) + Gas.SLASH, 100_000);
    }

    /// @dev The dearest rule on the most groups.
    function testGasLargestSelection() public {
        IDataMarket.Params memory p = terms();
        (p.groups, p.groupSize, p.rule, p.muBps, p.mKrum) = (16, 3, 3, 0, 14);
        uint256 id = started(p, IDataMarket.Phase.Batch);
        uint256[] memory d = new uint256[](120);
        for (uint256 i = 0; i < 120; ++i) {
            d[i] = uint256(keccak256(abi.encode(i))) >> 16;
        }
        postBatch(id, 0xffff, d);
        near(measure("postBatch: m-krum, 16 groups"), Gas.batch(4, 120, 48, 14 * 16), 100_000);
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
