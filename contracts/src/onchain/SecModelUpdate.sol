// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import "./ISecModelUpdate.sol";
import {Krum} from "./Krum.sol";
import {ModelChunk} from "./ModelChunk.sol";
import {Rules} from "../Rules.sol";
import {SecModelGas} from "./SecModelGas.sol";
import {Sets} from "../Sets.sol";

/// @title One session of the on-chain baseline: the head, which people talk to. The numbers are in its chunk contracts.
contract SecModelUpdate is ISecModelUpdate, ReentrancyGuardTransient {
    uint256 internal constant MOST_CHUNKS = 128; // a set of them is half a word
    uint256 internal constant CHUNKS_AT_ONCE = 64; // made by the transaction that makes the session
    uint256 internal constant MOST_ROUNDS = 16;
    uint256 internal constant MOST_MEMBERS = 255; // of a round
    uint256 internal constant WIDEST_WINDOW = 100_000; // blocks: two weeks of 12 s; money and members wait no longer
    uint256 internal constant LEAST_SETTLE = 10; // as in the market: anybody has time to measure and select

    address private immutable CHUNK; // the code behind every chunk
    address private immutable FACTORY;

    Terms private _terms;
    // word
    address private _owner;
    uint64 private _id;
    uint32 private _createdBlock;
    // word: hot
    State private _state;
    bool private _listed; // there is a whitelist
    uint8 private _chunksAdded;
    uint16 private _registered;
    uint16 private _live;
    uint16 private _complete;
    uint16 private _selected;
    uint40 private _deadline;
    uint96 private _due; // fits: never more than what is held
    // word
    Training private _training;
    // word
    uint128 private _posted;
    uint128 private _measured;
    // word: members of each round that have posted their key, and that have uploaded everything
    uint8[16] private _keyed;
    uint8[16] private _full;
    uint256[120] private _distances;
    address[128] private _chunks;
    uint8[128][16] private _fresh; // words of round, chunk that were paid for as fresh
    mapping(address => Member) private _members;
    mapping(address => bool) private _allowed;

    constructor(address chunk) {
        (CHUNK, FACTORY) = (chunk, msg.sender);
    }

    modifier onlyOwner() {
        if (msg.sender != _owner) revert NotTheOwner(msg.sender);
        _;
    }

    /// @dev The state is `expected` and its deadline has not passed.
    modifier during(State expected) {
        _require(expected);
        uint256 last = _deadline;
        if (last != 0 && block.number > last) revert TooLate(last);
        _;
    }

    // Setup

    /// @notice By the factory, with the deposit, once.
    function open(uint256 id, address owner, Terms calldata t) external payable {
        if (msg.sender != FACTORY) revert NotTheOwner(msg.sender);
        if (_owner != address(0)) revert AlreadyMade();
        _checkTerms(t);
        _terms = t;
        (_owner, _id, _createdBlock) = (owner, uint64(id), uint32(block.number));
        _addChunks(CHUNKS_AT_ONCE);
    }

    /// @inheritdoc ISecModelUpdate
    function addChunks(uint16 count) external onlyOwner during(State.Setup) {
        _addChunks(count);
    }

    /// @inheritdoc ISecModelUpdate
    function whitelist(address[] calldata who) external onlyOwner during(State.Setup) {
        _listed = true;
        for (uint256 i = 0; i < who.length; ++i) {
            _allowed[who[i]] = true;
        }
        emit Whitelisted(_id, who);
    }

    /// @inheritdoc ISecModelUpdate
    function postModel(uint16 chunk, uint256[] calldata words) external onlyOwner during(State.Setup) {
        ModelChunk target = _chunk(chunk);
        if (Sets.has(_posted, chunk)) revert ChunkTwice(chunk);
        _posted |= uint128(1) << chunk;
        emit ModelPosted(_id, chunk);
        target.setModel(words);
    }

    /// @inheritdoc ISecModelUpdate
    function start(Training calldata t) external payable onlyOwner during(State.Setup) {
        _checkTraining(t);
        uint256 chunks = SecModelGas.chunksOf(_terms.dimension);
        uint256 have = Sets.size(_posted);
        if (have != chunks) revert ChunksMissing(have, chunks);
        uint256 price = needed(t.rounds, t.groupSize);
        if (address(this).balance < price) revert Underfunded(address(this).balance, price);
        _training = t;
        uint64 deadline = _enter(State.Register, _terms.registerBlocks);
        emit Started(_id, t.samples, t.epochs, t.batch, t.rounds, t.groupSize, deadline);
    }

    // Register

    /// @inheritdoc ISecModelUpdate
    function register(bytes32 peerKey) external during(State.Register) {
        uint256 gas = gasleft();
        if (peerKey == 0) revert NoKey();
        if (msg.sender == _owner || (_listed && !_allowed[msg.sender])) revert NotAllowed(msg.sender);
        Member storage member = _members[msg.sender];
        if (member.place != 0) revert Twice(msg.sender);
        uint16 place = _registered;
        if (place == uint256(_training.rounds) * _training.groupSize) revert Full(place);
        _registered = place + 1;
        member.place = place + 1;
        emit Registered(_id, msg.sender, place, peerKey);
        _credit(SecModelGas.REGISTER, gas, 0);
    }

    /// @inheritdoc ISecModelUpdate
    function postKey(bytes32 x25519) external during(State.Register) {
        uint256 gas = gasleft();
        if (x25519 == 0) revert NoKey();
        Member storage member = _members[msg.sender];
        if (member.place == 0) revert NotAMember(msg.sender);
        if (member.keyed) revert Twice(msg.sender);
        member.keyed = true;
        uint16 place = member.place - 1;
        emit KeyPosted(_id, msg.sender, place, x25519);
        uint256 units = SecModelGas.KEY;
        uint256 size = _training.groupSize;
        if (++_keyed[place / size] == size) {
            _live |= uint16(1 << (place / size));
            if (_live == Sets.full(_training.rounds)) {
                _openAggregation();
                units += SecModelGas.CLOSE;
            }
        }
        _credit(units, gas, 0);
    }

    // ModelAggregate

    /// @inheritdoc ISecModelUpdate
    function upload(uint16 chunk, uint256[] calldata words) external during(State.ModelAggregate) {
        uint256 gas = gasleft();
        Member storage member = _members[msg.sender];
        if (member.place == 0) revert NotAMember(msg.sender);
        uint16 place = member.place - 1;
        uint256 round = place / _training.groupSize;
        if (!Sets.has(_live, round)) revert NotAMember(msg.sender); // its round did not fill up
        ModelChunk target = _chunk(chunk);
        uint128 uploaded = member.uploaded;
        if (Sets.has(uploaded, chunk)) revert Twice(msg.sender);
        uploaded |= uint128(1) << chunk;
        member.uploaded = uploaded;
        emit Uploaded(_id, msg.sender, place, chunk);
        (uint256 fresh, uint256 cleared) = target.add(round, words);
        uint256 units =
            SecModelGas.upload(words.length, fresh == 0 ? 0 : _countFresh(round, chunk, words.length, fresh));
        if (uploaded == Sets.full(_chunksAdded) && _completes(round)) units += SecModelGas.CLOSE;
        _credit(units, gas, cleared);
    }

    // OutlierSuppression

    /// @inheritdoc ISecModelUpdate
    function measure(uint16 chunk) external during(State.OutlierSuppression) {
        uint256 gas = gasleft();
        ModelChunk target = _chunk(chunk);
        uint128 measured = _measured;
        if (Sets.has(measured, chunk)) revert ChunkTwice(chunk);
        _measured = measured | (uint128(1) << chunk);
        uint256 rounds = _complete;
        uint256[] memory more = target.distances(rounds);
        for (uint256 i = 0; i < more.length; ++i) {
            _distances[i] += more[i];
        }
        uint256 words = SecModelGas.wordsOf(_terms.dimension, chunk);
        emit Measured(_id, chunk);
        _credit(SecModelGas.measure(Sets.size(rounds), words, measured == 0), gas, 0);
    }

    /// @inheritdoc ISecModelUpdate
    function select() external during(State.OutlierSuppression) {
        uint256 gas = gasleft();
        uint256 have = Sets.size(_measured);
        if (have != _chunksAdded) revert ChunksMissing(have, _chunksAdded);
        uint256 rounds = _complete;
        uint256 count = Sets.size(rounds);
        uint256 faulty = uint256(_terms.muBps) * _training.rounds / 10_000;
        uint256 m = _terms.mKrum;
        _settle(Rules.spread(Krum.select(distances(), count, faulty, m), rounds));
        _credit(SecModelGas.select(count, m), gas, 0);
    }

    // Any time

    /// @inheritdoc ISecModelUpdate
    function poke() external {
        uint256 gas = gasleft();
        uint256 last = _deadline;
        if (last == 0 || block.number <= last) revert TooEarly(last);
        if (_state == State.Register) _openAggregation();
        else if (_state == State.ModelAggregate) _openSuppression();
        else _settle(_complete); // nobody chose: silence must not cost the members their reward
        _credit(SecModelGas.POKE + SecModelGas.CLOSE, gas, 0);
    }

    // Payment

    /// @inheritdoc ISecModelUpdate
    function claim() external nonReentrant returns (uint256 amount) {
        amount = owed(msg.sender);
        if (amount == 0) revert NothingDue(msg.sender);
        Member storage member = _members[msg.sender];
        (member.paid, member.credit) = (true, 0); // never all 0 again: no refund for who was credited in the same transaction
        _due -= uint96(amount);
        emit Claimed(_id, msg.sender, amount);
        _send(msg.sender, amount);
    }

    /// @inheritdoc ISecModelUpdate
    function exit() external nonReentrant onlyOwner returns (uint256 amount) {
        if (_state != State.Setup) _require(State.Payment);
        _enter(State.Finished, 0);
        amount = address(this).balance - _due;
        emit Exited(_id, amount);
        if (amount != 0) _send(msg.sender, amount);
    }

    // Views

    /// @inheritdoc ISecModelUpdate
    function stateView() external view returns (SessionView memory v) {
        (v.id, v.owner, v.createdBlock) = (_id, _owner, _createdBlock);
        (v.state, v.open, v.deadline) = (_state, !_listed, _deadline);
        (v.chunks, v.chunksAdded) = (uint16(SecModelGas.chunksOf(_terms.dimension)), _chunksAdded);
        (v.registered, v.posted, v.measured) = (_registered, _posted, _measured);
        (v.live, v.complete, v.selected) = (_live, _complete, _selected);
        (v.held, v.due) = (address(this).balance, _due);
    }

    /// @inheritdoc ISecModelUpdate
    function terms() external view returns (Terms memory) {
        return _terms;
    }

    /// @inheritdoc ISecModelUpdate
    function training() external view returns (Training memory) {
        return _training;
    }

    /// @inheritdoc ISecModelUpdate
    function memberOf(address who) external view returns (Member memory) {
        return _members[who];
    }

    /// @inheritdoc ISecModelUpdate
    function isWhitelisted(address who) external view returns (bool) {
        return _allowed[who];
    }

    /// @inheritdoc ISecModelUpdate
    function owed(address who) public view returns (uint256 amount) {
        if (_state < State.Payment) return 0;
        Member storage member = _members[who];
        amount = member.credit;
        if (_wins(member)) amount += _share();
    }

    /// @inheritdoc ISecModelUpdate
    function needed(uint16 rounds, uint16 groupSize) public view returns (uint256) {
        uint256 units = SecModelGas.worstCase(_terms.dimension, rounds, groupSize, _terms.mKrum);
        return _terms.reward + units * _terms.gasPriceCap;
    }

    /// @inheritdoc ISecModelUpdate
    function chunkAt(uint16 chunk) external view returns (address) {
        return address(_chunk(chunk));
    }

    /// @inheritdoc ISecModelUpdate
    function model(uint16 chunk) external view returns (uint256[] memory) {
        return _chunk(chunk).row(0);
    }

    /// @inheritdoc ISecModelUpdate
    function sum(uint16 round, uint16 chunk) external view returns (uint256[] memory) {
        return _chunk(chunk).row(uint256(round) + 1);
    }

    /// @inheritdoc ISecModelUpdate
    function result(uint16 chunk) external view returns (uint256[] memory words, uint256 count) {
        if (_state != State.Finished) _require(State.Payment);
        return (_chunk(chunk).total(_selected), Sets.size(_selected) * _training.groupSize);
    }

    /// @inheritdoc ISecModelUpdate
    function distances() public view returns (uint256[] memory d) {
        d = new uint256[](SecModelGas.pairsOf(Sets.size(_complete)));
        for (uint256 i = 0; i < d.length; ++i) {
            d[i] = _distances[i];
        }
    }

    // States

    function _require(State expected) private view {
        if (_state != expected) revert WrongState(expected, _state);
    }

    /// @dev blocks: until its deadline; 0: it has none.
    function _enter(State state, uint256 blocks) private returns (uint64 deadline) {
        if (blocks != 0) deadline = uint64(block.number + blocks);
        (_state, _deadline) = (state, uint40(deadline));
    }

    function _openAggregation() private {
        if (_live == 0) return _settle(0);
        uint64 deadline = _enter(State.ModelAggregate, _terms.uploadBlocks);
        emit AggregationOpened(_id, _live, deadline);
    }

    /// @dev With at most m complete rounds there is nothing to choose.
    function _openSuppression() private {
        if (Sets.size(_complete) <= _terms.mKrum) return _settle(_complete);
        uint64 deadline = _enter(State.OutlierSuppression, _terms.settleBlocks);
        emit SuppressionOpened(_id, _complete, deadline);
    }

    function _settle(uint256 selected) private {
        _enter(State.Payment, 0);
        _selected = uint16(selected);
        uint256 share = selected == 0 ? 0 : _share();
        _due += uint96(share * Sets.size(selected) * _training.groupSize);
        emit Selected(_id, uint16(selected), share);
    }

    /// @dev One more member of `round` has uploaded everything. Returns whether that ended ModelAggregate.
    function _completes(uint256 round) private returns (bool) {
        if (++_full[round] != _training.groupSize) return false;
        _complete |= uint16(1 << round);
        emit RoundComplete(_id, uint16(round));
        if (_complete != _live) return false;
        _openSuppression();
        return true;
    }

    // Money

    /// @dev Pays back `units`, a fixed number per function, or what the sender has spent if that is less. gas: what was left
    /// on entry; cleared: words that became 0 again. Nobody gains by wasting gas, nor by doing with less of it.
    function _credit(uint256 units, uint256 gas, uint256 cleared) private {
        uint256 cap = _terms.gasPriceCap;
        uint256 price = block.basefee < cap ? block.basefee : cap;
        Member storage member = _members[msg.sender];
        (uint96 credit, uint96 due) = (member.credit, _due);
        uint256 amount = units * price;
        // written before it is known whether it is too much, so that the gas of writing counts
        (member.credit, _due) = (credit + uint96(amount), due + uint96(amount));
        uint256 spent = SecModelGas.spent(gas, cleared != 0);
        if (spent >= units) return;
        amount = spent * price;
        (member.credit, _due) = (credit + uint96(amount), due + uint96(amount));
    }

    /// @dev How many of `fresh` words are paid for as such: those of a round's chunk no more than once each, whatever
    /// members write there (a word can become 0 again), so that the worst case holds.
    function _countFresh(uint256 round, uint256 chunk, uint256 words, uint256 fresh) private returns (uint256) {
        uint256 before = _fresh[round][chunk];
        if (fresh > words - before) fresh = words - before;
        _fresh[round][chunk] = uint8(before + fresh);
        return fresh;
    }

    /// @dev What each member of a round of P' gets; P' is not empty.
    function _share() private view returns (uint256) {
        return _terms.reward / (Sets.size(_selected) * _training.groupSize);
    }

    /// @dev Whether a share is still to be paid to this one.
    function _wins(Member storage member) private view returns (bool) {
        if (member.place == 0 || member.paid) return false;
        return Sets.has(_selected, (member.place - 1) / _training.groupSize);
    }

    function _send(address to, uint256 amount) private {
        (bool ok,) = to.call{value: amount}("");
        if (!ok) revert PaymentFailed(to, amount);
    }

    // Chunks and terms

    function _chunk(uint16 chunk) private view returns (ModelChunk) {
        uint256 added = _chunksAdded;
        if (chunk >= added) revert UnknownChunk(chunk, added);
        return ModelChunk(_chunks[chunk]);
    }

    function _addChunks(uint256 count) private {
        uint256 dimension = _terms.dimension;
        uint256 end = SecModelGas.chunksOf(dimension);
        uint256 next = _chunksAdded;
        if (end - next > count) end = next + count;
        for (; next < end; ++next) {
            uint256 left = dimension - next * SecModelGas.CHUNK;
            if (left > SecModelGas.CHUNK) left = SecModelGas.CHUNK;
            _chunks[next] = Clones.cloneWithImmutableArgs(CHUNK, abi.encodePacked(address(this), uint16(left)));
        }
        _chunksAdded = uint8(end);
    }

    function _checkTerms(Terms calldata t) private pure {
        if (t.docDigest == 0) revert BadTerms("docDigest");
        if (t.reward == 0) revert BadTerms("reward");
        if (t.dimension == 0 || t.dimension > MOST_CHUNKS * SecModelGas.CHUNK) revert BadTerms("dimension");
        if (t.muBps >= 5000) revert BadTerms("muBps");
        if (t.mKrum == 0 || t.mKrum > MOST_ROUNDS) revert BadTerms("mKrum");
        if (!_fits(t.registerBlocks, 3)) revert BadTerms("registerBlocks");
        if (!_fits(t.uploadBlocks, 3)) revert BadTerms("uploadBlocks");
        if (!_fits(t.settleBlocks, LEAST_SETTLE)) revert BadTerms("settleBlocks");
    }

    function _fits(uint256 window, uint256 least) private pure returns (bool) {
        return window >= least && window <= WIDEST_WINDOW;
    }

    function _checkTraining(Training calldata t) private view {
        if (t.samples == 0) revert BadTerms("samples");
        if (t.epochs == 0) revert BadTerms("epochs");
        if (t.batch == 0) revert BadTerms("batch");
        if (t.rounds > MOST_ROUNDS || t.rounds < _terms.mKrum) revert BadTerms("rounds");
        if (t.groupSize < 2 || t.groupSize > MOST_MEMBERS) revert BadTerms("groupSize");
    }
}
