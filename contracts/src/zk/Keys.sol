// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Field} from "./Field.sol";
import {KeyTerms} from "./IZkVerifier.sol";
import {Points} from "./Points.sol";
import {Transcript} from "./Transcript.sol";
import {BadKey} from "./ZkErrors.sol";

/// @title Names of keys, and what the terms of a key must satisfy.
/// @dev That C_T, C_P and C_p commit to the right polynomials nobody can check here: nodes recompute the digest.
library Keys {
    uint256 internal constant DEVELOPMENT = 31337;
    /// @dev The secret of the test string of the label "omninode", which everybody can compute.
    uint256 internal constant KNOWN =
        uint256(keccak256(abi.encode(keccak256("omninode.insecure.srs"), keccak256("omninode")))) % Field.R;

    /// @dev H(TAG_key, N, w, d, b, C_T, C_P, tau2 [, C_p])
    function digest(KeyTerms memory t) internal pure returns (bytes32) {
        bytes memory words =
            abi.encode(Transcript.KEY, uint256(t.size), t.root, t.dimension, t.bits, t.table, t.padding, t.tau2);
        return keccak256(t.normBits == 0 ? words : bytes.concat(words, abi.encode(t.powers)));
    }

    function requireValid(KeyTerms memory t) internal view {
        uint256 size = t.size;
        if (size < 2 || size & (size - 1) != 0 || t.dimension == 0 || t.dimension > size) revert BadKey("size");
        // N has 32 bits, so that inner products fit 128: N 2^(2b-2) <= 2^91
        if (t.bits == 0 || 1 << t.bits > size) revert BadKey("bits");
        if (t.root >= Field.R || Field.power(t.root, size / 2) != Field.R - 1) revert BadKey("root");
        _requirePoint(t.table, "table");
        // N coordinates leave no row for padding: the commitment of nothing
        if (t.dimension != size) _requirePoint(t.padding, "padding");
        else if (t.padding[0] | t.padding[1] != 0) revert BadKey("padding");
        if (t.normBits > 127 || t.normBits > size) revert BadKey("norms");
        if (t.normBits != 0) _requirePoint(t.powers, "powers");
        else if (t.powers[0] | t.powers[1] != 0) revert BadKey("powers");
        _requireString(t);
    }

    function _requirePoint(uint256[2] memory point, bytes32 what) private view {
        if (point[0] | point[1] == 0 || !Points.add(Points.zero(), point, 1)) revert BadKey(what);
    }

    /// @dev tau2 is in the second group; outside the development chain its secret is not known to everybody.
    function _requireString(KeyTerms memory t) private view {
        if (t.tau2[0] | t.tau2[1] | t.tau2[2] | t.tau2[3] == 0) revert BadKey("tau2");
        (bool valid, bool known) = _secretIs(KNOWN, t.tau2);
        if (!valid) revert BadKey("tau2");
        if ((known || t.label != 0 || _isOne(t.tau2)) && block.chainid != DEVELOPMENT) revert BadKey("label");
    }

    /// @dev tau = 1: what a ceremony begins with.
    function _isOne(uint256[4] memory tau2) private pure returns (bool) {
        return tau2[0] == Points.ONE2_X1 && tau2[1] == Points.ONE2_X0 && tau2[2] == Points.ONE2_Y1
            && tau2[3] == Points.ONE2_Y0;
    }

    /// @dev e([secret], [1]) = e([1], tau2)
    function _secretIs(uint256 secret, uint256[4] memory tau2) private view returns (bool valid, bool equal) {
        uint256[2] memory one = [uint256(1), 2];
        (Points.Sum left, Points.Sum right) = (Points.zero(), Points.zero());
        if (!Points.add(left, one, secret) || !Points.add(right, one, 1)) return (false, false);
        return Points.pair(left, right, tau2);
    }
}
