// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BadOrder, BadPairing, BadShape, WrongStatement} from "../../src/zk/ZkErrors.sol";

/// @dev Believes every proof that says "proof", and looks at all else that the market must get right: whose session, which
/// bound, which statement, the order of the records. The aggregate that it returns is the mask and the number of records.
contract MockVerifier {
    uint32 public dimension;
    uint8 public bits;
    uint32 public size;
    uint8 public normBits;

    constructor(uint32 dimension_, uint8 bits_, uint32 size_, uint8 normBits_) {
        (dimension, bits, size, normBits) = (dimension_, bits_, size_, normBits_);
    }

    function verifyGram(
        address market,
        uint256 session,
        uint256 round,
        uint256 B2,
        uint256 mask,
        bytes memory dos,
        bytes memory gram,
        bytes memory proof
    ) external view returns (bytes32, uint256, uint256, bytes32) {
        _session(market, session, round, normBits == 0);
        _proof(proof);
        uint256 count = dos.length / 640;
        if (gram.length != 8 * count * (count + 1)) revert BadShape();
        _records(mask, count, 0, dos);
        _norms(mask, count, B2, gram);
        return (0, mask, count, keccak256(gram));
    }

    function verifyScore(
        address market,
        uint256 session,
        uint256 round,
        uint256 B2,
        uint256 mask,
        bytes memory dos,
        bytes memory scores,
        bytes memory proof
    ) external view returns (bytes32, uint256, uint256, bytes32) {
        _session(market, session, round, B2 >> normBits == 0);
        _proof(proof);
        uint256 count = dos.length / 896 - 1;
        if (scores.length != 16 * count) revert BadShape();
        _records(mask, count, 896, dos);
        return (0, mask, count, keccak256(scores));
    }

    function verifyNone(
        address market,
        uint256 session,
        uint256 round,
        uint256 B2,
        uint256 mask,
        bytes memory dos
    ) external view returns (bytes32, uint256, uint256, bytes32) {
        _session(market, session, round, B2 >> normBits == 0);
        _records(mask, dos.length / 896, 0, dos);
        return (0, mask, dos.length / 896, keccak256(""));
    }

    function _session(address market, uint256 session, uint256 round, bool ours) private view {
        if (!ours) revert WrongStatement();
        if (market != msg.sender || session == 0 || round != 0) revert BadShape();
    }

    function _proof(bytes memory proof) private pure {
        if (keccak256(proof) != keccak256("proof")) revert BadPairing();
    }

    function _records(uint256 mask, uint256 count, uint256 start, bytes memory dos) private pure {
        if (mask >> count != 0) revert BadShape();
        uint256 length = (dos.length - start) / count;
        uint256 before;
        for (uint256 k = 0; k < count; ++k) {
            uint256 word = uint256(_word(dos, start + k * length));
            if (word <= before || word >> 160 != 0) revert BadOrder(k);
            before = word;
        }
    }

    function _norms(uint256 mask, uint256 count, uint256 B2, bytes memory gram) private pure {
        for (uint256 k = 0; k < count; ++k) {
            int256 norm = int256(uint256(_word(gram, 8 * k * (k + 3)))) >> 128;
            if ((mask >> k) & 1 == 1 && (norm < 0 || uint256(norm) > B2)) revert BadShape();
        }
    }

    function _word(bytes memory data, uint256 at) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 32), at))
        }
    }
}

/// @dev The factory: knows what it is told.
contract MockVerifiers {
    mapping(bytes32 keyDigest => mapping(uint8 normBits => address)) public verifierOf;

    function add(bytes32 keyDigest, uint32 dimension, uint8 bits, uint32 size, uint8 normBits) external {
        verifierOf[keyDigest][normBits] = address(new MockVerifier(dimension, bits, size, normBits));
    }
}
