// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDataMarket} from "../../src/IDataMarket.sol";
import {Sets} from "../../src/Sets.sol";
import {ProvedBase} from "./ProvedBase.sol";

/// @dev What the fuzzer may do: several sessions of both modes and certificates at once, honest steps in which some take part and some do not, time,
/// faults, claims at any moment, and calls in the wrong phase. It keeps its own account of what each claim paid.
contract Handler is ProvedBase {
    uint256 public claims; // wei paid out
    uint256 public burnedDeposits;
    bool public paidTwice;
    mapping(uint256 id => mapping(address who => uint256)) public received;
    mapping(uint256 id => mapping(address who => bool)) public claimedWage;

    constructor() {
        setUp();
        for (uint256 i = 5; i < 7; ++i) {
            enlist(i);
        }
    }

    function sessions() public view returns (uint256) {
        return market.sessionCount();
    }

    function pick(uint256 seed) private returns (uint256 id) {
        vm.roll(height);
        if (market.sessionCount() == 0) open(seed);
        id = 1 + seed % market.sessionCount();
    }

    function open(uint256 seed) public {
        vm.roll(height);
        if (market.sessionCount() >= 3 || registry.drawableCount() < 5) return;
        bool single = (seed >> 240) % 2 == 0;
        IDataMarket.Params memory p =
            single ? verified(uint8((seed >> 248) % 5), uint8((seed >> 252) % 2)) : terms();
        if (!single) p.rule = uint8(seed % 3);
        bool pays = p.payout == BY_SCORE && p.rule != NONE && p.rule != TRUST; // distances give no scores
        if (single && !pays && (seed >> 244) % 2 == 0) p.proofKey = KEY;
        p.reward = uint128(1 + (seed >> 8) % 1 ether);
        p.proverFee = uint128((seed >> 80) % 0.1 ether);
        p.deposit = uint128((seed >> 160) % 0.1 ether);
        p.gasPriceCap = uint64((seed >> 230) % 3 gwei);
        if (seed % 5 == 0) p.minAccepted = 9;
        create(p);
    }

    function pass(uint256 seed) public {
        vm.roll(height);
        mine(1 + seed % 4);
    }

    function late(uint256 seed) public {
        uint256 id = pick(seed);
        if (phase(id) < IDataMarket.Phase.Finished) expire(id);
    }

    /// @dev Any jump, and a poke that comes however late.
    function jump(uint256 seed) public {
        uint256 id = pick(seed);
        mine(1 + (seed >> 16) % 40);
        market.poke(id);
    }

    function poke(uint256 seed) public {
        uint256 id = pick(seed);
        mine(1);
        vm.prank(model);
        market.poke(id);
    }

    /// @dev The step of the present phase, by those in `crowd`.
    function crowd(uint256 seed, uint256 members) public {
        uint256 id = pick(seed);
        if (height > view_(id).deadline) market.poke(id);
        if (seed % 3 != 0) members = type(uint256).max; // mostly everybody
        IDataMarket.Phase now_ = phase(id);
        if (now_ == IDataMarket.Phase.Register || now_ == IDataMarket.Phase.Keys || now_ == IDataMarket.Phase.Upload) {
            bool refers = now_ == IDataMarket.Phase.Register && usesReference(id) && !referenced[id];
            if (refers && seed % 4 != 0) commitReference(id);
            for (uint256 i = 0; i < 12 && phase(id) == now_; ++i) {
                if (Sets.has(members, i)) try this.personal(id, i) {} catch {}
            }
        } else if (kindOf(now_) < 3) {
            for (uint256 seat = 0; seat < 5 && phase(id) == now_; ++seat) {
                uint256 bits = (all(id) | refBit(id))
                    & (uint256(keccak256(abi.encode(members, seat))) | members | 0xf0f | (seed & REF));
                if (now_ == IDataMarket.Phase.Valid && !isProved(id)) try this.openAs(id, seat, bits & view_(id).sets[1]) {} catch {}
                if (Sets.has(members, seat)) try this.postAs(id, seat, kindOf(now_), bits) {} catch {}
            }
        } else if (now_ == IDataMarket.Phase.Batch) {
            if (isProved(id)) return prove(id, members);
            if (market.params(id).mode == 1) return judge(id, members);
            uint256 passed = ready(id);
            postBatch(id, passed, zeros(passed));
        } else if (now_ < IDataMarket.Phase.Finished) {
            step(id);
        }
    }

    /// @dev Any accepted set that the contract takes, with any scores; mostly everybody that is valid.
    function judge(uint256 id, uint256 members) private {
        IDataMarket.Params memory p = market.params(id);
        uint256 valid = view_(id).sets[2];
        bool refuses = p.rule == TRUST ? valid & REF != 0 : p.rule != NONE;
        uint256 accepted = valid & ~REF & (refuses ? members | 0x0f : type(uint256).max);
        uint256[] memory values = scores(id, accepted);
        bool compares = p.rule != NONE && p.rule != TRUST;
        for (uint256 i = 0; i < values.length; ++i) {
            uint256 random = uint256(keccak256(abi.encode(members, i)));
            values[i] = word((random >> 240) % 1200, compares ? 1 + random % values.length : 1);
        }
        postBatch(id, accepted, values);
    }

    /// @dev Any values that a proof may be about; some scores are not positive, some norms above the bound.
    function prove(uint256 id, uint256 members) private {
        int128[] memory xs = new int128[](12);
        for (uint256 i = 0; i < 12; ++i) {
            xs[i] = int128(int256(uint256(keccak256(abi.encode(members, i))) % 250_000)) - 25_000;
        }
        postProof(id, xs);
    }

    /// @dev A few steps in which everybody does what it should, so that runs reach the late phases.
    function honest(uint256 seed) public {
        uint256 id = pick(seed);
        for (uint256 i = 0; i < 2 + seed % 4; ++i) {
            IDataMarket.Phase now_ = phase(id);
            if (now_ >= IDataMarket.Phase.Output) return;
            if (height > view_(id).deadline) market.poke(id);
            else crowd(id, type(uint256).max);
        }
    }

    function kindOf(IDataMarket.Phase now_) private pure returns (uint8) {
        if (now_ == IDataMarket.Phase.Bundles) return 0;
        if (now_ == IDataMarket.Phase.Delivered) return 1;
        return now_ == IDataMarket.Phase.Valid ? 2 : 3;
    }

    function personal(uint256 id, uint256 i) external {
        IDataMarket.Phase now_ = phase(id);
        if (now_ == IDataMarket.Phase.Register) join(id, i);
        address[] memory owners = market.dataOwnersOf(id);
        if (now_ == IDataMarket.Phase.Register || i >= owners.length) return;
        bytes32 root = rootOf(id, i);
        vm.prank(owners[i]);
        if (now_ == IDataMarket.Phase.Keys) market.commitShares(id, "root");
        else market.commitUpload(id, root);
    }

    function postAs(uint256 id, uint256 seat, uint8 kind, uint256 bits) external {
        post(id, seat, kind, bits);
    }

    function openAs(uint256 id, uint256 seat, uint256 present) external {
        postOpenings(id, seat, present);
    }

    function ready(uint256 id) private view returns (uint256 passed) {
        uint16[] memory order = orderOf(id);
        IDataMarket.SessionView memory v = view_(id);
        for (uint256 r = 0; r < v.groupCount; ++r) {
            uint256 end = r + 1 == v.groupCount ? v.registered : 3 * r + 3;
            uint256 count;
            for (uint256 i = 3 * r; i < end; ++i) {
                if (Sets.has(v.sets[2], order[i])) ++count;
            }
            if (count >= (end - 3 * r) / 2 + 1) passed |= 1 << r;
        }
    }

    function receipts(uint256 seed, uint8 index, uint8 seat) public {
        uint256 id = pick(seed);
        if (phase(id) != IDataMarket.Phase.Delivered) return;
        address[] memory owners = market.dataOwnersOf(id);
        seat %= 5;
        address prover = market.committeeOf(id)[seat];
        if (index > 200) {
            bytes32 root = isProved(id) ? keccak256(record(id, model)) : referenceRoot();
            market.postReceipt(id, 255, seat, signAs(prover, receiptStruct(id, model, root, seat)));
            return;
        }
        index %= uint8(owners.length);
        bytes memory signature = signAs(prover, receiptStruct(id, owners[index], rootOf(id, index), seat));
        market.postReceipt(id, index, seat, signature);
    }

    function accuse(uint256 seed, uint8 seat, uint256 owners) public {
        uint256 id = pick(seed);
        IDataMarket.SessionView memory v = view_(id);
        if (v.phase < IDataMarket.Phase.Batch) return;
        uint256 before = v.silentOwners;
        attest(id, seed % 2 == 0 ? 0 : 1 << (seat % 5), owners & v.sets[2] & ~REF);
        burnedDeposits += Sets.size(view_(id).silentOwners & ~before) * market.params(id).deposit;
    }

    function signTwice(uint256 seed, uint8 seat) public {
        uint256 id = pick(seed);
        if (view_(id).phase < IDataMarket.Phase.Batch) return;
        IDataMarket.BatchHeader memory a = header(id, 15, zeros(15));
        IDataMarket.BatchHeader memory b = header(id, 7, zeros(7));
        address who = market.committeeOf(id)[seat % 5];
        bytes memory sa = signAs(who, batchStruct(id, a));
        bytes memory sb = signAs(who, batchStruct(id, b));
        market.slashDoubleSign(id, a, sa, b, sb);
    }

    function acknowledge(uint256 seed) public {
        uint256 id = pick(seed);
        if (phase(id) != IDataMarket.Phase.Output) return;
        vm.prank(model);
        market.acknowledge(id);
    }

    function take(uint256 seed, uint256 whom) public {
        uint256 id = pick(seed);
        address[] memory who = everybody(id);
        takeFor(id, who[whom % who.length]);
    }

    /// @dev Claims, twice if the first goes through, and books what it paid. Wages come once; the owner may take more
    /// when a fee is withheld later, up to its rest.
    function takeFor(uint256 id, address who) public returns (uint256 amount) {
        uint256 before = who.balance;
        vm.prank(who);
        market.claim(id);
        amount = who.balance - before;
        claims += amount;
        received[id][who] += amount;
        if (market.owed(id, who) != 0) paidTwice = true;
        vm.prank(who);
        try market.claim(id) {
            paidTwice = true;
        } catch {}
    }

    function restock(uint256 seed) public {
        vm.roll(height);
        address who = vm.addr(PROVER_KEY + seed % 7);
        if (registry.prover(who).stake < STAKE) {
            vm.deal(who, 10 ether);
            vm.prank(who);
            registry.register{value: STAKE}(bytes32(seed % 7 + 1), bytes32(seed % 7 + 1));
        }
    }

    function nonsense(uint256 seed, uint256 bits) public {
        uint256 id = pick(seed);
        if (seed % 5 == 4) market.commitReference(id, bytes32(bits));
        else if (seed % 4 == 0) market.commitUpload(id, bytes32(bits));
        else if (seed % 4 == 1) market.postBitmap(id, uint8(bits), bits);
        else if (seed % 4 == 2) market.postGroups(id, new uint16[](bits % 20));
        else market.postBatch(id, bits, new uint256[](0), 0, bits, new bytes[](0));
    }

    // ------------------------------------------------------------------------------------------- for the invariants

    function marketBalance() public view returns (uint256) {
        return address(market).balance;
    }

    function escrows() public view returns (uint256 total) {
        for (uint256 id = 1; id <= market.sessionCount(); ++id) {
            total += view_(id).escrow;
        }
    }

    /// @dev For a session that is over: everything owed to anybody.
    function owedInAll(uint256 id) public view returns (uint256 total) {
        address[] memory who = everybody(id);
        for (uint256 i = 0; i < who.length; ++i) {
            total += market.owed(id, who[i]);
        }
    }

    function payoutOf(uint256 id, uint16 index) public view returns (uint256) {
        return market.payoutOf(id, index);
    }

    function rewardOf(uint256 id) public view returns (uint256) {
        return market.params(id).reward;
    }

    /// @dev The reference's bit, if the owner has committed one.
    function referenceOf(uint256 id) public view returns (uint256) {
        return refBit(id);
    }

    function sessionOf(uint256 id) public view returns (IDataMarket.SessionView memory) {
        return view_(id);
    }

    /// @dev Time runs out and everybody claims, in any order.
    function end(uint256 seed) public {
        vm.roll(height);
        for (uint256 id = 1; id <= market.sessionCount(); ++id) {
            while (phase(id) < IDataMarket.Phase.Finished) {
                mine(500);
                market.poke(id);
            }
            address[] memory who = everybody(id);
            for (uint256 i = 0; i < who.length; ++i) {
                address one = who[(i + seed) % who.length];
                if (market.owed(id, one) != 0) takeFor(id, one);
            }
        }
    }
}
