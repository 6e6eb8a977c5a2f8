// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {BadSignature, SignatureCount, TooFewSignatures} from "./Errors.sol";
import {IDataMarket} from "./IDataMarket.sol";
import {Sets} from "./Sets.sol";
import {Session} from "./Types.sol";

/// @title What committee members sign (EIP-712 structs; the domain is the market's).
library Signatures {
    bytes32 internal constant BATCH =
        keccak256("Batch(uint256 session,uint256 validSet,uint256 passed,bytes32 valuesHash,bytes32 digest)");
    bytes32 internal constant RECEIPT =
        keccak256("Receipt(uint256 session,address dataOwner,bytes32 root,uint256 prover)");
    bytes32 internal constant ATTESTATION =
        keccak256("Attestation(uint256 session,uint256 provers,uint256 dataOwners)");

    function batchHash(uint256 id, IDataMarket.BatchHeader memory h) internal pure returns (bytes32) {
        return keccak256(abi.encode(BATCH, id, h.validSet, h.passed, h.valuesHash, h.digest));
    }

    function receiptHash(uint256 id, address dataOwner, bytes32 root, uint256 seat) internal pure returns (bytes32) {
        return keccak256(abi.encode(RECEIPT, id, dataOwner, root, seat));
    }

    function attestationHash(uint256 id, uint256 provers, uint256 dataOwners) internal pure returns (bytes32) {
        return keccak256(abi.encode(ATTESTATION, id, provers, dataOwners));
    }

    /// @dev Address that signed `digest`; 0 if the signature is malformed or malleable.
    function signer(bytes32 digest, bytes calldata signature) internal pure returns (address who) {
        (who,,) = ECDSA.tryRecoverCalldata(digest, signature);
    }

    /// @dev At least n - t distinct members, one valid signature each, in ascending committee index.
    function requireQuorum(Session storage s, bytes32 digest, uint256 signers, bytes[] calldata signatures)
        internal
        view
    {
        uint256 n = s.terms.committee;
        Sets.requireWithin(signers, n);
        uint256 count = Sets.size(signers);
        uint256 needed = n - s.terms.threshold;
        if (count < needed) revert TooFewSignatures(count, needed);
        if (signatures.length != count) revert SignatureCount(signatures.length, count);
        uint256 next = 0;
        for (uint256 seat = 0; seat < n; ++seat) {
            if (!Sets.has(signers, seat)) continue;
            if (signer(digest, signatures[next++]) != s.committee[seat]) revert BadSignature(seat);
        }
    }
}
