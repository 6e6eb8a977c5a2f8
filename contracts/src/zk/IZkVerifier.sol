// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @dev What a key of certificate zk is made of. Points are (x, y), canonical; infinite is C_P alone, where d = N.
struct KeyTerms {
    uint32 dimension; // d: coordinates of an update
    uint8 bits; // b: coordinates are in [-2^(b-1), 2^(b-1))
    uint32 size; // N: rows, a power of two, at least d and 2^b
    uint256 root; // w, of order N
    uint256[2] table; // C_T: commitment of the table of coordinates
    uint256[2] padding; // C_P: 0 in the first d rows, 1 after; (0, 0) where d = N
    uint256[2] powers; // C_p: 2^j in row j < normBits, 0 after; zero without norms
    uint256[4] tau2; // [tau] in the second group: x.c1, x.c0, y.c1, y.c0
    bytes32 label; // 0 for a string of a ceremony; else its secret is public, and only the chain 31337 takes it
    uint8 normBits; // ell: bits of the squared bound that records prove; 0: records prove no norm, statement gram
}

/// @title Checks records and batches of certificate zk under one key.
/// @notice A key with normBits has records of 896 bytes and serves verifyScore and verifyNone; one without has records of
/// 640 bytes and serves verifyGram. Every function is a view that stores nothing: whoever asks decides what follows, and
/// `market` is whom the proofs were made for. mask: bit k is the k-th data owner by address. At most 64 data owners.
/// Reverts with the errors of ZkErrors.sol, whose index counts the records as they stand in `dos`.
interface IZkVerifier {
    /// @notice Names the key: nodes compute it from their own reference string and compare.
    function keyDigest() external view returns (bytes32);

    /// @notice d, b, N, ell and the label of the reference string, as in KeyTerms.
    function dimension() external view returns (uint32);
    function bits() external view returns (uint8);
    function size() external view returns (uint32);
    function normBits() external view returns (uint8);
    function label() external view returns (bytes32);

    /// @notice 896 or 640: bytes of one record. The first word of a record is the data owner's address.
    function recordLength() external view returns (uint256);

    /// @notice What every proof for this market, session, round and squared bound B2 starts from.
    function sessionHash(address market, uint256 session, uint256 round, uint256 B2) external view returns (bytes32);

    /// @notice All inner products of the committed updates are those of `gram`, and those that mask accepts have a squared
    /// norm of at most B2. gram: entries l <= k, row by row, 16 bytes each, two's complement.
    /// @return sess the session hash
    /// @return aggX coordinate of the sum of the commitments that mask accepts
    /// @return aggY the other one
    /// @return valuesHash keccak256(gram)
    function verifyGram(
        address market,
        uint256 session,
        uint256 round,
        uint256 B2,
        uint256 mask,
        bytes calldata dos,
        bytes calldata gram,
        bytes calldata proof
    ) external view returns (bytes32 sess, uint256 aggX, uint256 aggY, bytes32 valuesHash);

    /// @notice The inner products with the reference are those of `scores`, and all squared norms are at most B2.
    /// @param dos the record of the reference, then those of the K data owners. It is in no sum.
    /// @param scores 16 bytes for each of the K, two's complement. valuesHash is its keccak256.
    function verifyScore(
        address market,
        uint256 session,
        uint256 round,
        uint256 B2,
        uint256 mask,
        bytes calldata dos,
        bytes calldata scores,
        bytes calldata proof
    ) external view returns (bytes32 sess, uint256 aggX, uint256 aggY, bytes32 valuesHash);

    /// @notice All squared norms are at most B2; nothing is said about products. valuesHash is keccak256("").
    function verifyNone(address market, uint256 session, uint256 round, uint256 B2, uint256 mask, bytes calldata dos)
        external
        view
        returns (bytes32 sess, uint256 aggX, uint256 aggY, bytes32 valuesHash);

    /// @notice One record alone, as it is judged within a batch: reverts unless it proves what it must.
    function checkRecord(address market, uint256 session, uint256 round, uint256 B2, bytes calldata record)
        external
        view;
}

/// @title Makes verifiers; one per key, by anybody.
interface IZkVerifiers {
    event VerifierCreated(bytes32 indexed keyDigest, uint8 normBits, address verifier);

    /// @notice The verifier of a key, made now unless it is there already. Reverts with BadKey if the terms are none.
    function create(KeyTerms calldata terms) external returns (address verifier);

    /// @notice 0 if there is none. The digest alone does not fix normBits, so that whoever asks must say it: the bit length
    /// of the squared bound of its session, or 0 for statement gram.
    function verifierOf(bytes32 keyDigest, uint8 normBits) external view returns (address);
}
