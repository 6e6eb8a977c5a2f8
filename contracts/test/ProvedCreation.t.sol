// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/Errors.sol";
import {Gas} from "../src/Gas.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {MockVerifiers} from "./base/MockVerifiers.sol";
import {ProvedBase} from "./base/ProvedBase.sol";

/// @dev Certificate zk: terms that the market takes, and keys.
contract ProvedCreationTest is ProvedBase {
    function refused(IDataMarket.Params memory p, bytes memory why) private {
        vm.expectRevert(why);
        market.requiredEscrow(p);
        vm.deal(address(this), 1e9 ether);
        vm.expectRevert(why);
        market.createSession{value: 1 ether}(p);
    }

    function testTerms() public {
        IDataMarket.Params memory p = proved(OUTLIER, EQUAL);
        create(p);
        p.groups = 65;
        refused(p, abi.encodeWithSelector(BadSizes.selector, 1, 65));
        p = proved(NONE, EQUAL);
        p.groups = 65;
        refused(p, abi.encodeWithSelector(BadSizes.selector, 1, 65));
        p.groups = 64;
        create(p);
        for (uint8 rule = OUTLIER; rule <= M_KRUM; ++rule) {
            refused(proved(rule, BY_SCORE), abi.encodeWithSelector(BadPayout.selector, 1));
        }
        create(proved(NONE, BY_SCORE));
        create(proved(TRUST, BY_SCORE));
        p = terms();
        p.proofKey = KEY;
        refused(p, abi.encodeWithSelector(BadProofKey.selector));
        p = proved(OUTLIER, EQUAL);
        p.bound = 1 << 23;
        refused(p, abi.encodeWithSelector(BadBound.selector, 1 << 23));
        p.bound = 0;
        refused(p, abi.encodeWithSelector(BadBound.selector, 0));
        p = proved(OUTLIER, EQUAL);
        p.dimension = 8_386_555; // 32 bytes each, and 6 blinders: more than one request
        refused(p, abi.encodeWithSelector(BadDimension.selector, 8_386_555));
        p.dimension = 8_386_554;
        sized(p, 8_386_554, 19, 1 << 23);
        market.requiredEscrow(p);
        p = verified(OUTLIER, EQUAL);
        p.dimension = 8_386_555;
        market.requiredEscrow(p);
    }

    /// @dev Agreeing on seeds takes t + 1 rounds, and there is no phase QUERY for the fourth.
    function testCommittees() public {
        IDataMarket.Params memory p = proved(OUTLIER, EQUAL);
        (p.committee, p.threshold) = (9, 2);
        market.requiredEscrow(p);
        (p.committee, p.threshold) = (13, 3);
        refused(p, abi.encodeWithSelector(BadCommittee.selector, 13, 3));
        (p.committee, p.threshold) = (8, 2);
        refused(p, abi.encodeWithSelector(BadCommittee.selector, 8, 2));
        p.threshold = 0;
        refused(p, abi.encodeWithSelector(BadCommittee.selector, 8, 0));
        p = verified(OUTLIER, EQUAL);
        (p.committee, p.threshold) = (13, 3);
        market.requiredEscrow(p);
    }

    function testKeys() public {
        IDataMarket.Params memory p = proved(OUTLIER, EQUAL);
        p.proofKey = "another";
        refused(p, abi.encodeWithSelector(UnknownProofKey.selector, bytes32("another"), 0));
        (p.rule, p.muBps) = (TRUST, 0);
        refused(p, abi.encodeWithSelector(UnknownProofKey.selector, bytes32("another"), 36));
        MockVerifiers(verifiers).add("another", 100, 19, 1 << 19, 0); // the other statement's
        refused(p, abi.encodeWithSelector(UnknownProofKey.selector, bytes32("another"), 36));
        MockVerifiers(verifiers).add("another", 100, 19, 1 << 19, 35); // another bound's
        refused(p, abi.encodeWithSelector(UnknownProofKey.selector, bytes32("another"), 36));
        MockVerifiers(verifiers).add("another", 100, 19, 1 << 19, 36);
        create(p);
    }

    function testSizesOfKeys() public {
        IDataMarket.Params memory p = proved(OUTLIER, EQUAL);
        wrong(p, 99, 19, 1 << 19);
        wrong(p, 100, 18, 1 << 19);
        wrong(p, 100, 20, 1 << 20);
        wrong(p, 100, 19, 1 << 20);
        p.dimension = (1 << 19) + 1; // more rows than values
        wrong(p, (1 << 19) + 1, 19, 1 << 19);
        sized(p, (1 << 19) + 1, 19, 1 << 20);
        create(p);
        p.dimension = 1 << 19;
        sized(p, 1 << 19, 19, 1 << 19);
        create(p);
        (p.dimension, p.bound) = (1, 1);
        sized(p, 1, 2, 4);
        create(p);
        (p.dimension, p.bound) = (8_386_554, 2 ** 23 - 1);
        sized(p, 8_386_554, 24, 2 ** 24);
        create(p);
    }

    function sized(IDataMarket.Params memory p, uint32 dimension, uint8 bits, uint32 size) private returns (address) {
        p.proofKey = keccak256(abi.encode(dimension, bits, size));
        MockVerifiers(verifiers).add(p.proofKey, dimension, bits, size, 0);
        return MockVerifiers(verifiers).verifierOf(p.proofKey, 0);
    }

    function wrong(IDataMarket.Params memory p, uint32 dimension, uint8 bits, uint32 size) private {
        address made = sized(p, dimension, bits, size);
        refused(p, abi.encodeWithSelector(WrongProofKey.selector, made));
    }

    /// @dev A proof costs more than signatures, and all of it is escrowed.
    function testEscrow() public view {
        IDataMarket.Params memory p = proved(OUTLIER, EQUAL);
        uint256 withProof = market.requiredEscrow(p);
        p.proofKey = 0;
        ok(withProof > market.requiredEscrow(p) + 12 * 70_000 * 2 gwei, "records are dear");
        eq(withProof - market.requiredEscrow(verified(OUTLIER, EQUAL)) < 1 ether ? 1 : 0, 1, "yet not absurd");
        p = proved(OUTLIER, EQUAL);
        (p.groups, p.muBps) = (64, 0);
        withProof = market.requiredEscrow(p);
        (p.rule, p.mKrum) = (M_KRUM, 62);
        uint256 picks = Gas.proof(true, 65, 62, 0) - Gas.proof(true, 65, 0, 0);
        eq(market.requiredEscrow(p) - withProof, picks * 2 gwei, "so are picks");
    }

    function testVerifiers() public view {
        eq(market.verifiers(), verifiers, "the factory");
    }
}
