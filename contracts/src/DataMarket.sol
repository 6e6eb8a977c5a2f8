// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import "./Errors.sol";
import {Gas} from "./Gas.sol";
import {IDataMarket} from "./IDataMarket.sol";
import {IProverRegistry} from "./IProverRegistry.sol";
import {Money} from "./Money.sol";
import {Proofs} from "./Proofs.sol";
import {Selection} from "./Selection.sol";
import {SessionMachine} from "./SessionMachine.sol";
import {Sets} from "./Sets.sol";
import {Signatures} from "./Signatures.sol";
import {Terms} from "./Terms.sol";
import {Account, MODE_VERIFIED, REFERENCE, REFERENCE_BIT, Session} from "./Types.sol";
import {Verified} from "./Verified.sol";

/// @title The market: sessions in which data owners improve a model for an owner that they do not trust.
/// @notice The states and what moves them are in SessionMachine, amounts in Money, the rules of creation in Terms.
/// Every function that writes first applies what time alone decides, then does its own work in the resulting phase.
contract DataMarket is SessionMachine, EIP712, ReentrancyGuardTransient {
    using Money for Session;

    address internal constant BURN = 0x000000000000000000000000000000000000dEaD;

    constructor(address registry_, address verifiers_) SessionMachine(registry_, verifiers_) EIP712("omninode", "1") {}

    // ---------------------------------------------------------------------------------------------- creation

    /// @inheritdoc IDataMarket
    function createSession(Params calldata p) external payable returns (uint256 id) {
        id = ++sessionCount;
        Session storage s = _sessions[id];
        (uint256 total, uint256 gasBudget) = Terms.accept(s, p, VERIFIERS);
        if (msg.value != total) revert WrongValue(msg.value, total);
        if (p.settleBlocks > REGISTRY.exitDelay()) revert SettleTooLong(p.settleBlocks, REGISTRY.exitDelay());
        uint256 drawable = REGISTRY.drawableCount();
        if (drawable < p.committee) revert TooFewProvers(drawable, p.committee);
        s.owner = msg.sender;
        s.created = SafeCast.toUint32(block.number);
        s.gasLeft = SafeCast.toUint96(gasBudget);
        s.funded = SafeCast.toUint128(total);
        emit SessionCreated(id, msg.sender, p.docDigest);
        s.closing = uint32(block.number);
        _enter(id, s, Phase.Committee, block.number);
    }

    /// @inheritdoc IDataMarket
    function requiredEscrow(Params calldata p) external view returns (uint256 total) {
        (total,) = Terms.escrow(p, VERIFIERS);
    }

    // ---------------------------------------------------------------------------------------------- time

    /// @inheritdoc IDataMarket
    /// @dev Paid back only if it moved something: all provers poke at once, the first one's counts.
    function poke(uint256 id) external {
        Session storage s = _session(id);
        uint256 units = _advance(id, s);
        units += _beacon(id, s);
        if (units != 0) s.credit(msg.sender, units + Gas.POKE);
    }

    // ---------------------------------------------------------------------------------------------- data owners

    /// @inheritdoc IDataMarket
    function register(uint256 id, bytes32 peerKey, bytes32 keyDigest, bytes32[] calldata whitelistProof)
        external
        payable
    {
        (Session storage s, uint256 units) = _begin(id, Phase.Register);
        if (msg.value != s.terms.deposit) revert WrongValue(msg.value, s.terms.deposit);
        if (peerKey == 0 || keyDigest == 0) revert EmptyKey();
        Account storage a = s.accounts[msg.sender];
        if (a.place != 0) revert AlreadyRegistered(msg.sender);
        if (a.seat != 0 || msg.sender == s.owner) revert OwnerOrProver(msg.sender);
        bytes32 root = s.terms.whitelistRoot;
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(msg.sender))));
        if (root != 0 && !MerkleProof.verifyCalldata(whitelistProof, root, leaf)) revert NotWhitelisted(msg.sender);
        uint16 index = s.registered;
        if (index == _capacity(s)) revert SessionFull(index); // and waits for the owner's reference
        s.dataOwners[index] = msg.sender;
        s.registered = index + 1;
        a.place = index + 1;
        emit Registered(id, index, msg.sender, peerKey, keyDigest);
        if (_full(s)) units += _closeRegister(id, s, block.number);
        s.credit(msg.sender, units + Gas.REGISTER);
    }

    /// @inheritdoc IDataMarket
    /// @dev Nothing is paid back: it would be the owner's own money.
    function commitReference(uint256 id, bytes32 root) external {
        (Session storage s,) = _begin(id, Phase.Register);
        Verified.commitReference(id, s, root);
        if (_full(s)) _closeRegister(id, s, block.number);
    }

    /// @inheritdoc IDataMarket
    function postGroups(uint256 id, uint16[] calldata order) external {
        (Session storage s, uint256 units) = _begin(id, Phase.Groups);
        Selection.store(s, order);
        emit GroupsDrawn(id, order, s.groupCount);
        _enter(id, s, Phase.Keys, block.number);
        s.credit(msg.sender, units + Gas.GROUPS + order.length * Gas.GROUPS_EACH);
    }

    /// @inheritdoc IDataMarket
    function commitShares(uint256 id, bytes32 root) external {
        (Session storage s, uint256 units) = _begin(id, Phase.Keys);
        if (root == 0) revert EmptyRoot();
        uint16 index = _dataOwner(s, msg.sender);
        uint256 roots = s.shareRoots;
        if (Sets.has(roots, index)) revert AlreadyDone(index);
        roots |= uint256(1) << index;
        s.shareRoots = roots;
        emit ShareRootCommitted(id, index, root);
        if (roots == Sets.full(s.registered)) units += _close(id, s, Phase.Keys, block.number);
        s.credit(msg.sender, units + Gas.COMMIT_SHARES);
    }

    /// @inheritdoc IDataMarket
    function commitUpload(uint256 id, bytes32 root) external {
        (Session storage s, uint256 units) = _begin(id, Phase.Upload);
        if (root == 0) revert EmptyRoot();
        uint16 index = _dataOwner(s, msg.sender);
        uint256 members = s.sets[0];
        if (!Sets.has(members, index)) revert NotInSet(index);
        uint256 uploads = s.uploads;
        if (Sets.has(uploads, index)) revert AlreadyDone(index);
        uploads |= uint256(1) << index;
        s.uploads = uploads;
        s.uploadRoots[index] = root;
        emit UploadCommitted(id, index, root);
        if (uploads & members == members) units += _close(id, s, Phase.Upload, block.number);
        s.credit(msg.sender, units + Gas.COMMIT_UPLOAD);
    }

    // ---------------------------------------------------------------------------------------------- committee

    /// @inheritdoc IDataMarket
    function postBitmap(uint256 id, uint8 kind, uint256 bits) external {
        Phase expected = kind == 0 ? Phase.Bundles : kind == 1 ? Phase.Delivered : Phase.Valid;
        if (kind > 2) revert BitOutOfRange(kind, 2);
        (Session storage s, uint256 units) = _begin(id, expected);
        uint8 seat = s.accounts[msg.sender].seat;
        if (seat == 0) revert NotInCommittee(msg.sender);
        uint256 owners = Sets.has(bits, REFERENCE) ? bits & ~(s.uploads & REFERENCE_BIT) : bits;
        Sets.requireWithin(owners, s.registered);
        uint256 posted = _posted(s, kind);
        if (Sets.has(posted, --seat)) revert BitmapTwice(kind, seat);
        if (kind == 1) bits |= s.bitmaps[1][seat]; // bits that receipts have proved
        s.bitmaps[kind & 1][seat] = bits;
        posted |= uint256(1) << seat;
        _setPosted(s, kind, posted);
        emit BitmapPosted(id, kind, seat, bits);
        if (_complete(s, kind, posted)) units += _close(id, s, expected, block.number);
        s.credit(msg.sender, units + Gas.BITMAP);
    }

    /// @inheritdoc IDataMarket
    /// @dev Ends no phase and costs nobody anything: what it says is for the provers to judge, and for those after them.
    function postOpenings(uint256 id, uint256 present, bytes calldata values) external {
        (Session storage s, uint256 units) = _begin(id, Phase.Valid);
        Selection.open(id, s, present, values);
        s.credit(msg.sender, units + Gas.openings(values.length));
    }

    /// @inheritdoc IDataMarket
    /// @dev Counts as that prover's bit. A prover that had left the bit out of a posted bitmap is slashed.
    function postReceipt(uint256 id, uint16 index, uint8 prover, bytes calldata signature) external {
        (Session storage s, uint256 units) = _begin(id, Phase.Delivered);
        bytes32 root = s.uploadRoots[index];
        if (root == 0) revert NoUpload(index);
        bytes32 digest = _hashTypedDataV4(Signatures.receiptHash(id, s.dataOwners[index], root, prover));
        if (prover >= s.terms.committee || Signatures.signer(digest, signature) != s.committee[prover]) {
            revert BadSignature(prover);
        }
        uint256 bits = s.bitmaps[1][prover];
        if (Sets.has(bits, index)) revert AlreadyDone(index);
        s.bitmaps[1][prover] = bits | (uint256(1) << index);
        emit ReceiptPosted(id, index, prover);
        if (Sets.has(s.posted1, prover)) units += _slash(id, s, prover, 2);
        if (_complete(s, 1, s.posted1)) units += _close(id, s, Phase.Delivered, block.number);
        if (units != 0) s.credit(msg.sender, units);
    }

    /// @inheritdoc IDataMarket
    function postBatch(
        uint256 id,
        uint256 passed,
        uint256[] calldata values,
        bytes32 digest,
        uint256 signers,
        bytes[] calldata signatures
    ) external {
        (Session storage s, uint256 units) = _begin(id, Phase.Batch);
        bytes32 hash =
            Signatures.batchHash(id, BatchHeader(s.sets[2], passed, keccak256(abi.encodePacked(values)), digest));
        Signatures.requireQuorum(s, _hashTypedDataV4(hash), signers, signatures);
        s.batchHash = hash;
        s.feesDue = true;
        _judge(id, s, passed, values);
        s.credit(msg.sender, units + Gas.batchOf(s.terms, signatures.length, values.length, s.registered));
    }

    /// @inheritdoc IDataMarket
    function postProof(uint256 id, bytes calldata dos, bytes calldata values, bytes calldata proof) external {
        (Session storage s, uint256 units) = _begin(id, Phase.Batch);
        (bool output, uint256 accepted, uint256 more) = Proofs.judge(id, s, VERIFIERS, dos, values, proof);
        _conclude(id, s, output, accepted, accepted, accepted);
        s.credit(msg.sender, units + more);
    }

    // ---------------------------------------------------------------------------------------------- faults

    /// @inheritdoc IDataMarket
    /// @dev From Batch until settleBlocks after the end. Named provers lose stake and a fee not yet taken, named data
    /// owners of U their deposit. Passed over, so that they cannot block the rest: those that have claimed it already,
    /// and those in groups too small to unmask, which rightly send nothing. Claims do not wait for this window.
    function attest(uint256 id, uint256 provers, uint256 dataOwners, uint256 signers, bytes[] calldata signatures)
        external
        nonReentrant
    {
        (Session storage s, uint256 units) = _evidence(id, true);
        uint256 named = s.named | provers;
        Sets.requireWithin(provers, s.terms.committee);
        if (Sets.size(named) > s.terms.threshold) revert TooManyNamed(named, s.terms.threshold);
        if (signers & named != 0) revert NamedSigner(signers & named);
        bytes32 digest = _hashTypedDataV4(Signatures.attestationHash(id, provers, dataOwners));
        Signatures.requireQuorum(s, digest, signers, signatures);
        (uint256 fresh, uint256 forfeits) = Selection.name(id, s, provers, dataOwners);
        for (uint256 seat = 0; fresh >> seat != 0; ++seat) {
            if (Sets.has(fresh, seat)) units += _slash(id, s, seat, 3);
        }
        if (s.phase < Phase.Finished && s.attestations <= s.terms.threshold) {
            s.attestations += 1;
            units += Gas.attest(signatures.length, Sets.size(forfeits), forfeits == 0 ? 0 : s.registered);
        }
        if (units != 0) s.credit(msg.sender, units);
        _send(BURN, Sets.size(forfeits) * s.terms.deposit);
    }

    /// @inheritdoc IDataMarket
    function slashDoubleSign(
        uint256 id,
        BatchHeader calldata a,
        bytes calldata sigA,
        BatchHeader calldata b,
        bytes calldata sigB
    ) external nonReentrant {
        (Session storage s, uint256 units) = _evidence(id, false);
        bytes32 hashA = Signatures.batchHash(id, a);
        bytes32 hashB = Signatures.batchHash(id, b);
        if (hashA == hashB) revert SameBatch();
        address who = Signatures.signer(_hashTypedDataV4(hashA), sigA);
        uint8 seat = s.accounts[who].seat;
        if (seat == 0) revert NotInCommittee(who);
        if (Signatures.signer(_hashTypedDataV4(hashB), sigB) != who) revert BadSignature(seat - 1);
        if (Sets.has(s.slashed, seat - 1)) revert AlreadySlashed(seat - 1);
        units += _slash(id, s, seat - 1, 1);
        if (units != 0) s.credit(msg.sender, units);
    }

    // ---------------------------------------------------------------------------------------------- the end

    /// @inheritdoc IDataMarket
    function acknowledge(uint256 id) external {
        Session storage s = _session(id);
        uint256 units = _advance(id, s);
        if (msg.sender != s.owner) revert NotOwner(msg.sender);
        if (s.phase != Phase.Output) revert WrongPhase(Phase.Output, s.phase);
        emit Acknowledged(id);
        _finish(id, s, block.number);
        if (units != 0) s.credit(msg.sender, units);
    }

    /// @inheritdoc IDataMarket
    /// @dev Pull payment: state first, transfer last. Deposit and fee can be taken as soon as the session is over.
    function claim(uint256 id) external nonReentrant {
        Session storage s = _session(id);
        uint256 units = _advance(id, s);
        if (s.phase < Phase.Finished) revert NotFinal(s.phase);
        if (units != 0) s.credit(msg.sender, units);
        uint256 amount = s.settle(msg.sender);
        if (amount == 0) revert NothingOwed(msg.sender);
        emit Claimed(id, msg.sender, amount);
        _send(msg.sender, amount);
    }

    // ---------------------------------------------------------------------------------------------- views

    /// @inheritdoc IDataMarket
    function payoutOf(uint256 id, uint16 index) external view returns (uint256) {
        return _sessions[id].payoutOf(index);
    }

    /// @inheritdoc IDataMarket
    function owed(uint256 id, address who) external view returns (uint256) {
        return _sessions[id].owed(who);
    }

    /// @inheritdoc IDataMarket
    function params(uint256 id) external view returns (Params memory) {
        return _sessions[id].terms;
    }

    /// @inheritdoc IDataMarket
    function sessionView(uint256 id) external view returns (SessionView memory v) {
        Session storage s = _sessions[id];
        v.owner = s.owner;
        v.phase = s.phase;
        v.createdBlock = s.created;
        v.phaseStart = s.phaseStart;
        v.deadline = s.deadline;
        v.registered = s.registered;
        v.groupCount = s.groupCount;
        v.sets = s.sets;
        v.beacons = s.beacons;
        v.acceptedGroups = s.terms.mode == MODE_VERIFIED ? s.acceptedOwners : s.acceptedGroups;
        v.acceptedOwners = s.acceptedOwners;
        v.namedProvers = s.named;
        v.silentOwners = s.silentOwners;
        v.batchHash = s.batchHash;
        v.escrow = s.held();
    }

    /// @inheritdoc IDataMarket
    function committeeOf(uint256 id) external view returns (address[] memory) {
        return _committee(_sessions[id]);
    }

    /// @inheritdoc IDataMarket
    function dataOwnersOf(uint256 id) external view returns (address[] memory owners) {
        Session storage s = _sessions[id];
        owners = new address[](s.registered);
        for (uint256 index = 0; index < owners.length; ++index) {
            owners[index] = s.dataOwners[index];
        }
    }

    /// @inheritdoc IDataMarket
    function select(
        uint8 rule,
        uint256 passed,
        uint16 created,
        uint16 muBps,
        uint16 mKrum,
        uint256[] calldata distances
    ) external pure returns (bool output, uint256 selected) {
        return Selection.select(rule, passed, created, muBps, mKrum, distances);
    }

    // ---------------------------------------------------------------------------------------------- internals

    function _dataOwner(Session storage s, address who) private view returns (uint16) {
        uint16 place = s.accounts[who].place;
        if (place == 0) revert NotDataOwner(who);
        return place - 1;
    }

    function _judge(uint256 id, Session storage s, uint256 passed, uint256[] calldata values) private {
        (bool output, uint256 selected, uint256 accepted) = s.terms.mode == MODE_VERIFIED
            ? (Verified.judge(id, s, passed, values), passed, passed)
            : Selection.judge(s, passed, values);
        _conclude(id, s, output, passed, selected, accepted);
    }

    /// @dev The end of a session's work: an output, or none.
    function _conclude(
        uint256 id,
        Session storage s,
        bool output,
        uint256 passed,
        uint256 selected,
        uint256 accepted
    ) private {
        if (!output) {
            _abort(id, s, "no output", block.number);
            return;
        }
        s.acceptedOwners = accepted;
        emit BatchFinal(id, s.batchHash, passed, selected, accepted);
        _enter(id, s, Phase.Output, block.number);
    }

    function _send(address to, uint256 amount) private {
        if (amount == 0) return;
        (bool ok,) = to.call{value: amount}("");
        if (!ok) revert TransferFailed(to, amount);
    }
}
