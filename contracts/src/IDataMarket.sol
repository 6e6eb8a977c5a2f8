// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The market of model updates: registration, commitments, adjudication and payment, nothing else.
/// @notice Phases, bitmaps and sub-deadlines: docs/contracts.md. Bit i of a data-owner bitmap is the data owner
/// registered i-th; bit i of a prover bitmap is the committee's i-th prover (evaluation point i + 1).
interface IDataMarket {
    enum Phase {
        None,
        Committee,
        Register,
        Draw,
        Groups,
        Keys,
        Bundles,
        Upload,
        Delivered,
        Query,
        Valid,
        Batch,
        Output,
        Finished,
        Aborted
    }

    /// @dev Numbers equal protocols/sessions/params.py. Windows are in blocks; money in wei; bound is B * 2**fracBits.
    struct Params {
        bytes32 docDigest;
        bytes32 ownerPeer; // ed25519 key of the owner's node
        bytes32 whitelistRoot; // 0: open session. Leaf: keccak256(bytes.concat(keccak256(abi.encode(address))))
        uint128 reward;
        uint128 proverFee; // per committee member
        uint128 deposit; // per data owner
        uint128 scoreCap; // mode verified, payout by contribution: largest score that counts, else 0
        uint64 gasPriceCap; // wei per gas unit that is reimbursed at most
        uint64 bound;
        uint32 dimension;
        uint16 groupSize; // N; mode verified: 1
        uint16 groups; // R; mode verified: data owners at most, 3 .. 255
        uint16 muBps;
        uint16 mKrum;
        uint16 minAccepted;
        uint16 registerBlocks;
        uint16 uploadBlocks;
        uint16 settleBlocks;
        uint8 mode; // 0 grouped, 1 verified
        uint8 fracBits;
        uint8 committee; // n
        uint8 threshold; // t
        uint8 rule; // 0 none, 1 outlier, 2 multi-krum, 3 m-krum, 4 trust (mode verified)
        uint8 payout; // 0 equal, 1 contribution (mode verified)
        bool publicSums;
        bytes32 proofKey; // 0: signatures decide (certificate attested); else the key of the batch's proof (zk, mode verified)
    }

    /// @dev What the committee signs (EIP-712 type Batch(uint256 session,uint256 validSet,uint256 passed,bytes32 valuesHash,bytes32 digest)).
    struct BatchHeader {
        uint256 validSet; // U as fixed on chain
        uint256 passed; // groups that passed step 6, bit per group; mode verified: accepted data owners
        bytes32 valuesHash; // keccak256(abi.encodePacked(uint256[] values))
        bytes32 digest; // of the decoded values, journaled by every prover
    }

    struct SessionView {
        address owner;
        Phase phase;
        uint64 createdBlock;
        uint64 phaseStart; // block in which the phase began
        uint64 deadline; // last block in which the phase accepts its transactions, 0: none
        uint16 registered;
        uint16 groupCount;
        uint256[3] sets; // V, delivered, U (fixed ones)
        bytes32[3] beacons;
        uint256 acceptedGroups;
        uint256 acceptedOwners;
        uint256 namedProvers;
        uint256 silentOwners;
        bytes32 batchHash;
        uint256 escrow; // wei still held for this session
    }

    event SessionCreated(uint256 indexed id, address indexed owner, bytes32 docDigest);
    event PhaseChanged(uint256 indexed id, Phase phase, uint64 deadline);
    event BeaconSet(uint256 indexed id, uint8 purpose, bytes32 value);
    event CommitteeDrawn(uint256 indexed id, address[] provers);
    event Registered(uint256 indexed id, uint16 index, address indexed dataOwner, bytes32 peerKey, bytes32 keyDigest);
    event GroupsDrawn(uint256 indexed id, uint16[] order, uint16 groupCount);
    event ShareRootCommitted(uint256 indexed id, uint16 index, bytes32 root);
    event BitmapPosted(uint256 indexed id, uint8 kind, uint8 prover, uint256 bits);
    event OpeningsPosted(uint256 indexed id, uint8 prover, uint256 present, bytes values);
    event ReceiptPosted(uint256 indexed id, uint16 index, uint8 prover);
    event SetFixed(uint256 indexed id, uint8 kind, uint256 bits);
    event UploadCommitted(uint256 indexed id, uint16 index, bytes32 root);
    event ReferenceCommitted(uint256 indexed id, bytes32 root);
    event Scored(uint256 indexed id, uint256[] values); // with BatchFinal, payout by contribution: as posted
    event Proved(uint256 indexed id, uint256 aggX, uint256 aggY, bytes32 valuesHash); // with BatchFinal, certificate zk: commitment to the accepted sum
    event BatchFinal(uint256 indexed id, bytes32 batchHash, uint256 passed, uint256 selected, uint256 accepted);
    event Attested(uint256 indexed id, uint256 provers, uint256 dataOwners);
    event ProverSlashed(uint256 indexed id, address indexed prover, uint8 reason); // 0 silent 1 two batches 2 receipt left out 3 attested
    event DepositForfeited(uint256 indexed id, uint16 index);
    event Acknowledged(uint256 indexed id);
    event SessionAborted(uint256 indexed id, string reason);
    event Claimed(uint256 indexed id, address indexed who, uint256 amount);

    function createSession(Params calldata p) external payable returns (uint256 id); // value >= requiredEscrow(p), surplus refused
    function requiredEscrow(Params calldata p) external view returns (uint256); // reverts on terms that createSession refuses
    function poke(uint256 id) external; // beacons and everything that time alone decides; a no-op where nothing is due
    function register(uint256 id, bytes32 peerKey, bytes32 keyDigest, bytes32[] calldata whitelistProof)
        external
        payable;
    /// Mode verified, owner, phase Register, once: root of its shared reference update. Bit and index 255 stand for it.
    function commitReference(uint256 id, bytes32 root) external;
    function postGroups(uint256 id, uint16[] calldata order) external;
    function commitShares(uint256 id, bytes32 root) external;
    function commitUpload(uint256 id, bytes32 root) external;
    function postBitmap(uint256 id, uint8 kind, uint256 bits) external;
    /// Phase Valid, once per prover: the combinations of the consistency check, posted where everybody sees the same ones.
    /// present: the part of "delivered" that it holds pieces of; values: 8 bytes for each, which nobody checks here.
    function postOpenings(uint256 id, uint256 present, bytes calldata values) external;
    /// EIP-712 type Receipt(uint256 session,address dataOwner,bytes32 root,uint256 prover); prover is the committee index.
    function postReceipt(uint256 id, uint16 index, uint8 prover, bytes calldata signature) external;
    /// values: mode grouped: distances, the upper triangle over the passed groups in index order, row-major (r < s);
    /// mode verified: none, or by contribution per accepted data owner its score + (size of its family of copies << 128).
    /// n - t signatures by committee members. signers: prover bitmap; signatures in ascending committee index.
    function postBatch(
        uint256 id,
        uint256 passed,
        uint256[] calldata values,
        bytes32 digest,
        uint256 signers,
        bytes[] calldata signatures
    ) external;
    /// Certificate zk, instead of postBatch: by a committee member, once. dos: records of all of U by address, the reference's
    /// before them where scores are proved; values: 16 bytes each (IZkVerifier); all empty where U is below minAccepted.
    function postProof(uint256 id, bytes calldata dos, bytes calldata values, bytes calldata proof) external;
    /// EIP-712 type Attestation(uint256 session,uint256 provers,uint256 dataOwners). n - t signatures by members not named.
    function attest(uint256 id, uint256 provers, uint256 dataOwners, uint256 signers, bytes[] calldata signatures)
        external;
    function slashDoubleSign(
        uint256 id,
        BatchHeader calldata a,
        bytes calldata sigA,
        BatchHeader calldata b,
        bytes calldata sigB
    ) external;
    function acknowledge(uint256 id) external; // owner: has the sum; unlocks fees
    function claim(uint256 id) external; // pays the caller all that it is owed in this session, once the session is Finished or Aborted
    /// Wei of the reward that goes to the data owner registered index-th; 0 before the session is Finished.
    function payoutOf(uint256 id, uint16 index) external view returns (uint256);
    function owed(uint256 id, address who) external view returns (uint256);

    function sessionCount() external view returns (uint256);
    function params(uint256 id) external view returns (Params memory);
    function sessionView(uint256 id) external view returns (SessionView memory);
    function committeeOf(uint256 id) external view returns (address[] memory);
    function dataOwnersOf(uint256 id) external view returns (address[] memory);
    function registry() external view returns (address);
    /// The factory of verifiers: only keys that it knows can be a session's proofKey.
    function verifiers() external view returns (address);
    /// The rule as the contract computes it (distances as in postBatch); output false: no output, refunds.
    function select(
        uint8 rule,
        uint256 passed,
        uint16 created,
        uint16 muBps,
        uint16 mKrum,
        uint256[] calldata distances
    ) external pure returns (bool output, uint256 selected);
}
