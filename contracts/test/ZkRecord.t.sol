// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IZkVerifier} from "../src/zk/IZkVerifier.sol";
import {BadOrder, BadPairing, BadPoint, BadRangeIdentity, BadScalar, BadShape} from "../src/zk/ZkErrors.sol";
import {ZkForger} from "./base/ZkForger.sol";

/// @dev One record alone, under a key without norms and one with.
contract ZkRecordTest is ZkForger {
    IZkVerifier[2] private _verifiers;
    bytes[2] private _records;

    function setUp() public override {
        super.setUp();
        for (uint256 i = 0; i < 2; ++i) {
            _verifiers[i] = verifier(i == 1);
            bytes32 sess = _verifiers[i].sessionHash(market, 7, 0, BOUND);
            _records[i] = record(sess, owner(0), i == 1).data;
        }
    }

    function refusal(uint256 kind, bytes memory data) private view returns (bytes memory reason) {
        try _verifiers[kind].checkRecord(market, 7, 0, BOUND, data) {}
        catch (bytes memory why) {
            ok(why.length >= 4, "no reason");
            reason = why;
        }
    }

    function refused(uint256 kind, bytes memory data, bytes memory why) private view {
        bytes memory reason = refusal(kind, data);
        if (keccak256(reason) != keccak256(why)) revert NotEqual("reason", word(reason, 0), word(why, 0));
    }

    function about(bytes4 selector) private pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, 0);
    }

    /// @dev Places of the last points, which no identity depends on, and of the evaluations.
    function openings(uint256 kind) private pure returns (uint256) {
        return kind == 0 ? 512 : 768;
    }

    function evaluations(uint256 kind) private pure returns (uint256 from, uint256 count) {
        return kind == 0 ? (uint256(320), uint256(6)) : (uint256(448), uint256(10));
    }

    function testPasses() public view {
        for (uint256 kind = 0; kind < 2; ++kind) {
            _verifiers[kind].checkRecord(market, 7, 0, BOUND, _records[kind]);
        }
    }

    function testNoOtherSession() public {
        for (uint256 kind = 0; kind < 2; ++kind) {
            IZkVerifier v = _verifiers[kind];
            bytes memory why = about(BadRangeIdentity.selector);
            bytes memory data = _records[kind];
            vm.expectRevert(why);
            v.checkRecord(address(1), 7, 0, BOUND, data);
            vm.expectRevert(why);
            v.checkRecord(market, 8, 0, BOUND, data);
            vm.expectRevert(why);
            v.checkRecord(market, 7, 1, BOUND, data);
            vm.expectRevert(why);
            v.checkRecord(market, 7, 0, BOUND - 1, data);
            vm.chainId(1);
            vm.expectRevert(why);
            v.checkRecord(market, 7, 0, BOUND, data);
            vm.chainId(31337);
        }
    }

    /// @dev Records of the other kind have another length; a bound of another width has no proof.
    function testShape() public {
        refused(0, _records[1], abi.encodeWithSelector(BadShape.selector));
        refused(1, _records[0], abi.encodeWithSelector(BadShape.selector));
        for (uint256 kind = 0; kind < 2; ++kind) {
            bytes memory two = bytes.concat(_records[kind], put(_records[kind], 0, uint160(owner(1))));
            refused(kind, two, abi.encodeWithSelector(BadShape.selector));
        }
        uint256[3] memory bounds = [uint256(0), 4095, 8192];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(BadShape.selector);
            _verifiers[1].checkRecord(market, 7, 0, bounds[i], _records[1]);
        }
    }

    function testFuzzLength(uint256 length, bool norms) public view {
        uint256 kind = norms ? 1 : 0;
        bytes memory data = bytes.concat(_records[kind], _records[kind]);
        length = bound(length, 0, data.length);
        if (length != _records[kind].length) {
            refused(kind, slice(data, 0, length), abi.encodeWithSelector(BadShape.selector));
        }
    }

    function testEveryWordMatters() public view {
        for (uint256 kind = 0; kind < 2; ++kind) {
            bytes memory data = _records[kind];
            for (uint256 pos = 0; pos < data.length; pos += 32) {
                bytes memory reason = refusal(kind, flip(data, 8 * pos + 255));
                ok(reason.length != 0, "a changed word passed");
                bytes4 expected = pos < openings(kind) ? BadRangeIdentity.selector : BadPoint.selector;
                ok(bytes4(reason) == expected, "reason");
            }
        }
    }

    function testFuzzBit(uint256 bit, bool norms) public view {
        uint256 kind = norms ? 1 : 0;
        bytes memory data = _records[kind];
        ok(refusal(kind, flip(data, bound(bit, 0, 8 * data.length - 1))).length != 0, "a changed bit passed");
    }

    function testAddressHas160Bits() public view {
        for (uint256 kind = 0; kind < 2; ++kind) {
            bytes memory data = put(_records[kind], 0, word(_records[kind], 0) + (1 << 160));
            refused(kind, data, about(BadOrder.selector));
        }
    }

    function testScalarsAreCanonical() public view {
        for (uint256 kind = 0; kind < 2; ++kind) {
            (uint256 from, uint256 count) = evaluations(kind);
            for (uint256 i = 0; i < count; ++i) {
                uint256 pos = from + 32 * i;
                bytes memory data = _records[kind];
                refused(kind, put(data, pos, word(data, pos) + R), about(BadScalar.selector));
                refused(kind, put(data, pos, R), about(BadScalar.selector));
                refused(kind, put(data, pos, type(uint256).max), about(BadScalar.selector));
                refused(kind, put(data, pos, addmod(word(data, pos), 1, R)), about(BadRangeIdentity.selector));
            }
        }
    }

    /// @dev W and W2 come after all challenges but u: that they are wrong shows in the pairing alone.
    function testOpenings() public view {
        for (uint256 kind = 0; kind < 2; ++kind) {
            for (uint256 i = 0; i < 2; ++i) {
                uint256 pos = openings(kind) + 64 * i;
                bytes memory data = _records[kind];
                (uint256 x, uint256 y) = (word(data, pos), word(data, pos + 32));
                refused(kind, put(data, pos + 32, Q - y), pairing());
                refused(kind, put(put(data, pos, 1), pos + 32, 2), pairing());
                refused(kind, put(put(data, pos, 0), pos + 32, 0), pairing());
                refused(kind, put(data, pos, addmod(x, 1, Q)), about(BadPoint.selector));
                refused(kind, put(data, pos, x + Q), about(BadPoint.selector));
                refused(kind, put(data, pos + 32, y + Q), about(BadPoint.selector));
            }
        }
    }

    function pairing() private pure returns (bytes memory) {
        return abi.encodeWithSelector(BadPairing.selector);
    }

    function testNothingProvesNothing() public view {
        for (uint256 kind = 0; kind < 2; ++kind) {
            bytes memory data = put(new bytes(_records[kind].length), 0, uint160(owner(0)));
            refused(kind, data, about(BadRangeIdentity.selector));
        }
    }
}
