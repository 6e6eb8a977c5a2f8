// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Calldata} from "./Calldata.sol";
import {Committee, Shown} from "./Committee.sol";
import {Field} from "./Field.sol";
import {IZkVerifier, KeyTerms} from "./IZkVerifier.sol";
import {Key} from "./Key.sol";
import {Keys} from "./Keys.sol";
import {Points} from "./Points.sol";
import {Claim, Records} from "./Records.sol";
import {Transcript} from "./Transcript.sol";
import {Values} from "./Values.sol";
import {BadPairing, BadShape, WrongStatement} from "./ZkErrors.sol";

/// @title Verifier of certificate zk for one key.
contract ZkVerifier is IZkVerifier {
    /// @inheritdoc IZkVerifier
    bytes32 public immutable keyDigest;
    /// @inheritdoc IZkVerifier
    bytes32 public immutable label;
    /// @inheritdoc IZkVerifier
    uint32 public immutable dimension;
    /// @inheritdoc IZkVerifier
    uint32 public immutable size;
    /// @inheritdoc IZkVerifier
    uint8 public immutable bits;
    /// @inheritdoc IZkVerifier
    uint8 public immutable normBits;

    uint256 private constant MOST = 64;

    uint256 private immutable _root;
    uint256 private immutable _inverse;
    uint256 private immutable _tableX;
    uint256 private immutable _tableY;
    uint256 private immutable _paddingX;
    uint256 private immutable _paddingY;
    uint256 private immutable _powersX;
    uint256 private immutable _powersY;
    uint256 private immutable _tau2X1;
    uint256 private immutable _tau2X0;
    uint256 private immutable _tau2Y1;
    uint256 private immutable _tau2Y0;

    /// @dev A batch on its way through the checks. Places are those of the calldata.
    struct Batch {
        bytes32 tag; // of the statement: none, gram or score
        bytes32 sess;
        uint256 B2;
        uint256 mask;
        uint256 pos; // of the first record
        uint256 first; // 1 if the first record is the reference's, else 0
        uint256 values; // place of what is proved
        bytes32 valuesHash;
        uint256 proof; // place of the committee's proof, 0 if there is none
        Key key;
        Claim[] claims; // of all records
        uint256[] weights; // r_k of the data owners
        Shown shown;
    }

    /// @dev Reverts with BadKey if the terms are no key.
    constructor(KeyTerms memory terms) {
        Keys.requireValid(terms);
        keyDigest = Keys.digest(terms);
        (label, dimension, size) = (terms.label, terms.dimension, terms.size);
        (bits, normBits) = (terms.bits, terms.normBits);
        _root = terms.root;
        _inverse = Field.inverse(terms.size);
        (_tableX, _tableY) = (terms.table[0], terms.table[1]);
        (_paddingX, _paddingY) = (terms.padding[0], terms.padding[1]);
        (_powersX, _powersY) = (terms.powers[0], terms.powers[1]);
        (_tau2X1, _tau2X0, _tau2Y1, _tau2Y0) = (terms.tau2[0], terms.tau2[1], terms.tau2[2], terms.tau2[3]);
    }

    /// @inheritdoc IZkVerifier
    function recordLength() public view returns (uint256) {
        return Records.length(normBits != 0);
    }

    /// @inheritdoc IZkVerifier
    function sessionHash(address market, uint256 session, uint256 round, uint256 B2) public view returns (bytes32) {
        return keccak256(abi.encode(Transcript.SESSION, block.chainid, market, session, round, keyDigest, B2));
    }

    /// @inheritdoc IZkVerifier
    function verifyGram(
        address market,
        uint256 session,
        uint256 round,
        uint256 B2,
        uint256 mask,
        bytes calldata dos,
        bytes calldata gram,
        bytes calldata proof
    ) external view returns (bytes32 sess, uint256 aggX, uint256 aggY, bytes32 valuesHash) {
        Batch memory b = _open(sessionHash(market, session, round, B2), B2, mask, dos, Transcript.GRAM);
        uint256 count = b.claims.length;
        if (gram.length != Values.WIDTH * ((count * (count + 1)) / 2) || proof.length != Committee.GRAM) {
            revert BadShape();
        }
        _attach(b, gram, proof);
        return _verify(b);
    }

    /// @inheritdoc IZkVerifier
    function verifyScore(
        address market,
        uint256 session,
        uint256 round,
        uint256 B2,
        uint256 mask,
        bytes calldata dos,
        bytes calldata scores,
        bytes calldata proof
    ) external view returns (bytes32 sess, uint256 aggX, uint256 aggY, bytes32 valuesHash) {
        Batch memory b = _open(sessionHash(market, session, round, B2), B2, mask, dos, Transcript.SCORE);
        if (scores.length != Values.WIDTH * (b.claims.length - 1) || proof.length != Committee.SCORE) {
            revert BadShape();
        }
        _attach(b, scores, proof);
        return _verify(b);
    }

    /// @inheritdoc IZkVerifier
    function verifyNone(address market, uint256 session, uint256 round, uint256 B2, uint256 mask, bytes calldata dos)
        external
        view
        returns (bytes32 sess, uint256 aggX, uint256 aggY, bytes32 valuesHash)
    {
        Batch memory b = _open(sessionHash(market, session, round, B2), B2, mask, dos, Transcript.NONE);
        b.valuesHash = keccak256("");
        return _verify(b);
    }

    /// @inheritdoc IZkVerifier
    function checkRecord(address market, uint256 session, uint256 round, uint256 B2, bytes calldata record)
        external
        view
    {
        if (record.length != recordLength()) revert BadShape();
        bytes32 tag = normBits == 0 ? Transcript.GRAM : Transcript.NONE;
        Batch memory b = _open(sessionHash(market, session, round, B2), B2, 0, record, tag);
        _checkRecords(b, 0, 0);
        b.shown.rho = 1;
        b.weights = new uint256[](1);
        _combined(b);
    }

    /// @dev Lengths, order of the records, and whether this key serves the statement at all.
    function _open(bytes32 sess, uint256 B2, uint256 mask, bytes calldata dos, bytes32 tag)
        private
        view
        returns (Batch memory b)
    {
        if ((tag == Transcript.GRAM) != (normBits == 0)) revert WrongStatement();
        uint256 ell = normBits;
        if (ell != 0 && (B2 >> ell != 0 || B2 >> (ell - 1) == 0)) revert BadShape();
        uint256 first = tag == Transcript.SCORE ? 1 : 0;
        uint256 length = recordLength();
        uint256 count = dos.length / length;
        if (dos.length != count * length || count <= first || count > MOST + first || mask >> (count - first) != 0) {
            revert BadShape();
        }
        Records.requireOrder(dos, length, first);
        (b.tag, b.sess, b.B2, b.mask, b.pos, b.first) = (tag, sess, B2, mask, Calldata.offset(dos), first);
        b.key = _key();
        b.claims = new Claim[](count);
    }

    function _attach(Batch memory b, bytes calldata values, bytes calldata proof) private pure {
        b.values = Calldata.offset(values);
        b.valuesHash = keccak256(values);
        b.proof = Calldata.offset(proof);
    }

    /// @dev Records, then the statement, then all openings at once.
    function _verify(Batch memory b) private view returns (bytes32, uint256 aggX, uint256 aggY, bytes32) {
        uint256 records = b.claims.length;
        uint256 count = records - b.first;
        bool score = b.tag == Transcript.SCORE;
        uint256 start = score ? 3 : 4;
        uint256 end = start + 2 * records;
        uint256[] memory words = _checkRecords(b, start, score ? count : b.proof == 0 ? 0 : 1);
        (words[0], words[1], words[2]) = (uint256(b.tag), uint256(b.sess), count);
        if (score) {
            Values.read(words, end, b.values, count);
        } else {
            words[3] = b.mask;
            if (b.proof != 0) words[end] = uint256(b.valuesHash);
        }
        bytes32 state = Transcript.hash(words);
        if (b.proof == 0) {
            b.shown.rho = Transcript.challenge(state);
            b.weights = new uint256[](count);
        } else {
            b.weights = Transcript.weights(state, count);
            if (!score) Values.requireNorms(b.mask, b.B2, b.values, count);
            uint256 total = score ? Values.sum(b.weights, words, end) : Values.form(b.weights, b.values);
            b.shown = Committee.check(b.key, state, total, b.proof, score);
        }
        (aggX, aggY) = _combined(b);
        return (b.sess, aggX, aggY, b.valuesHash);
    }

    /// @dev The identity of every record. Returns the words of the statement's transcript with address and seal of each
    /// record from `start` on, then `more` words.
    function _checkRecords(Batch memory b, uint256 start, uint256 more) private view returns (uint256[] memory words) {
        uint256 length = recordLength();
        uint256 count = b.claims.length;
        words = new uint256[](start + 2 * count + more);
        for (uint256 k = 0; k < count; ++k) {
            uint256 pos = b.pos + k * length;
            Claim memory claim = Records.check(b.key, b.sess, b.B2, pos, k);
            b.claims[k] = claim;
            words[start + 2 * k] = Calldata.word(pos);
            words[start + 2 * k + 1] = claim.seal;
        }
    }

    /// @dev One pairing for all openings: the committee's with weight 1, record k's with rho^(k+1). Returns the aggregate.
    function _combined(Batch memory b) private view returns (uint256 aggX, uint256 aggY) {
        (Points.Sum left, Points.Sum right, Points.Sum sum) = (Points.zero(), Points.zero(), Points.zero());
        (uint256 table, uint256 powers, uint256 value) = (0, 0, b.shown.value);
        uint256 length = recordLength();
        uint256 weight = 1;
        for (uint256 k = 0; k < b.claims.length; ++k) {
            weight = Field.mul(weight, b.shown.rho);
            uint256 extra = k < b.first ? Field.power(b.shown.gamma, 4) : b.weights[k - b.first];
            uint256 pos = b.pos + k * length;
            (uint256 ofTable, uint256 ofPowers) =
                Records.combine(b.key, b.claims[k], left, right, pos, weight, extra, k);
            table = Field.add(table, ofTable);
            powers = Field.add(powers, ofPowers);
            value = Field.add(value, Field.mul(weight, b.claims[k].value));
            if (k >= b.first && (b.mask >> (k - b.first)) & 1 == 1) Points.add(sum, pos + 32, k);
        }
        bool done = Points.add(left, b.key.table, table);
        if (b.key.norms) done = Points.add(left, b.key.powers, powers) && done;
        if (b.proof != 0) {
            Committee.combine(b.key, b.shown, left, right, b.proof, b.first == 1);
            done = Points.add(left, b.key.padding, Field.power(b.shown.gamma, 3)) && done;
        }
        done = Points.add(left, [uint256(1), 2], Field.sub(0, value)) && done;
        (, bool equal) = Points.pair(left, right, b.key.tau2);
        if (!done || !equal) revert BadPairing();
        return Points.coordinates(sum);
    }

    function _key() private view returns (Key memory) {
        return Key(
            size,
            _root,
            _inverse,
            [_tableX, _tableY],
            [_paddingX, _paddingY],
            [_powersX, _powersY],
            [_tau2X1, _tau2X0, _tau2Y1, _tau2Y0],
            normBits != 0
        );
    }
}
