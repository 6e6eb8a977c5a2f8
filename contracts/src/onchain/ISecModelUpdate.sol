// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

// What can go wrong, in every contract of this folder.
error BadTerms(bytes32 field); // the field's name, as text
error WrongState(ISecModelUpdate.State expected, ISecModelUpdate.State actual);
error TooLate(uint256 lastBlock); // the state's deadline has passed: poke moves on
error TooEarly(uint256 lastBlock); // nothing to move: its deadline has not passed
error NotTheOwner(address who);
error NotAllowed(address who); // not on the whitelist, or the owner
error NotAMember(address who); // not registered, no key, or of a round that did not fill up
error Twice(address who); // registered, posted a key or uploaded that chunk already
error Full(uint16 registered);
error NoKey();
error UnknownChunk(uint256 chunk, uint256 chunks);
error ChunkTwice(uint256 chunk); // posted or measured already
error ChunksMissing(uint256 have, uint256 chunks); // to be added, posted or measured first
error WordCount(uint256 given, uint256 expected);
error BadPadding(uint256 word); // a lane behind the chunk's last parameter is not 0
error Underfunded(uint256 held, uint256 needed);
error NothingDue(address who);
error PaymentFailed(address to, uint256 amount);
error NotTheHead(address who);
error AlreadyMade();

/// @title OmniLytics' contract SecModelUpdate (arXiv 2107.05252): one session, its model and its aggregation on the chain.
/// @notice The baseline that this project is measured against. States as in the paper:
///
/// Setup (chunks, whitelist, W^p, start) -> Register (places and keys) -> ModelAggregate (masked models are summed) ->
/// OutlierSuppression (distances, m-Krum) -> Payment (claims) -> Finished (the owner took the rest; claims go on).
///
/// Numbers: parameter x is the int64 round(x * 10^8), two's complement, one of four lanes of a word; the first parameter is
/// the most significant lane, so that the big-endian bytes of a chunk's words are its parameters as big-endian int64 in
/// order. Chunk c holds the parameters [250 c, min(250 (c + 1), d)); it has ceil(parameters / 4) words (63 if full) and
/// lanes behind its last parameter are 0. Sums are lane by lane mod 2^64: right while |x| * 10^8 * N * R < 2^63.
///
/// Place p (0, 1, ..: order of registration) is member p % N of round p / N. Sets of rounds are bitmaps. A deadline D means:
/// accepted while block.number <= D. Gas of register, postKey, upload, measure, select and poke is paid back: fixed units
/// (SecModelGas), or what was spent if that is less, times min(base fee of that block, gasPriceCap).
interface ISecModelUpdate {
    enum State {
        Setup,
        Register,
        ModelAggregate,
        OutlierSuppression,
        Payment,
        Finished
    }

    /// @dev What is fixed at deployment.
    struct Terms {
        bytes32 docDigest; // of the session document, not 0
        bytes32 ownerPeer; // ed25519 key of the owner's node
        uint128 reward; // wei, at least 1
        uint64 gasPriceCap; // wei per gas unit that is paid back at most
        uint32 dimension; // d: 1 .. 32,000 (128 chunks)
        uint16 muBps; // mu: fraction of corrupted rounds, below 5000
        uint16 mKrum; // m: rounds that m-Krum selects, 1 .. R
        uint32 registerBlocks; // windows: 3 .. 100,000
        uint32 uploadBlocks; // 3 .. 100,000
        uint32 settleBlocks; // 10 .. 100,000
    }

    /// @dev What start() says, as in the paper: start(W, M0, E, B, R, N), W being on the chain already (postModel).
    struct Training {
        uint32 samples; // M0
        uint16 epochs; // E
        uint32 batch; // B
        uint16 rounds; // R: 1 .. 16
        uint16 groupSize; // N: 2 .. 255
    }

    /// @dev One address in the session.
    struct Member {
        uint128 uploaded; // bitmap of chunks
        uint96 credit; // wei of gas to be paid back, not yet claimed
        uint16 place; // registration order + 1, 0: no data owner
        bool keyed; // has posted its key
        bool paid; // has taken its share of the reward
    }

    struct SessionView {
        uint256 id;
        address owner;
        State state;
        bool open; // nobody is on a whitelist: everybody may register
        uint64 createdBlock;
        uint64 deadline; // last block in which the state accepts its transactions; 0: none
        uint16 chunks; // ceil(d / 250)
        uint16 chunksAdded;
        uint16 registered;
        uint128 posted; // bitmap of chunks of W^p that are on the chain
        uint128 measured; // bitmap of chunks whose distances are in
        uint16 live; // bitmap of rounds with N members and N keys; fixed when Register ends
        uint16 complete; // bitmap of rounds of which every member uploaded every chunk
        uint16 selected; // P': bitmap of rounds; fixed when OutlierSuppression ends
        uint256 held; // wei in the contract
        uint256 due; // wei of it that belongs to others than the owner: gas credits and shares, unclaimed
    }

    event Whitelisted(uint256 indexed id, address[] who);
    event ModelPosted(uint256 indexed id, uint16 chunk);
    event Started(
        uint256 indexed id,
        uint32 samples,
        uint16 epochs,
        uint32 batch,
        uint16 rounds,
        uint16 groupSize,
        uint64 deadline
    );
    event Registered(uint256 indexed id, address indexed who, uint16 place, bytes32 peerKey);
    event KeyPosted(uint256 indexed id, address indexed who, uint16 place, bytes32 x25519);
    /// @dev Register is over; deadline: of ModelAggregate.
    event AggregationOpened(uint256 indexed id, uint16 live, uint64 deadline);
    event Uploaded(uint256 indexed id, address indexed who, uint16 place, uint16 chunk);
    event RoundComplete(uint256 indexed id, uint16 round);
    /// @dev ModelAggregate is over; deadline: of OutlierSuppression.
    event SuppressionOpened(uint256 indexed id, uint16 complete, uint64 deadline);
    event Measured(uint256 indexed id, uint16 chunk);
    /// @dev Payment begins: P' and what each member of its rounds gets. selected = 0: no output. Comes without
    /// AggregationOpened if no round filled up, and without SuppressionOpened if at most m rounds are complete.
    event Selected(uint256 indexed id, uint16 selected, uint256 share);
    event Claimed(uint256 indexed id, address indexed who, uint256 amount);
    /// @dev The owner took what is not due to others: Finished.
    event Exited(uint256 indexed id, uint256 amount);

    // Setup: the owner

    /// @notice Makes the next `count` chunk contracts (fewer if fewer are missing). create made the first 64.
    function addChunks(uint16 count) external;

    /// @notice Adds data owners to the whitelist. Never called: open to everybody.
    function whitelist(address[] calldata who) external;

    /// @notice Puts chunk `chunk` of W^p on the chain. Each chunk once.
    function postModel(uint16 chunk, uint256[] calldata words) external;

    /// @notice Opens Register. What is held, with msg.value, must cover reward and gas budget: see `needed`.
    function start(Training calldata training) external payable;

    // Register

    /// @notice Takes the next place. peerKey: ed25519 key of the data owner's node, not 0.
    function register(bytes32 peerKey) external;

    /// @notice PubKeyInteract: the X25519 key that masks are agreed on with, not 0. Once. When all R * N members have
    /// posted theirs, ModelAggregate begins.
    function postKey(bytes32 x25519) external;

    // ModelAggregate

    /// @notice Adds chunk `chunk` of the sender's masked model W + Z to the sum of its round. Each chunk once, any order.
    /// When all live rounds are complete, OutlierSuppression begins.
    function upload(uint16 chunk, uint256[] calldata words) external;

    // OutlierSuppression: anybody

    /// @notice Adds chunk `chunk`'s squared distances between the sums of all pairs of complete rounds. Each chunk once.
    function measure(uint16 chunk) external;

    /// @notice After all chunks are measured: m-Krum (algorithm 1), P' fixed, Payment begins.
    function select() external;

    // Any time

    /// @notice Ends a state whose deadline has passed, by anybody. Register and ModelAggregate go on with what is complete
    /// (with at most m complete rounds all of them are P' at once; with none there is no output); after
    /// OutlierSuppression without select all complete rounds are P' too. Reverts with TooEarly if there is nothing to end.
    function poke() external;

    // Payment and Finished

    /// @notice Pays everything that the sender is owed: gas credits, and the share of a member of a round of P'.
    function claim() external returns (uint256 amount);

    /// @notice The owner takes what is not due to others: Finished. From Setup (nothing was started) or Payment.
    function exit() external returns (uint256 amount);

    // Views

    function stateView() external view returns (SessionView memory);
    function terms() external view returns (Terms memory);
    function training() external view returns (Training memory);
    function memberOf(address who) external view returns (Member memory);
    function isWhitelisted(address who) external view returns (bool);

    /// @notice What claim would pay `who` now; 0 before Payment.
    function owed(address who) external view returns (uint256);

    /// @notice Wei that start wants held for R rounds of N: reward, and the worst case of gas that is paid back.
    function needed(uint16 rounds, uint16 groupSize) external view returns (uint256);

    /// @notice Address of a chunk's contract.
    function chunkAt(uint16 chunk) external view returns (address);

    /// @notice Words of W^p as posted.
    function model(uint16 chunk) external view returns (uint256[] memory words);

    /// @notice Words of the running sum of round `round`.
    function sum(uint16 round, uint16 chunk) external view returns (uint256[] memory words);

    /// @notice Words of the sum over P' and how many models are in it: the new W^p is sum / count. In Payment and after.
    function result(uint16 chunk) external view returns (uint256[] memory words, uint256 count);

    /// @notice Squared distances between the sums of complete rounds so far: upper triangle in index order, row-major.
    function distances() external view returns (uint256[] memory);
}

/// @title Makes sessions: one head and ceil(d / 250) chunk contracts each, all of them minimal clones.
/// @notice Nodes follow this address for Created, and the heads that it names for everything else; nobody else's events
/// count. Every event has the session's id as its first topic.
interface ISecModelUpdates {
    event Created(uint256 indexed id, address indexed owner, address head, bytes32 docDigest);

    /// @notice A new session of the sender, in Setup; ids count from 1. msg.value is its deposit, at least the reward (the
    /// paper's deposit at deployment); start wants the gas budget too. Adds at most 64 chunks: the head's addChunks the rest.
    function create(ISecModelUpdate.Terms calldata terms) external payable returns (uint256 id);

    function count() external view returns (uint256);
    function headOf(uint256 id) external view returns (address);

    /// @notice What a session of these terms needs in all, for R rounds of N.
    function quote(ISecModelUpdate.Terms calldata terms, uint16 rounds, uint16 groupSize)
        external
        pure
        returns (uint256);
}
