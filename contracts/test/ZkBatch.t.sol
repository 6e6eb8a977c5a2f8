// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IZkVerifier} from "../src/zk/IZkVerifier.sol";
import {
    BadNorm,
    BadOrder,
    BadPairing,
    BadPoint,
    BadRangeIdentity,
    BadScalar,
    BadShape,
    BadStatementIdentity,
    NO_RECORD,
    WrongStatement
} from "../src/zk/ZkErrors.sol";
import {ZkForger} from "./base/ZkForger.sol";

/// @dev Batches of three data owners under each statement, as posted and with anything else in their place.
contract ZkBatchTest is ZkForger {
    uint8 private constant NONE = 0;
    uint8 private constant GRAM = 1;
    uint8 private constant SCORE = 2;
    uint256 private constant COUNT = 3;
    uint256 private constant MASK = 5;

    IZkVerifier private _gram;
    IZkVerifier private _norms;
    mapping(uint8 statement => Batch) private _batches;

    function setUp() public override {
        super.setUp();
        (_gram, _norms) = (verifier(false), verifier(true));
        _batches[GRAM] = gramBatch(_gram.sessionHash(market, 7, 0, BOUND), COUNT, MASK);
        bytes32 sess = _norms.sessionHash(market, 7, 0, BOUND);
        _batches[SCORE] = scoreBatch(sess, COUNT, MASK);
        _batches[NONE] = noneBatch(sess, COUNT, MASK);
    }

    // ------------------------------------------------------------------------------------------- helpers

    function length(uint8 statement) private pure returns (uint256) {
        return statement == GRAM ? 640 : 896;
    }

    /// @dev Records that come before those of data owners.
    function first(uint8 statement) private pure returns (uint256) {
        return statement == SCORE ? 1 : 0;
    }

    function submit(uint8 statement, Batch memory b, uint256 session, uint256 bound_)
        private
        view
        returns (bytes memory out)
    {
        if (statement == NONE) {
            return asked(_norms, abi.encodeCall(_norms.verifyNone, (market, session, 0, bound_, b.mask, b.dos)));
        }
        if (statement == GRAM) {
            return asked(
                _gram, abi.encodeCall(_gram.verifyGram, (market, session, 0, bound_, b.mask, b.dos, b.values, b.proof))
            );
        }
        return asked(
            _norms, abi.encodeCall(_norms.verifyScore, (market, session, 0, bound_, b.mask, b.dos, b.values, b.proof))
        );
    }

    /// @dev What it returned, or why it reverted.
    function asked(IZkVerifier v, bytes memory data) private view returns (bytes memory out) {
        (, out) = address(v).staticcall(data);
    }

    function passed(bytes memory out) private pure returns (bool) {
        return out.length == 128;
    }

    function refused(uint8 statement, Batch memory b, bytes memory why) private view {
        bytes memory out = submit(statement, b, 7, BOUND);
        ok(!passed(out), "passed");
        if (keccak256(out) != keccak256(why)) revert NotEqual("reason", word(out, 0), word(why, 0));
    }

    function because(bytes4 selector) private pure returns (bytes memory) {
        return abi.encodeWithSelector(selector);
    }

    function because(bytes4 selector, uint256 index) private pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, index);
    }

    function point(bytes memory data, uint256 pos) private pure returns (uint256[2] memory) {
        return [word(data, pos), word(data, pos + 32)];
    }

    // ------------------------------------------------------------------------------------------- what passes

    function testReturnsSumHashAndSession() public view {
        for (uint8 statement = 0; statement < 3; ++statement) {
            Batch memory b = _batches[statement];
            bytes memory out = submit(statement, b, 7, BOUND);
            ok(passed(out), "refused");
            IZkVerifier v = statement == GRAM ? _gram : _norms;
            eq(word(out, 0), uint256(v.sessionHash(market, 7, 0, BOUND)), "session");
            uint256 size = length(statement);
            uint256 pos = size * first(statement) + 32;
            (, bytes memory sum) = address(6).staticcall(abi.encode(point(b.dos, pos), point(b.dos, pos + 2 * size)));
            eq(word(out, 32), word(sum, 0), "x");
            eq(word(out, 64), word(sum, 32), "y");
            eq(word(out, 96), uint256(keccak256(b.values)), "values");
        }
    }

    /// @dev Scores do not bind the mask, which the market computes from them; the aggregate follows it.
    function testAggregateFollowsTheMask() public view {
        Batch memory b = _batches[SCORE];
        b.mask = 0;
        bytes memory out = submit(SCORE, b, 7, BOUND);
        ok(passed(out), "refused");
        eq(word(out, 32) | word(out, 64), 0, "sum of nobody");
        b.mask = 2;
        out = submit(SCORE, b, 7, BOUND);
        eq(word(out, 32), word(b.dos, 2 * 896 + 32), "x of the second data owner");
    }

    function testSmallestAndLargest() public {
        bytes32 sess = _gram.sessionHash(market, 7, 0, BOUND);
        ok(passed(submit(GRAM, gramBatch(sess, 1, 1), 7, BOUND)), "one");
        ok(passed(submit(GRAM, gramBatch(sess, 2, 0), 7, BOUND)), "nobody accepted");
        sess = _norms.sessionHash(market, 7, 0, BOUND);
        ok(passed(submit(NONE, noneBatch(sess, 1, 1), 7, BOUND)), "one record");
        ok(passed(submit(SCORE, scoreBatch(sess, 1, 1), 7, BOUND)), "one score");
    }

    // ------------------------------------------------------------------------------------------- what does not

    function testShapes() public view {
        bytes memory why = because(BadShape.selector);
        for (uint8 statement = 0; statement < 3; ++statement) {
            Batch memory b = _batches[statement];
            bytes memory dos = b.dos;
            b.mask = 8;
            refused(statement, b, why);
            b.mask = 1 << 255;
            refused(statement, b, why);
            b = _batches[statement];
            b.dos = "";
            refused(statement, b, why);
            b.dos = slice(dos, 0, dos.length - 1);
            refused(statement, b, why);
            b.dos = bytes.concat(dos, hex"00");
            refused(statement, b, why);
            b.dos = slice(dos, 0, length(statement) * first(statement));
            b.mask = 0;
            refused(statement, b, why);
            b.dos = new bytes(length(statement) * (65 + first(statement)));
            (b.values, b.proof) = (new bytes(statement == GRAM ? 16 * 65 * 33 : 16 * 65), b.proof);
            refused(statement, b, why);
            if (statement == NONE) continue;
            b = _batches[statement];
            b.dos = slice(dos, 0, dos.length - length(statement));
            b.mask = 1;
            refused(statement, b, why);
        }
    }

    function testFuzzLengths(uint256 values, uint256 proof, bool score) public view {
        uint8 statement = score ? SCORE : GRAM;
        Batch memory b = _batches[statement];
        (uint256 v, uint256 p) = (b.values.length, b.proof.length);
        values = bound(values, 0, 2 * v);
        proof = bound(proof, 0, 2 * p);
        if (values == v && proof == p) return;
        b.values = slice(bytes.concat(b.values, b.values), 0, values);
        b.proof = slice(bytes.concat(b.proof, b.proof), 0, proof);
        refused(statement, b, because(BadShape.selector));
    }

    function testFuzzAnything(bytes calldata dos, bytes calldata values, bytes calldata proof, uint256 mask)
        public
        view
    {
        for (uint8 statement = 0; statement < 3; ++statement) {
            bytes memory out = submit(statement, Batch(mask, dos, values, proof), 7, BOUND);
            ok(out.length == 4 || out.length == 36, "neither refused nor a reason");
        }
    }

    function testKeysServeTheirStatement() public {
        Batch memory b = _batches[SCORE];
        vm.expectRevert(WrongStatement.selector);
        _gram.verifyScore(market, 7, 0, BOUND, b.mask, b.dos, b.values, b.proof);
        vm.expectRevert(WrongStatement.selector);
        _gram.verifyNone(market, 7, 0, BOUND, b.mask, b.dos);
        b = _batches[GRAM];
        vm.expectRevert(WrongStatement.selector);
        _norms.verifyGram(market, 7, 0, BOUND, b.mask, b.dos, b.values, b.proof);
    }

    function testNoOtherSession() public {
        for (uint8 statement = 0; statement < 3; ++statement) {
            Batch memory b = _batches[statement];
            bytes memory why = because(BadRangeIdentity.selector, 0);
            ok(keccak256(submit(statement, b, 8, BOUND)) == keccak256(why), "session");
            ok(keccak256(submit(statement, b, 7, BOUND + 1)) == keccak256(why), "bound");
            market = address(0xBAD);
            refused(statement, b, why);
            market = address(0xACE);
            vm.chainId(1);
            refused(statement, b, why);
            vm.chainId(31337);
        }
    }

    function testOrder() public view {
        for (uint8 statement = 0; statement < 3; ++statement) {
            Batch memory b = _batches[statement];
            (uint256 size, uint256 at_) = (length(statement), first(statement) * length(statement));
            bytes memory head = slice(b.dos, 0, at_);
            bytes memory one = slice(b.dos, at_, at_ + size);
            bytes memory two = slice(b.dos, at_ + size, at_ + 2 * size);
            bytes memory three = slice(b.dos, at_ + 2 * size, at_ + 3 * size);
            uint256 second = first(statement) + 1;
            b.dos = bytes.concat(head, two, one, three);
            refused(statement, b, because(BadOrder.selector, second));
            b.dos = bytes.concat(head, one, three, two);
            refused(statement, b, because(BadOrder.selector, second + 1));
            b.dos = bytes.concat(head, one, one, three);
            refused(statement, b, because(BadOrder.selector, second));
            for (uint256 k = 0; k < second + 2; ++k) {
                b = _batches[statement];
                b.dos = put(b.dos, k * size, word(b.dos, k * size) + (1 << 160));
                refused(statement, b, because(BadOrder.selector, k));
            }
        }
    }

    /// @dev The reference has no place in the order, but is no data owner either.
    function testRecordsOfTwoStatements() public view {
        Batch memory b = _batches[SCORE];
        b.dos = bytes.concat(slice(b.dos, 896, 1792), slice(b.dos, 896, b.dos.length));
        refused(SCORE, b, because(BadStatementIdentity.selector)); // a data owner's record in the reference's place
        b = _batches[NONE];
        b.dos = _batches[SCORE].dos;
        b.mask = 1;
        refused(NONE, b, because(BadOrder.selector, 1));
    }

    function testNorms() public {
        Batch memory b = _batches[GRAM];
        int128[3] memory norms = [int128(-1), int128(int256(BOUND)) + 1, type(int128).min];
        for (uint256 i = 0; i < 3; ++i) {
            Batch memory other = _batches[GRAM];
            store(other.values, 0, norms[i]);
            refused(GRAM, other, because(BadNorm.selector, 0));
            other = _batches[GRAM];
            store(other.values, 16 * 5, norms[i]);
            refused(GRAM, other, because(BadNorm.selector, 2));
            other = _batches[GRAM];
            store(other.values, 16 * 2, norms[i]); // not accepted: nobody asks for its norm
            refused(GRAM, other, because(BadStatementIdentity.selector));
        }
        store(b.values, 0, 0);
        refused(GRAM, b, because(BadStatementIdentity.selector));
        uint256 most = type(uint256).max; // nothing is above this bound, but what is negative is no norm
        b = gramBatch(_gram.sessionHash(market, 7, 0, most), 1, 1);
        ok(passed(submit(GRAM, b, 7, most)), "any norm");
        store(b.values, 0, -1);
        ok(keccak256(submit(GRAM, b, 7, most)) == keccak256(because(BadNorm.selector, 0)), "negative");
    }

    function testValuesAndMaskAreBound() public view {
        for (uint8 statement = 1; statement < 3; ++statement) {
            for (uint256 k = 0; k < _batches[statement].values.length / 16; ++k) {
                Batch memory b = _batches[statement];
                b.values = flip(b.values, 128 * k + 120);
                bytes memory out = submit(statement, b, 7, BOUND);
                bool norm = statement == GRAM && (k == 0 || k == 5); // an accepted norm that is now above the bound
                bytes4 expected = norm ? BadNorm.selector : BadStatementIdentity.selector;
                ok(bytes4(out) == expected, "reason");
            }
        }
        Batch memory other = _batches[GRAM];
        other.mask = 4;
        refused(GRAM, other, because(BadStatementIdentity.selector));
        other = _batches[NONE];
        other.mask = 7; // rho depends on it, but the records hold for any: the market fixes the set
        ok(passed(submit(NONE, other, 7, BOUND)), "another set of the same records");
    }

    function testScalarsOfTheProof() public view {
        for (uint8 statement = 1; statement < 3; ++statement) {
            for (uint256 i = 0; i < (statement == GRAM ? 5 : 6); ++i) {
                uint256 pos = 128 + 32 * i;
                Batch memory b = _batches[statement];
                bytes memory proof = b.proof;
                b.proof = put(proof, pos, word(proof, pos) + R);
                refused(statement, b, because(BadScalar.selector, NO_RECORD));
                b.proof = put(proof, pos, addmod(word(proof, pos), 1, R));
                refused(statement, b, because(BadStatementIdentity.selector));
            }
        }
    }

    function testScalarsOfRecords() public view {
        for (uint8 statement = 0; statement < 3; ++statement) {
            for (uint256 k = 0; k < COUNT + first(statement); ++k) {
                Batch memory b = _batches[statement];
                uint256 pos = k * length(statement) + (statement == GRAM ? 320 : 448) + 64;
                uint256 value = word(b.dos, pos);
                bytes memory dos = b.dos;
                b.dos = put(dos, pos, value + R);
                refused(statement, b, because(BadScalar.selector, k));
                b.dos = put(dos, pos, addmod(value, 1, R));
                refused(statement, b, because(BadRangeIdentity.selector, k));
            }
        }
    }

    /// @dev W and W2 of the committee: bound by u alone.
    function testOpenings() public view {
        for (uint8 statement = 1; statement < 3; ++statement) {
            for (uint256 i = 0; i < 2; ++i) {
                Batch memory b = _batches[statement];
                bytes memory proof = b.proof;
                uint256 pos = proof.length - 128 + 64 * i;
                (uint256 x, uint256 y) = (word(proof, pos), word(proof, pos + 32));
                b.proof = put(proof, pos + 32, Q - y);
                refused(statement, b, because(BadPairing.selector));
                b.proof = put(put(proof, pos, 1), pos + 32, 2);
                refused(statement, b, because(BadPairing.selector));
                b.proof = put(proof, pos, addmod(x, 1, Q));
                refused(statement, b, because(BadPoint.selector, NO_RECORD));
                b.proof = put(proof, pos, x + Q);
                refused(statement, b, because(BadPoint.selector, NO_RECORD));
            }
        }
    }

    /// @dev Without a committee's proof nothing but the pairing depends on the openings of records.
    function testOpeningsOfRecords() public view {
        for (uint256 k = 0; k < COUNT; ++k) {
            Batch memory b = _batches[NONE];
            uint256 pos = 896 * k + 768;
            bytes memory dos = b.dos;
            b.dos = put(dos, pos + 32, Q - word(dos, pos + 32));
            refused(NONE, b, because(BadPairing.selector));
            b.dos = put(dos, pos, word(dos, pos) + Q);
            refused(NONE, b, because(BadPoint.selector, k));
        }
    }

    /// @dev rho: errors of two records that cancel each other out for equal weights. W of the first moves by 1, that of
    /// the second by -(tau - z) / (tau - z'), which only whoever knows tau can compute for z that are not the same.
    function testOpeningsMovedInOppositeDirections() public view {
        Batch memory b = _batches[NONE];
        uint256[2] memory off = [sub(TAU, challengeOf(b.dos, 0)), sub(TAU, challengeOf(b.dos, 1))];
        for (uint256 k = 0; k < 2; ++k) {
            uint256 pos = 896 * k + 768;
            uint256[2] memory by = times(k == 0 ? 1 : sub(0, divide(off[0], off[1])));
            (, bytes memory moved) = address(6).staticcall(abi.encode(point(b.dos, pos), by));
            b.dos = put(put(b.dos, pos, word(moved, 0)), pos + 32, word(moved, 32));
        }
        refused(NONE, b, because(BadPairing.selector));
    }

    /// @dev z of a record under a key with norms.
    function challengeOf(bytes memory dos, uint256 k) private view returns (uint256) {
        bytes32 state = keccak256(
            bytes.concat(tag("rangenorm"), _norms.sessionHash(market, 7, 0, BOUND), slice(dos, 896 * k, 896 * k + 320))
        );
        state = keccak256(bytes.concat(state, slice(dos, 896 * k + 320, 896 * k + 384)));
        return F(keccak256(bytes.concat(state, slice(dos, 896 * k + 384, 896 * k + 448))));
    }

    function testCommitmentsSwapped() public view {
        for (uint8 statement = 0; statement < 3; ++statement) {
            Batch memory b = _batches[statement];
            uint256 pos = first(statement) * length(statement) + 32;
            (uint256[2] memory one, uint256[2] memory two) = (point(b.dos, pos), point(b.dos, pos + length(statement)));
            b.dos = put(put(b.dos, pos, two[0]), pos + 32, two[1]);
            pos += length(statement);
            b.dos = put(put(b.dos, pos, one[0]), pos + 32, one[1]);
            refused(statement, b, because(BadRangeIdentity.selector, first(statement)));
        }
    }

    /// @dev Every word of what is posted, the fuzzed bit of it flipped; NONE's mask is the one thing that may change.
    function testFuzzBit(uint256 bit, uint8 statement) public view {
        statement = uint8(bound(statement, 0, 2));
        Batch memory b = _batches[statement];
        (uint256 d, uint256 v, uint256 p) = (8 * b.dos.length, 8 * b.values.length, 8 * b.proof.length);
        bit = bound(bit, 0, d + v + p - 1);
        if (bit < d) b.dos = flip(b.dos, bit);
        else if (bit < d + v) b.values = flip(b.values, bit - d);
        else b.proof = flip(b.proof, bit - d - v);
        ok(!passed(submit(statement, b, 7, BOUND)), "a changed bit passed");
    }

    function testEveryWordMatters() public view {
        for (uint8 statement = 0; statement < 3; ++statement) {
            Batch memory b = _batches[statement];
            bytes memory all = b.dos;
            for (uint256 pos = 0; pos < all.length; pos += 32) {
                b.dos = flip(all, 8 * pos + 255);
                ok(!passed(submit(statement, b, 7, BOUND)), "a changed word of a record passed");
            }
            b.dos = all;
            all = b.proof;
            for (uint256 pos = 0; pos < all.length; pos += 32) {
                b.proof = flip(all, 8 * pos + 255);
                ok(!passed(submit(statement, b, 7, BOUND)), "a changed word of the proof passed");
            }
        }
    }
}
