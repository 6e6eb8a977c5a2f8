// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IZkVerifier, IZkVerifiers, KeyTerms} from "../../src/zk/IZkVerifier.sol";
import {Test} from "./Test.sol";

/// @dev Forges records and batches under a key whose tau is known, in integers alone: commitments of nothing, evaluations
/// that fit the identity, quotients computed in the exponent. Whoever knows tau can do this with any claim, true or not;
/// here it makes batches of any size for a verifier that cannot tell. Proofs of true claims: the test of vectors in Python.
abstract contract ZkForger is Test {
    uint256 internal constant R = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;
    uint256 internal constant Q = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;
    uint256 internal constant TAU = 0x1234567890abcdef1234567890abcdef;
    uint256 internal constant ROOT = 0x1418144d5b080fcac24cdb7649bdadf246a6cb2426e324bedb94fb05118f023a;
    uint256 internal constant SIZE = 64;
    uint256 internal constant BOUND = 6000; // B2, 13 bits
    uint8 internal constant NORM_BITS = 13;
    // in the exponent: C_T, C_P, C_p
    uint256 internal constant TABLE = 1001;
    uint256 internal constant PADDING = 1002;
    uint256 internal constant POWERS = 1003;

    /// @dev secret: of C in the exponent; seal: t3.
    struct Made {
        bytes data;
        uint256 secret;
        bytes32 seal;
    }

    struct Batch {
        uint256 mask;
        bytes dos;
        bytes values;
        bytes proof;
    }

    /// @dev A record or proof in the making: the state of its transcript and what it consists of, in the exponent.
    struct Draft {
        bytes32 state;
        uint256 z;
        uint256[] committed;
        uint256[] evaluations;
        bytes data;
    }

    IZkVerifiers internal factory;
    address internal constant REFERENCE = address(0xFFFF); // above all others, and yet the first
    address internal market = address(0xACE);
    uint256 private _nonce;

    function setUp() public virtual {
        factory = IZkVerifiers(vm.deployCode("ZkVerifiers.sol:ZkVerifiers", ""));
    }

    function terms(bool norms) internal view returns (KeyTerms memory t) {
        (t.dimension, t.bits, t.size, t.root, t.label) = (24, 6, uint32(SIZE), ROOT, "INSECURE-test");
        (t.table, t.padding) = (times(TABLE), times(PADDING));
        if (norms) (t.powers, t.normBits) = (times(POWERS), NORM_BITS);
        t.tau2 = [
            0x1c0ac4b690d3a74f0e55d5bf2d379e5a728dfb57636082a35145d57ff94a6f38,
            0x2fc566f16c3610d2095e4a69392b1d5c740e1177d6d5a00a75e416979fd11da2,
            0x1089d0aee6539c9c7b3b534e7ea4a0182306e42002efcd2517d25f30193f0b1a,
            0x2ceae68b8badfe9eb27b6c446fd59de8a4c50f87003e3bc9eabfbca85da94bef
        ];
    }

    function verifier(bool norms) internal returns (IZkVerifier) {
        return IZkVerifier(factory.create(terms(norms)));
    }

    // ------------------------------------------------------------------------------------------- records

    function owner(uint256 k) internal pure returns (address) {
        return address(uint160(0x1000 + k));
    }

    function record(bytes32 sess, address who, bool norms) internal returns (Made memory made) {
        uint256 count = norms ? 6 : 4; // C, Cm, (Ce, Cn,) Cs, Cq
        Draft memory d;
        (d.committed, d.evaluations) = (randoms(count), randoms(norms ? 10 : 6));
        d.data = abi.encode(who, times(d.committed[0]), random(), times(d.committed[1]));
        if (norms) d.data = bytes.concat(d.data, abi.encode(times(d.committed[2]), times(d.committed[3])));
        d.state = keccak256(bytes.concat(tag(norms ? "rangenorm" : "range"), sess, d.data));
        uint256 alpha = F(d.state);
        bytes memory sums = abi.encode(times(d.committed[count - 2]));
        bytes memory quotient = abi.encode(times(d.committed[count - 1]));
        uint256 delta;
        if (norms) {
            absorb(d, sums);
            delta = F(d.state);
            absorb(d, quotient);
        } else {
            absorb(d, bytes.concat(sums, quotient));
        }
        d.z = F(d.state);
        d.evaluations[norms ? 3 : 4] = divide(norms ? normed(d, alpha, delta) : ranged(d, alpha), vanishing(d.z));
        absorb(d, abi.encodePacked(d.evaluations));
        if (norms) openNormed(d);
        else openRanged(d);
        return Made(d.data, d.committed[0], d.state);
    }

    /// @dev E: g m s s' q T
    function ranged(Draft memory d, uint256 alpha) private pure returns (uint256) {
        uint256[] memory e = d.evaluations;
        return lookup(alpha, e[0], e[1], sub(e[3], e[2]), e[5]);
    }

    /// @dev E: g m s q T e n p, s' n'
    function normed(Draft memory d, uint256 alpha, uint256 delta) private view returns (uint256) {
        uint256[] memory e = d.evaluations;
        uint256 norm = sub(sub(e[9], e[6]), add(mul(e[0], e[0]), mul(e[7], e[5])));
        norm = add(norm, divide(BOUND, SIZE));
        norm = add(norm, mul(delta, sub(mul(e[5], e[5]), e[5])));
        return add(lookup(alpha, e[0], e[1], sub(e[8], e[2]), e[4]), mul(delta, norm));
    }

    function lookup(uint256 alpha, uint256 g, uint256 m, uint256 step, uint256 table) private pure returns (uint256) {
        (g, table) = (add(alpha, g), add(alpha, table));
        return add(sub(mul(mul(step, g), table), table), mul(m, g));
    }

    function openRanged(Draft memory d) private view {
        uint256[] memory c = d.committed;
        uint256[] memory e = d.evaluations;
        uint256[5] memory off = [sub(c[0], e[0]), sub(c[1], e[1]), sub(c[2], e[2]), sub(c[3], e[4]), sub(TABLE, e[5])];
        uint256 total;
        for (uint256 i = 5; i > 0; --i) {
            total = add(mul(total, F(d.state)), off[i - 1]);
        }
        openings(d, total, sub(c[2], e[3]));
    }

    function openNormed(Draft memory d) private view {
        uint256[] memory c = d.committed; // C Cm Ce Cn Cs Cq
        uint256[8] memory all = [c[0], c[1], c[4], c[5], TABLE, c[2], c[3], POWERS];
        uint256 v = F(d.state);
        uint256 total;
        for (uint256 i = 8; i > 0; --i) {
            total = add(mul(total, v), sub(all[i - 1], d.evaluations[i - 1]));
        }
        openings(d, total, add(sub(c[4], d.evaluations[8]), mul(v, sub(c[3], d.evaluations[9]))));
    }

    function openings(Draft memory d, uint256 total, uint256 shifted) private view {
        uint256 w = divide(total, sub(TAU, d.z));
        uint256 w2 = divide(shifted, sub(TAU, mul(ROOT, d.z)));
        absorb(d, abi.encode(times(w), times(w2)));
    }

    // ------------------------------------------------------------------------------------------- batches

    /// @dev Inner products of count data owners; all norms are BOUND.
    function gramBatch(bytes32 sess, uint256 count, uint256 mask) internal returns (Batch memory b) {
        Made[] memory made = records(sess, count, false, false);
        b.values = new bytes(8 * count * (count + 1));
        uint256 pos;
        for (uint256 k = 0; k < count; ++k) {
            for (uint256 l = 0; l <= k; ++l) {
                store(b.values, pos, l == k ? int128(int256(BOUND)) : int128(int256(random() % 4000)) - 2000);
                pos += 16;
            }
        }
        (b.mask, b.dos) = (mask, concat(made));
        bytes32 state =
            keccak256(bytes.concat(tag("gram"), sess, bytes32(count), bytes32(mask), seals(made), keccak256(b.values)));
        b.proof = proof(state, made, b.values, false);
    }

    /// @dev The first record is the reference's.
    function scoreBatch(bytes32 sess, uint256 count, uint256 mask) internal returns (Batch memory b) {
        Made[] memory made = records(sess, count + 1, true, true);
        b.values = new bytes(16 * count);
        bytes memory words;
        for (uint256 k = 0; k < count; ++k) {
            int128 score = int128(int256(random() % 4000)) - 2000;
            store(b.values, 16 * k, score);
            words = bytes.concat(words, bytes32(F(bytes32(signed(score)))));
        }
        (b.mask, b.dos) = (mask, concat(made));
        bytes32 state = keccak256(bytes.concat(tag("score"), sess, bytes32(count), seals(made), words));
        b.proof = proof(state, made, b.values, true);
    }

    function noneBatch(bytes32 sess, uint256 count, uint256 mask) internal returns (Batch memory b) {
        (b.mask, b.dos) = (mask, concat(records(sess, count, true, false)));
    }

    function records(bytes32 sess, uint256 count, bool norms, bool score) private returns (Made[] memory made) {
        made = new Made[](count);
        for (uint256 k = 0; k < count; ++k) {
            made[k] = record(sess, score && k == 0 ? REFERENCE : owner(k), norms);
        }
    }

    function concat(Made[] memory made) private pure returns (bytes memory all) {
        for (uint256 k = 0; k < made.length; ++k) {
            all = bytes.concat(all, made[k].data);
        }
    }

    function seals(Made[] memory made) private pure returns (bytes memory all) {
        for (uint256 k = 0; k < made.length; ++k) {
            all = bytes.concat(all, abi.encode(word(made[k].data, 0), made[k].seal));
        }
    }

    /// @dev The committee's proof. E: A s s' q P, or A f s s' q P.
    function proof(bytes32 state, Made[] memory made, bytes memory values, bool score) private returns (bytes memory) {
        Draft memory d;
        d.state = state;
        (uint256 a, uint256 share) = (0, 0);
        for (uint256 k = score ? 1 : 0; k < made.length; ++k) {
            uint256 r = weight(state, score ? k - 1 : k);
            a = add(a, mul(r, made[k].secret));
            if (score) share = add(share, mul(r, entry(values, k - 1)));
            else share = add(share, mul(r, row(state, values, k)));
        }
        d.committed = randoms(2); // CS, Cq
        d.evaluations = randoms(score ? 6 : 5);
        absorb(d, abi.encode(times(d.committed[0])));
        uint256 beta = F(d.state);
        absorb(d, abi.encode(times(d.committed[1])));
        d.z = F(d.state);
        uint256[] memory e = d.evaluations;
        uint256 i = score ? 2 : 1; // s
        uint256 left = sub(sub(e[i + 1], e[i]), mul(e[0], score ? e[1] : e[0]));
        left = add(add(left, divide(share, SIZE)), mul(beta, mul(e[i + 3], e[0])));
        e[i + 2] = divide(left, vanishing(d.z));
        absorb(d, abi.encodePacked(e));
        openProof(d, a, score ? made[0].secret : 0, i);
        return d.data;
    }

    function openProof(Draft memory d, uint256 a, uint256 f, uint256 i) private view {
        uint256[] memory e = d.evaluations;
        uint256 gamma = F(d.state);
        uint256 total = i == 2 ? mul(gamma, sub(f, e[1])) : 0;
        total = mul(gamma, add(total, sub(PADDING, e[i + 3])));
        total = mul(gamma, add(total, sub(d.committed[1], e[i + 2])));
        total = mul(gamma, add(total, sub(d.committed[0], e[i])));
        openings(d, add(total, sub(a, e[0])), sub(d.committed[0], e[i + 1]));
    }

    /// @dev sum of r_l G_kl over all l of a symmetric matrix, given its lower triangle; off the diagonal once for both.
    function row(bytes32 state, bytes memory values, uint256 k) private pure returns (uint256 total) {
        uint256 first = (k * (k + 1)) / 2;
        for (uint256 l = 0; l < k; ++l) {
            total = add(total, mul(weight(state, l), entry(values, first + l)));
        }
        total = add(add(total, total), mul(weight(state, k), entry(values, first + k)));
    }

    function weight(bytes32 state, uint256 k) private pure returns (uint256) {
        return F(keccak256(bytes.concat(state, bytes32(k))));
    }

    function entry(bytes memory values, uint256 k) private pure returns (uint256) {
        uint256 value = word(values, 16 * k) >> 128;
        return signed(int128(uint128(value)));
    }

    // ------------------------------------------------------------------------------------------- bytes

    /// @dev 32 bytes from a place on; the data goes on with anything.
    function word(bytes memory data, uint256 pos) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(data, 0x20), pos))
        }
    }

    /// @dev Puts 16 bytes, two's complement, at a place.
    function store(bytes memory data, uint256 pos, int128 value) internal pure {
        bytes16 raw = bytes16(uint128(value));
        for (uint256 i = 0; i < 16; ++i) {
            data[pos + i] = raw[i];
        }
    }

    /// @dev The same bytes with another word at a place.
    function put(bytes memory data, uint256 pos, uint256 value) internal pure returns (bytes memory out) {
        return bytes.concat(slice(data, 0, pos), bytes32(value), slice(data, pos + 32, data.length));
    }

    /// @dev The same bytes with one bit flipped.
    function flip(bytes memory data, uint256 bit) internal pure returns (bytes memory out) {
        out = bytes.concat(data);
        out[bit / 8] = out[bit / 8] ^ bytes1(uint8(1 << (bit % 8)));
    }

    function slice(bytes memory data, uint256 from, uint256 to) internal pure returns (bytes memory out) {
        out = new bytes(to - from);
        for (uint256 i = from; i < to; ++i) {
            out[i - from] = data[i];
        }
    }

    // ------------------------------------------------------------------------------------------- numbers

    function absorb(Draft memory d, bytes memory more) private pure {
        d.state = keccak256(bytes.concat(d.state, more));
        d.data = bytes.concat(d.data, more);
    }

    function tag(string memory name) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked("omninode.zk.", name, ".v1"));
    }

    function F(bytes32 state) internal pure returns (uint256) {
        return uint256(state) % R;
    }

    function random() internal returns (uint256) {
        return F(keccak256(abi.encode("forger", ++_nonce)));
    }

    function randoms(uint256 count) private returns (uint256[] memory values) {
        values = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            values[i] = random();
        }
    }

    function signed(int128 value) internal pure returns (uint256) {
        return value < 0 ? R - uint256(-int256(value)) : uint256(int256(value));
    }

    function add(uint256 a, uint256 b) internal pure returns (uint256) {
        return addmod(a, b, R);
    }

    function sub(uint256 a, uint256 b) internal pure returns (uint256) {
        return addmod(a, R - b, R);
    }

    function mul(uint256 a, uint256 b) internal pure returns (uint256) {
        return mulmod(a, b, R);
    }

    function divide(uint256 a, uint256 b) internal view returns (uint256) {
        (, bytes memory inverse) = address(5).staticcall(abi.encode(32, 32, 32, b, R - 2, R));
        return mul(a, abi.decode(inverse, (uint256)));
    }

    function vanishing(uint256 z) internal pure returns (uint256) {
        for (uint256 n = SIZE; n > 1; n /= 2) {
            z = mul(z, z);
        }
        return sub(z, 1);
    }

    /// @dev scalar * (1, 2)
    function times(uint256 scalar) internal view returns (uint256[2] memory) {
        (, bytes memory point) = address(7).staticcall(abi.encode(1, 2, scalar));
        return abi.decode(point, (uint256[2]));
    }
}
