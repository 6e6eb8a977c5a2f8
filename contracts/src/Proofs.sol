// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AlreadyDone, NotDataOwner, NotInCommittee, NotInSet, NotOwner, RecordsLength, WrongCertificate, WrongRecord} from "./Errors.sol";
import {Gas} from "./Gas.sol";
import {IDataMarket} from "./IDataMarket.sol";
import {Rules} from "./Rules.sol";
import {Scores} from "./Scores.sol";
import {Sets} from "./Sets.sol";
import {Terms} from "./Terms.sol";
import {PAYOUT_CONTRIBUTION, REFERENCE, REFERENCE_BIT, RULE_TRUST, Session} from "./Types.sol";
import {Verified} from "./Verified.sol";
import {IZkVerifier, IZkVerifiers} from "./zk/IZkVerifier.sol";

/// @title Certificate zk: the judgement of a batch that comes with a proof.
/// @dev Python twin of what follows from the values: protocols/sessions/zk_judgement.py. The market knows who is valid, what
/// they have committed to and the rule; that the values are those of the committed updates is the verifier's to say, and
/// nothing counts before it has. Linked, because its code does not fit beside the market's; works on the market's storage.
library Proofs {
    uint256 internal constant RECORD = 640; // bytes of a record
    uint256 internal constant RECORD_NORMS = 896; // with the proof of the norm
    uint256 internal constant WIDTH = 16; // of a value, two's complement

    /// @dev What is proved, and of whom. `first`: 1 where the reference's record comes before the others.
    struct Batch {
        bool gram;
        uint256 first;
        uint256 valid; // set VALID without the reference
        uint256 count; // its size
        uint256 squared; // B^2
        uint256[] indices; // registration index of each record, by address
    }

    /// @notice Judges a batch posted by a member of the committee. Reverts unless it is exactly what VALID, the posted
    /// digests and the proof allow. With fewer valid data owners than minAccepted there is nothing to prove: the arguments
    /// are not looked at.
    /// @return output false: too few are accepted, or no score is positive; refunds
    /// @return accepted data owners
    /// @return units of gas to pay back
    function judge(
        uint256 id,
        Session storage s,
        address verifiers,
        bytes calldata dos,
        bytes calldata values,
        bytes calldata proof
    ) external returns (bool output, uint256 accepted, uint256 units) {
        if (s.terms.proofKey == 0) revert WrongCertificate();
        if (s.accounts[msg.sender].seat == 0) revert NotInCommittee(msg.sender);
        s.feesDue = true;
        _passOver(s);
        uint256 n = s.terms.committee;
        Batch memory b = _batch(s);
        if (b.count < s.terms.minAccepted) return (false, 0, Gas.unproved(n));
        _requireRecords(s, b, dos);
        uint256 mask = _mask(s, b, values);
        accepted = _owners(b, mask);
        (uint256 aggX, uint256 aggY, bytes32 valuesHash) = _verify(id, s, b, verifiers, mask, dos, values, proof);
        s.batchHash = keccak256(abi.encode(id, s.sets[2], accepted, valuesHash, keccak256(proof)));
        bool scored = b.first == 1 && s.terms.payout == PAYOUT_CONTRIBUTION;
        output = Sets.size(accepted) >= s.terms.minAccepted;
        if (output && scored) output = _score(id, s, b, accepted, values);
        if (output) emit IDataMarket.Proved(id, aggX, aggY, valuesHash);
        uint256 picks = Gas.picksOf(s.terms.rule, s.terms.mKrum);
        units = n * Gas.VOTED + Gas.proof(b.gram, b.count + b.first, picks, scored ? b.count : 0);
    }

    /// @dev No fee for who has voted for nobody in both bitmaps, as provers do without the session's reference string:
    /// its last one no longer counts as posted. The sets are fixed already.
    function _passOver(Session storage s) private {
        uint256 n = s.terms.committee;
        uint256 posted = s.posted2;
        for (uint256 seat = 0; seat < n; ++seat) {
            if (s.bitmaps[0][seat] == 0 && s.bitmaps[1][seat] == 0) posted &= ~(uint256(1) << seat);
        }
        s.posted2 = uint16(posted);
    }

    function _batch(Session storage s) private view returns (Batch memory b) {
        uint256 valid = s.sets[2];
        b.gram = Terms.compares(s.terms.rule);
        if (Verified.usesReference(s) && Sets.has(valid, REFERENCE)) b.first = 1;
        b.valid = valid & ~REFERENCE_BIT;
        b.count = Sets.size(b.valid);
        b.squared = uint256(s.terms.bound) * s.terms.bound;
    }

    /// @dev One record of each valid data owner, as it was committed to; the reference's before them. That addresses are
    /// in order is the verifier's to check.
    function _requireRecords(Session storage s, Batch memory b, bytes calldata dos) private view {
        uint256 length = b.gram ? RECORD : RECORD_NORMS;
        uint256 expected = length * (b.count + b.first);
        if (dos.length != expected) revert RecordsLength(dos.length, expected);
        if (b.first == 1) {
            if (_address(dos) != s.owner) revert NotOwner(_address(dos));
            if (keccak256(dos[:length]) != s.uploadRoots[REFERENCE]) revert WrongRecord(REFERENCE);
            dos = dos[length:];
        }
        b.indices = new uint256[](b.count);
        uint256 left = b.valid;
        for (uint256 k = 0; k < b.count; ++k) {
            bytes calldata record = dos[k * length:(k + 1) * length];
            uint16 place = s.accounts[_address(record)].place;
            if (place == 0) revert NotDataOwner(_address(record));
            uint16 index = place - 1;
            if (!Sets.has(b.valid, index)) revert NotInSet(index);
            if (!Sets.has(left, index)) revert AlreadyDone(index);
            if (keccak256(record) != s.uploadRoots[index]) revert WrongRecord(index);
            left &= ~(uint256(1) << index);
            b.indices[k] = index;
        }
    }

    /// @dev The first word of a record; the verifier refuses one with more bits.
    function _address(bytes calldata record) private pure returns (address) {
        return address(uint160(uint256(bytes32(record[:32]))));
    }

    /// @dev Which records the rule accepts. Wrong values give any mask, and no proof.
    function _mask(Session storage s, Batch memory b, bytes calldata values) private view returns (uint256 mask) {
        if (b.gram) return _select(s, b, values);
        if (b.first == 0 || s.terms.rule != RULE_TRUST) return Sets.full(b.count);
        for (uint256 k = 0; k < b.count; ++k) {
            if (_value(values, k) > 0) mask |= uint256(1) << k;
        }
    }

    /// @dev The rule on the distances D_kl = G_kk + G_ll - 2 G_kl of those within the bound.
    function _select(Session storage s, Batch memory b, bytes calldata values) private view returns (uint256) {
        uint256[] memory places = new uint256[](b.count);
        uint256 count = 0;
        uint256 within = 0;
        for (uint256 k = 0; k < b.count; ++k) {
            int256 norm = _value(values, (k * (k + 3)) / 2);
            if (norm < 0 || uint256(norm) > b.squared) continue;
            within |= uint256(1) << k;
            places[count++] = k;
        }
        uint256[] memory near = _distances(places, count, values);
        IDataMarket.Params storage p = s.terms;
        return Rules.spread(Rules.keep(p.rule, near, count, s.registered, p.muBps, p.mKrum), within);
    }

    /// @dev As Rules.keep wants them: each between the r-th and the q-th of `places` lies in the rows of both. Products of
    /// updates within the bound are far below 2^128; of wrong ones the sums mean nothing, and end nowhere.
    function _distances(uint256[] memory places, uint256 count, bytes calldata values)
        private
        pure
        returns (uint256[] memory near)
    {
        near = new uint256[](count * count);
        for (uint256 r = 1; r < count; ++r) {
            uint256 k = places[r];
            assembly ("memory-safe") {
                let row := add(values.offset, shl(3, mul(k, add(k, 1)))) // of the triangle, 16 bytes each
                let norm := sar(128, calldataload(add(row, shl(4, k))))
                let mine := add(add(near, 32), shl(5, mul(r, count)))
                let theirs := add(near, shl(5, r)) // column r - 1 of row 0
                for { let q := 0 } lt(q, r) { q := add(q, 1) } {
                    let l := mload(add(places, shl(5, add(q, 1))))
                    let other := sar(128, calldataload(add(values.offset, shl(3, mul(l, add(l, 3))))))
                    let product := sar(128, calldataload(add(row, shl(4, l))))
                    let distance := shl(8, sub(add(norm, other), shl(1, product)))
                    mstore(mine, or(distance, q))
                    mstore(theirs, or(distance, r))
                    mine := add(mine, 32)
                    theirs := add(theirs, shl(5, count))
                }
            }
        }
    }

    /// @dev The value at this position; of nothing, beyond the end, where the verifier refuses the length.
    function _value(bytes calldata values, uint256 position) private pure returns (int256 value) {
        assembly ("memory-safe") {
            value := sar(128, calldataload(add(values.offset, mul(position, 16))))
        }
    }

    /// @dev Bits over records, as bits over data owners.
    function _owners(Batch memory b, uint256 mask) private pure returns (uint256 owners) {
        for (uint256 k = 0; k < b.count; ++k) {
            if (Sets.has(mask, k)) owners |= uint256(1) << b.indices[k];
        }
    }

    function _verify(
        uint256 id,
        Session storage s,
        Batch memory b,
        address verifiers,
        uint256 mask,
        bytes calldata dos,
        bytes calldata values,
        bytes calldata proof
    ) private view returns (uint256 aggX, uint256 aggY, bytes32 valuesHash) {
        IZkVerifier verifier = IZkVerifier(
            IZkVerifiers(verifiers).verifierOf(s.terms.proofKey, b.gram ? 0 : Terms.bitLength(b.squared))
        );
        if (b.gram) {
            (, aggX, aggY, valuesHash) =
                verifier.verifyGram(address(this), id, 0, b.squared, mask, dos, values, proof);
        } else if (b.first == 1) {
            (, aggX, aggY, valuesHash) =
                verifier.verifyScore(address(this), id, 0, b.squared, mask, dos, values, proof);
        } else {
            (, aggX, aggY, valuesHash) = verifier.verifyNone(address(this), id, 0, b.squared, mask, dos);
        }
    }

    /// @dev Keeps and shows the scores of the accepted: no one's is below 0, and nobody is known to be a copy.
    function _score(uint256 id, Session storage s, Batch memory b, uint256 accepted, bytes calldata values)
        private
        returns (bool)
    {
        uint256[] memory scores = new uint256[](256);
        for (uint256 k = 0; k < b.count; ++k) {
            int256 score = _value(values, k);
            scores[b.indices[k]] = score > 0 ? uint256(score) : 0;
        }
        uint256[] memory words = new uint256[](Sets.size(accepted));
        uint256 next = 0;
        for (uint256 index = 0; accepted >> index != 0; ++index) {
            if (Sets.has(accepted, index)) words[next++] = scores[index] | (uint256(1) << 128);
        }
        (uint256[] memory weights, uint256 sum) = Scores.weigh(words, s.terms.scoreCap, 1);
        if (sum == 0) return false;
        Scores.store(s, accepted, weights, sum);
        emit IDataMarket.Scored(id, words);
        return true;
    }
}
