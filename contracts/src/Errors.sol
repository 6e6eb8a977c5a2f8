// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDataMarket} from "./IDataMarket.sol";

// Session and phase
error UnknownSession(uint256 id);
error WrongPhase(IDataMarket.Phase expected, IDataMarket.Phase actual);
error NotFinal(IDataMarket.Phase actual);
error WindowOver(uint256 lastBlock);

// Money
error WrongValue(uint256 sent, uint256 expected);
error NothingOwed(address who);
error TransferFailed(address to, uint256 amount);

// Who may do what
error NotOwner(address who);
error NotDataOwner(address who);
error NotInCommittee(address who);
error NotInSet(uint16 index);
error OwnerOrProver(address who);
error AlreadyRegistered(address who);
error SessionFull(uint16 registered);
error NotWhitelisted(address who);
error EmptyKey();
error EmptyRoot();

// Order, sets, bitmaps
error AlreadyDone(uint16 index);
error BitmapTwice(uint8 kind, uint8 prover);
error OpenedTwice(uint8 prover);
error NotDelivered(uint256 bits);
error OpeningsLength(uint256 given, uint256 expected);
error BitOutOfRange(uint256 bits, uint16 count);
error OrderLength(uint256 given, uint256 expected);
error OrderWrong(uint256 position);
error NoUpload(uint16 index);
error ReferenceUnused(); // neither rule nor payout of this session refers to one

// Signatures
error TooFewSignatures(uint256 given, uint256 needed);
error SignatureCount(uint256 given, uint256 expected);
error BadSignature(uint256 prover);
error SameBatch();

// Batch and attestation
error NotValid(uint256 bits); // accepted, yet not found valid
error NotRefused(uint256 bits); // valid, and left out under a rule that refuses nobody
error ValueCount(uint256 given, uint256 expected);
error WrongCertificate(); // signatures where a proof is wanted, or the other way round
error RecordsLength(uint256 given, uint256 expected);
error WrongRecord(uint16 index); // not the one that was committed to
error BadScore(uint256 position);
error BadCopies(uint256 position, uint256 atMost);
error GroupNotReady(uint256 group);
error DistanceCount(uint256 given, uint256 expected);
error DistanceTooLarge(uint256 position);
error TooManyNamed(uint256 named, uint256 threshold);
error NamedSigner(uint256 signers);
error NothingNew();
error NoBatch();
error AlreadySlashed(uint256 prover);

// Terms of a session
error BadMode(uint8 mode);
error BadRule(uint8 rule);
error BadSizes(uint16 groupSize, uint16 groups);
error BadCommittee(uint8 n, uint8 t);
error BadMu(uint16 muBps);
error TooFewGroups(uint16 groups, uint256 needed);
error BadMKrum(uint16 mKrum, uint256 atMost);
error BadMinAccepted(uint16 minAccepted);
error BadDimension(uint32 dimension);
error BadFracBits(uint8 fracBits);
error BadBound(uint64 bound);
error BadPayout(uint8 payout);
error BadScoreCap(uint128 scoreCap);
error BadPublicSums();
error BadProofKey(); // certificate zk goes with mode verified only
error UnknownProofKey(bytes32 proofKey, uint8 normBits); // the factory has no verifier for it
error WrongProofKey(address verifier); // of another dimension, width or size than these terms have
error BadReward(uint128 reward);
error WindowTooShort(uint16 registerBlocks, uint16 uploadBlocks, uint16 settleBlocks);
error SettleTooLong(uint16 settleBlocks, uint256 exitDelay);
error TooFewProvers(uint256 drawable, uint256 needed);
