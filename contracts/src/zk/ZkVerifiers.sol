// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IZkVerifiers, KeyTerms} from "./IZkVerifier.sol";
import {Keys} from "./Keys.sol";
import {ZkVerifier} from "./ZkVerifier.sol";

/// @title Makes verifiers; their addresses follow from the terms.
contract ZkVerifiers is IZkVerifiers {
    /// @inheritdoc IZkVerifiers
    mapping(bytes32 keyDigest => mapping(uint8 normBits => address)) public verifierOf;

    /// @inheritdoc IZkVerifiers
    function create(KeyTerms calldata terms) external returns (address verifier) {
        bytes32 digest = Keys.digest(terms);
        verifier = verifierOf[digest][terms.normBits];
        if (verifier != address(0)) return verifier;
        verifier = address(new ZkVerifier{salt: digest}(terms));
        verifierOf[digest][terms.normBits] = verifier;
        emit VerifierCreated(digest, terms.normBits, verifier);
    }
}
