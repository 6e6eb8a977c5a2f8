// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IZkVerifier, KeyTerms} from "../src/zk/IZkVerifier.sol";
import {BadKey} from "../src/zk/ZkErrors.sol";
import {ZkForger} from "./base/ZkForger.sol";

/// @dev What makes a key, what it is called, and that there is one verifier for it.
contract ZkKeysTest is ZkForger {
    event VerifierCreated(bytes32 indexed keyDigest, uint8 normBits, address verifier);

    function refused(KeyTerms memory t, bytes32 what) private {
        vm.expectRevert(abi.encodeWithSelector(BadKey.selector, what));
        factory.create(t);
    }

    function digestOf(KeyTerms memory t) private pure returns (bytes32) {
        uint256[14] memory words = [
            uint256(tag("key")),
            t.size,
            t.root,
            t.dimension,
            t.bits,
            t.table[0],
            t.table[1],
            t.padding[0],
            t.padding[1],
            t.tau2[0],
            t.tau2[1],
            t.tau2[2],
            t.tau2[3],
            0
        ];
        bytes memory head = slice(abi.encodePacked(words), 0, 13 * 32);
        return keccak256(t.normBits == 0 ? head : bytes.concat(head, abi.encode(t.powers)));
    }

    function testViewsSayWhatTheTermsSaid() public {
        for (uint256 i = 0; i < 2; ++i) {
            KeyTerms memory t = terms(i == 1);
            IZkVerifier v = verifier(i == 1);
            eq(uint256(v.keyDigest()), uint256(digestOf(t)), "digest");
            eq(v.dimension(), 24, "dimension");
            eq(v.bits(), 6, "bits");
            eq(v.size(), SIZE, "size");
            eq(v.normBits(), t.normBits, "normBits");
            eq(uint256(v.label()), uint256(bytes32("INSECURE-test")), "label");
            eq(v.recordLength(), i == 1 ? 896 : 640, "record");
        }
    }

    function testSessionHashBindsEverything() public {
        IZkVerifier v = verifier(true);
        bytes32 known = keccak256(
            abi.encode(tag("session"), uint256(31337), market, uint256(1), uint256(2), v.keyDigest(), uint256(3))
        );
        eq(uint256(v.sessionHash(market, 1, 2, 3)), uint256(known), "formula");
        bytes32[6] memory others = [
            v.sessionHash(address(1), 1, 2, 3),
            v.sessionHash(market, 2, 2, 3),
            v.sessionHash(market, 1, 3, 3),
            v.sessionHash(market, 1, 2, 4),
            verifier(false).sessionHash(market, 1, 2, 3),
            0
        ];
        vm.chainId(1);
        others[5] = v.sessionHash(market, 1, 2, 3);
        for (uint256 i = 0; i < 6; ++i) {
            ok(others[i] != known, "the same for another session");
        }
    }

    function testOneVerifierPerKey() public {
        KeyTerms memory t = terms(true);
        bytes32 digest = digestOf(t);
        eq(factory.verifierOf(digest, NORM_BITS), address(0), "before");
        bytes memory code = abi.encodePacked(vm.getCode("ZkVerifier.sol:ZkVerifier"), abi.encode(t));
        address expected =
            address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", address(factory), digest, keccak256(code))))));
        vm.expectEmit(true, true, true, true, address(factory));
        emit VerifierCreated(digest, NORM_BITS, expected);
        eq(factory.create(t), expected, "address");
        eq(factory.verifierOf(digest, NORM_BITS), expected, "after");
        vm.recordLogs();
        vm.prank(address(0xBEEF));
        eq(factory.create(t), expected, "again");
        eq(vm.getRecordedLogs().length, 0, "events of the second time");
    }

    /// @dev The digest leaves normBits open: whoever makes a verifier with the wrong one takes nobody's place.
    function testWidthOfTheNormIsAPartOfTheName() public {
        KeyTerms memory t = terms(true);
        t.normBits = 12;
        address squatter = factory.create(t);
        address right = address(verifier(true));
        ok(squatter != right, "the same");
        eq(factory.verifierOf(digestOf(t), 12), squatter, "the wrong one");
        eq(factory.verifierOf(digestOf(t), NORM_BITS), right, "the right one");
        eq(factory.verifierOf(digestOf(t), 0), address(0), "without norms");
    }

    function testSizes() public {
        uint32[4] memory sizes = [uint32(0), 1, 63, 16];
        for (uint256 i = 0; i < 4; ++i) {
            KeyTerms memory t = terms(false);
            t.size = sizes[i];
            refused(t, "size");
        }
        KeyTerms memory other = terms(false);
        other.dimension = 0;
        refused(other, "size");
        other.dimension = 65;
        refused(other, "size");
        (other.dimension, other.padding) = (64, [uint256(0), 0]);
        factory.create(other);
    }

    function testRoots() public {
        uint256[5] memory roots = [uint256(0), 1, mul(ROOT, ROOT), R - 1, ROOT + R];
        for (uint256 i = 0; i < 5; ++i) {
            KeyTerms memory t = terms(false);
            t.root = roots[i];
            refused(t, "root");
        }
        KeyTerms memory inverse = terms(false);
        inverse.root = divide(1, ROOT);
        factory.create(inverse); // another generator of the same group: another digest, which no node computes
    }

    /// @dev The table has 2^b rows. The field has roots of unity of order 2^28 at most.
    function testBits() public {
        uint8[4] memory bits = [uint8(0), 7, 65, 255];
        for (uint256 i = 0; i < 4; ++i) {
            KeyTerms memory t = terms(false);
            t.bits = bits[i];
            refused(t, "bits");
        }
        KeyTerms memory large = terms(false);
        (large.size, large.bits) = (1 << 31, 31);
        large.root = 5;
        refused(large, "root");
    }

    function testPoints() public {
        uint256[2][5] memory bad =
            [[uint256(0), 0], [uint256(1), 3], [uint256(1 + Q), 2], [uint256(1), 2 + Q], [type(uint256).max, 2]];
        for (uint256 i = 0; i < 5; ++i) {
            KeyTerms memory t = terms(true);
            t.table = bad[i];
            refused(t, "table");
            t = terms(true);
            t.padding = bad[i];
            refused(t, "padding");
            t = terms(true);
            t.powers = bad[i];
            refused(t, "powers");
        }
    }

    /// @dev As many coordinates as rows: nothing is 1, and the commitment of that is infinity; it is a point otherwise.
    function testPadding() public {
        uint256[2] memory infinity;
        for (uint256 i = 0; i < 2; ++i) {
            KeyTerms memory t = terms(i == 1);
            t.dimension = uint32(SIZE);
            refused(t, "padding");
            t.padding = infinity;
            eq(IZkVerifier(factory.create(t)).dimension(), SIZE, "no padding");
            t.dimension = uint32(SIZE - 1);
            refused(t, "padding");
        }
    }

    function testNorms() public {
        KeyTerms memory t = terms(true);
        t.normBits = 65; // more than rows
        refused(t, "norms");
        t.normBits = 64;
        factory.create(t);
        (, bytes memory root) = address(5).staticcall(abi.encode(32, 32, 32, 5, (R - 1) / 256, R));
        (t.size, t.root, t.normBits) = (256, abi.decode(root, (uint256)), 128); // sums of squares fit 127 bits
        refused(t, "norms");
        t.normBits = 127;
        factory.create(t);
        t = terms(false);
        t.powers = times(POWERS);
        refused(t, "powers");
    }

    function testSecondGroup() public {
        KeyTerms memory t = terms(false);
        t.tau2 = [uint256(0), 0, 0, 0];
        refused(t, "tau2");
        t.tau2 = [ // on the twisted curve, of another order
            uint256(1),
            2,
            0x2b76c179599bb92a963dac85546a005a777f7c13f6a7b75d5918b6b5808f5fde,
            0x101f7278419308b95099eca02dcee0c5381f4d26d1d62313f057167f064101ce
        ];
        refused(t, "tau2");
        for (uint256 i = 0; i < 4; ++i) {
            t = terms(false);
            t.tau2[i] += Q;
            refused(t, "tau2");
            t.tau2[i] -= Q - 1;
            refused(t, "tau2");
        }
    }

    /// @dev The test string of the standard label, whatever it is called.
    function standard(bytes32 label) private view returns (KeyTerms memory t) {
        t = terms(false);
        t.label = label;
        t.tau2 = [
            0x15272ec7064359b81fcb90ff52c01e422fad6dc5f74ab1a261eeb17a1164ee71,
            0x1b655d023eb783c6f9a3c14009db7f23e0bf2d544232b6ea86ca6050258deb4d,
            0x1862fb6cad23c97459bad799de325b073645dc6221927600699714a2e0a5abf4,
            0x272714125d36b3f56642e57d1f1dd6684be7402b42dbd6ffb3fc4941ec693a52
        ];
    }

    function testInsecureStringsOnTheDevelopmentChainOnly() public {
        eq(block.chainid, 31337, "chain of tests");
        factory.create(standard(0));
        KeyTerms memory unlabelled = terms(false);
        unlabelled.label = 0;
        for (uint256 i = 0; i < 2; ++i) {
            vm.chainId(i == 0 ? 1 : 31338);
            refused(terms(false), "label");
            KeyTerms memory t = standard(0);
            t.dimension = 25; // 24 was made above
            refused(t, "label");
            t.label = "INSECURE-omninode";
            refused(t, "label");
        }
        ok(factory.create(unlabelled) != address(0), "a string that does not say so, and is not the standard one");
    }

    /// @dev The string that a ceremony begins with, tau = 1: its powers are all the same point.
    function testNobodysString() public {
        KeyTerms memory t = terms(false);
        t.label = 0;
        t.tau2 = [
            0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2,
            0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed,
            0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b,
            0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa
        ];
        for (uint256 i = 0; i < 2; ++i) {
            vm.chainId(i == 0 ? 1 : 31338);
            refused(t, "label");
        }
        vm.chainId(31337);
        ok(factory.create(t) != address(0), "to try things out");
    }
}
