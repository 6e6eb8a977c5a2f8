// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDataMarket} from "../../src/IDataMarket.sol";
import {IProverRegistry} from "../../src/IProverRegistry.sol";
import {Sets} from "../../src/Sets.sol";
import {Test} from "./Test.sol";

/// @dev A market with provers and data owners, and one helper per step of a session. The block number is kept here,
/// because the optimizer may read block.number once per transaction. Contracts are known by their interfaces alone: who
/// imports their sources compiles them anew (foundry.toml).
abstract contract MarketBase is Test {
    uint256 internal constant STAKE = 1 ether;
    uint256 internal constant EXIT_DELAY = 100;
    uint256 internal constant PROVER_KEY = 0xA000;
    uint256 internal constant OWNER_KEY = 0xB000;
    address internal constant BURN = 0x000000000000000000000000000000000000dEaD;

    IDataMarket internal market;
    IProverRegistry internal registry;
    address internal verifiers; // of keys; none unless a test makes them first
    address internal model = address(0xACE); // owns the sessions
    uint256 internal height = 100;
    mapping(address => uint256) internal keyOf;

    function setUp() public virtual {
        registry = IProverRegistry(vm.deployCode("ProverRegistry.sol:ProverRegistry", abi.encode(STAKE, EXIT_DELAY)));
        market = IDataMarket(vm.deployCode("DataMarket.sol:DataMarket", abi.encode(registry, verifiers)));
        registry.setMarket(address(market));
        vm.deal(model, 1e9 ether);
        vm.fee(1 gwei);
        mine(1);
        for (uint256 i = 0; i < 5; ++i) {
            enlist(i);
        }
    }

    // ------------------------------------------------------------------------------------------- the world

    function mine(uint256 blocks) internal {
        height += blocks;
        vm.roll(height);
        vm.prevrandao(keccak256(abi.encode("randao", height)));
    }

    /// @dev To the first block after the deadline of the present phase.
    function expire(uint256 id) internal {
        uint256 deadline = view_(id).deadline;
        if (height <= deadline) mine(deadline + 1 - height);
    }

    function enlist(uint256 i) internal returns (address who) {
        who = vm.addr(PROVER_KEY + i);
        keyOf[who] = PROVER_KEY + i;
        vm.deal(who, 100 ether);
        vm.prank(who);
        registry.register{value: STAKE}(bytes32(i + 1), bytes32(i + 1));
    }

    function dataOwner(uint256 i) internal returns (address who) {
        who = vm.addr(OWNER_KEY + i);
        keyOf[who] = OWNER_KEY + i;
        if (who.balance == 0) vm.deal(who, 100 ether);
    }

    function terms() internal pure returns (IDataMarket.Params memory p) {
        p.docDigest = bytes32(uint256(1));
        p.ownerPeer = bytes32(uint256(2));
        p.reward = 1 ether;
        p.proverFee = 0.01 ether;
        p.deposit = 0.05 ether;
        p.gasPriceCap = 2 gwei;
        p.bound = 3 * 65536;
        p.dimension = 5090;
        p.groupSize = 3;
        p.groups = 4;
        p.muBps = 2500;
        p.minAccepted = 3;
        p.registerBlocks = 15;
        p.uploadBlocks = 20;
        p.settleBlocks = 25;
        p.fracBits = 16;
        p.committee = 5;
        p.threshold = 1;
        p.rule = 1;
    }

    function view_(uint256 id) internal view returns (IDataMarket.SessionView memory) {
        return market.sessionView(id);
    }

    function phase(uint256 id) internal view returns (IDataMarket.Phase) {
        return market.sessionView(id).phase;
    }

    function isPhase(uint256 id, IDataMarket.Phase expected) internal view {
        eq(uint256(phase(id)), uint256(expected), "phase");
    }

    function all(uint256 id) internal view returns (uint256) {
        return Sets.full(view_(id).registered);
    }

    // ------------------------------------------------------------------------------------------- the steps

    function create(IDataMarket.Params memory p) internal returns (uint256 id) {
        uint256 value = market.requiredEscrow(p);
        vm.prank(model);
        id = market.createSession{value: value}(p);
    }

    function pokeNext(uint256 id) internal {
        mine(1);
        market.poke(id);
    }

    function join(uint256 id, uint256 i) internal returns (address who) {
        who = dataOwner(i);
        uint256 deposit = market.params(id).deposit;
        bytes32[] memory none;
        vm.prank(who);
        market.register{value: deposit}(
            id, keccak256(abi.encode("peer", who)), keccak256(abi.encode("keys", who)), none
        );
    }

    function joinMany(uint256 id, uint256 count) internal {
        for (uint256 i = 0; i < count; ++i) {
            join(id, i);
        }
    }

    /// @dev Registration indices sorted by hash with the beacon.
    function orderOf(uint256 id) internal view returns (uint16[] memory order) {
        address[] memory owners = market.dataOwnersOf(id);
        bytes32 beacon = view_(id).beacons[1];
        order = new uint16[](owners.length);
        bytes32[] memory keys = new bytes32[](owners.length);
        for (uint256 i = 0; i < owners.length; ++i) {
            bytes32 key = keccak256(abi.encodePacked(beacon, owners[i]));
            uint256 j = i;
            for (; j > 0 && keys[j - 1] > key; --j) {
                keys[j] = keys[j - 1];
                order[j] = order[j - 1];
            }
            keys[j] = key;
            order[j] = uint16(i);
        }
    }

    function groupsOf(uint256 id) internal {
        market.postGroups(id, orderOf(id));
    }

    function commitShares(uint256 id, uint256 i) internal {
        vm.prank(dataOwner(i));
        market.commitShares(id, keccak256(abi.encode("shares", i)));
    }

    function commitUpload(uint256 id, uint256 i) internal {
        vm.prank(dataOwner(i));
        market.commitUpload(id, uploadRoot(i));
    }

    function uploadRoot(uint256 i) internal pure returns (bytes32) {
        return keccak256(abi.encode("upload", i));
    }

    function post(uint256 id, uint256 seat, uint8 kind, uint256 bits) internal {
        address who = market.committeeOf(id)[seat];
        vm.prank(who);
        market.postBitmap(id, kind, bits);
    }

    function postAll(uint256 id, uint8 kind, uint256 bits) internal {
        uint256 n = market.params(id).committee;
        for (uint256 seat = 0; seat < n; ++seat) {
            post(id, seat, kind, bits);
        }
    }

    /// @dev Elements as wide as those of the field, one per uploader in `present`.
    function openings(uint256 present, uint256 salt) internal pure returns (bytes memory values) {
        for (uint256 k = Sets.size(present); k > 0; --k) {
            values = abi.encodePacked(values, uint64(uint256(keccak256(abi.encode(salt, k)))));
        }
    }

    function postOpenings(uint256 id, uint256 seat, uint256 present) internal {
        address who = market.committeeOf(id)[seat];
        bytes memory values = openings(present, 1);
        vm.prank(who);
        market.postOpenings(id, present, values);
    }

    /// @dev Walks the session, everybody honest, until `target` begins.
    function walk(uint256 id, IDataMarket.Phase target) internal {
        while (phase(id) < target) {
            step(id);
        }
    }

    function step(uint256 id) internal virtual {
        IDataMarket.Phase now_ = phase(id);
        if (now_ == IDataMarket.Phase.Register) {
            joinMany(id, uint256(market.params(id).groups) * market.params(id).groupSize);
        } else if (now_ == IDataMarket.Phase.Groups) {
            groupsOf(id);
        } else if (now_ == IDataMarket.Phase.Keys) {
            uint256 count = view_(id).registered;
            for (uint256 i = 0; i < count; ++i) {
                commitShares(id, i);
            }
        } else if (now_ == IDataMarket.Phase.Bundles) {
            postAll(id, 0, all(id));
        } else if (now_ == IDataMarket.Phase.Upload) {
            uint256 count = view_(id).registered;
            for (uint256 i = 0; i < count; ++i) {
                if (Sets.has(view_(id).sets[0], i)) commitUpload(id, i);
            }
        } else if (now_ == IDataMarket.Phase.Delivered) {
            postAll(id, 1, view_(id).sets[0]);
        } else if (now_ == IDataMarket.Phase.Valid) {
            postAll(id, 2, view_(id).sets[1]);
        } else if (now_ == IDataMarket.Phase.Batch) {
            postBatch(id, Sets.full(view_(id).groupCount), zeros(Sets.full(view_(id).groupCount)));
        } else if (now_ == IDataMarket.Phase.Output) {
            vm.prank(model);
            market.acknowledge(id);
        } else {
            pokeNext(id);
        }
    }

    function started(IDataMarket.Params memory p, IDataMarket.Phase target) internal returns (uint256 id) {
        id = create(p);
        walk(id, target);
    }

    // ------------------------------------------------------------------------------------------- signatures

    function domain() internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("omninode"),
                keccak256("1"),
                block.chainid,
                address(market)
            )
        );
    }

    function signAs(address who, bytes32 structHash) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(keyOf[who], keccak256(abi.encodePacked("\x19\x01", domain(), structHash)));
        return abi.encodePacked(r, s, v);
    }

    function batchStruct(uint256 id, IDataMarket.BatchHeader memory h) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("Batch(uint256 session,uint256 validSet,uint256 passed,bytes32 valuesHash,bytes32 digest)"),
                id,
                h.validSet,
                h.passed,
                h.valuesHash,
                h.digest
            )
        );
    }

    function receiptStruct(uint256 id, address owner, bytes32 root, uint256 prover) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("Receipt(uint256 session,address dataOwner,bytes32 root,uint256 prover)"),
                id,
                owner,
                root,
                prover
            )
        );
    }

    function attestationStruct(uint256 id, uint256 provers, uint256 owners) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("Attestation(uint256 session,uint256 provers,uint256 dataOwners)"), id, provers, owners
            )
        );
    }

    function signatures(uint256 id, bytes32 structHash, uint256 signers) internal view returns (bytes[] memory out) {
        address[] memory committee = market.committeeOf(id);
        out = new bytes[](Sets.size(signers));
        uint256 next;
        for (uint256 seat = 0; seat < committee.length; ++seat) {
            if (Sets.has(signers, seat)) out[next++] = signAs(committee[seat], structHash);
        }
    }

    function zeros(uint256 passed) internal pure returns (uint256[] memory) {
        uint256 count = Sets.size(passed);
        return new uint256[](count * (count == 0 ? 0 : count - 1) / 2);
    }

    function header(uint256 id, uint256 passed, uint256[] memory values)
        internal
        view
        returns (IDataMarket.BatchHeader memory)
    {
        return IDataMarket.BatchHeader(
            view_(id).sets[2], passed, keccak256(abi.encodePacked(values)), keccak256("digest")
        );
    }

    function quorum(uint256 id) internal view returns (uint256) {
        IDataMarket.Params memory p = market.params(id);
        return Sets.full(p.committee - p.threshold);
    }

    function postBatch(uint256 id, uint256 passed, uint256[] memory values) internal {
        bytes32 hash = batchStruct(id, header(id, passed, values));
        bytes[] memory sigs = signatures(id, hash, quorum(id));
        market.postBatch(id, passed, values, keccak256("digest"), quorum(id), sigs);
    }

    /// @dev Signed by the lowest n - t members that are not named, now or before.
    function attest(uint256 id, uint256 provers, uint256 owners) internal {
        (uint256 signers, bytes[] memory sigs) = attestation(id, provers, owners);
        market.attest(id, provers, owners, signers, sigs);
    }

    function attestation(uint256 id, uint256 provers, uint256 owners)
        internal
        view
        returns (uint256 signers, bytes[] memory sigs)
    {
        uint256 wanted = Sets.size(quorum(id));
        uint256 barred = provers | view_(id).namedProvers;
        for (uint256 seat = 0; Sets.size(signers) < wanted; ++seat) {
            if (!Sets.has(barred, seat)) signers |= uint256(1) << seat;
        }
        sigs = signatures(id, attestationStruct(id, provers, owners), signers);
    }

    // ------------------------------------------------------------------------------------------- money

    function claim(uint256 id, address who) internal returns (uint256 amount) {
        uint256 before = who.balance;
        vm.prank(who);
        market.claim(id);
        return who.balance - before;
    }

    /// @dev Everybody that can be owed anything: data owners, committee, owner, this contract (pokes, batches).
    function everybody(uint256 id) internal view returns (address[] memory out) {
        address[] memory owners = market.dataOwnersOf(id);
        address[] memory provers = market.committeeOf(id);
        out = new address[](owners.length + provers.length + 2);
        for (uint256 i = 0; i < owners.length; ++i) {
            out[i] = owners[i];
        }
        for (uint256 i = 0; i < provers.length; ++i) {
            out[owners.length + i] = provers[i];
        }
        out[out.length - 2] = model;
        out[out.length - 1] = address(this);
    }

    function claimAll(uint256 id) internal returns (uint256 total) {
        address[] memory who = everybody(id);
        for (uint256 i = 0; i < who.length; ++i) {
            if (market.owed(id, who[i]) != 0) total += claim(id, who[i]);
        }
    }

    receive() external payable {}
}
