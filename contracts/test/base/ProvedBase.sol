// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDataMarket} from "../../src/IDataMarket.sol";
import {Sets} from "../../src/Sets.sol";
import {MockVerifiers} from "./MockVerifiers.sol";
import {VerifiedBase} from "./VerifiedBase.sol";

/// @dev Sessions of certificate zk too, with a verifier that believes: what is tested is the market.
abstract contract ProvedBase is VerifiedBase {
    bytes32 internal constant KEY = keccak256("key");

    function setUp() public virtual override {
        MockVerifiers made = new MockVerifiers();
        made.add(KEY, 100, 19, 1 << 19, 0);
        made.add(KEY, 100, 19, 1 << 19, 36); // 9 * 2^32, the squared bound, has 36 bits
        verifiers = address(made);
        super.setUp();
    }

    function proved(uint8 rule, uint8 payout) internal pure returns (IDataMarket.Params memory p) {
        p = verified(rule, payout);
        p.proofKey = KEY;
    }

    function isProved(uint256 id) internal view returns (bool) {
        return market.params(id).proofKey != 0;
    }

    // ------------------------------------------------------------------------------------------- records and values

    function compares(uint256 id) internal view returns (bool) {
        return market.params(id).rule != NONE && market.params(id).rule != TRUST;
    }

    /// @dev A record is anything of its length that begins with the address.
    function record(uint256 id, address who) internal view returns (bytes memory data) {
        data = new bytes(compares(id) ? 640 : 896);
        assembly {
            mstore(add(data, 32), who)
            mstore(add(data, 64), id)
        }
    }

    function rootOf(uint256 id, uint256 i) internal returns (bytes32) {
        return isProved(id) ? keccak256(record(id, dataOwner(i))) : uploadRoot(i);
    }

    function commitReference(uint256 id) internal override {
        if (!isProved(id)) return super.commitReference(id);
        bytes32 root = keccak256(record(id, model));
        vm.prank(model);
        market.commitReference(id, root);
        referenced[id] = true;
    }

    /// @dev Registration indices of those in `set`, by address.
    function byAddress(uint256 id, uint256 set) internal view returns (uint256[] memory order) {
        address[] memory owners = market.dataOwnersOf(id);
        order = new uint256[](Sets.size(set & ~REF));
        uint256 count;
        for (uint256 i = 0; i < owners.length; ++i) {
            if (!Sets.has(set, i)) continue;
            uint256 j = count++;
            for (; j > 0 && owners[order[j - 1]] > owners[i]; --j) {
                order[j] = order[j - 1];
            }
            order[j] = i;
        }
    }

    /// @dev Whether the reference's record comes first.
    function scored(uint256 id) internal view returns (bool) {
        return usesReference(id) && Sets.has(view_(id).sets[2], 255);
    }

    function records(uint256 id, uint256[] memory order) internal view returns (bytes memory dos) {
        address[] memory owners = market.dataOwnersOf(id);
        uint256 first = scored(id) ? 1 : 0;
        uint256 length = compares(id) ? 640 : 896;
        dos = new bytes(length * (first + order.length));
        for (uint256 k = 0; k < order.length + first; ++k) {
            bytes memory one = record(id, k < first ? model : owners[order[k - first]]);
            assembly ("memory-safe") {
                mcopy(add(add(dos, 32), mul(k, length)), add(one, 32), length)
            }
        }
    }

    /// @dev xs[i]: where on a line the data owner registered i-th is; products are those of numbers.
    function products(uint256[] memory order, int128[] memory xs) internal pure returns (bytes memory values) {
        values = new bytes(8 * order.length * (order.length + 1) + 16); // room for a word at the last one
        uint256 place = 32;
        for (uint256 k = 0; k < order.length; ++k) {
            for (uint256 l = 0; l <= k; ++l) {
                int256 product = int256(xs[order[k]]) * xs[order[l]];
                assembly ("memory-safe") {
                    mstore(add(values, place), shl(128, product))
                }
                place += 16;
            }
        }
        assembly ("memory-safe") {
            mstore(values, sub(place, 32))
        }
    }

    function inOrder(uint256[] memory order, int128[] memory xs) internal pure returns (bytes memory values) {
        for (uint256 k = 0; k < order.length; ++k) {
            values = abi.encodePacked(values, xs[order[k]]);
        }
    }

    function valuesOf(uint256 id, uint256[] memory order, int128[] memory xs) internal view returns (bytes memory) {
        if (compares(id)) return products(order, xs);
        return scored(id) ? inOrder(order, xs) : bytes("");
    }

    /// @dev 100 + i.
    function usual(uint256 count) internal pure returns (int128[] memory xs) {
        xs = new int128[](count);
        for (uint256 i = 0; i < count; ++i) {
            xs[i] = int128(int256(100 + i));
        }
    }

    // ------------------------------------------------------------------------------------------- the steps

    function step(uint256 id) internal virtual override {
        if (!isProved(id)) return super.step(id);
        IDataMarket.Phase now_ = phase(id);
        if (now_ == IDataMarket.Phase.Upload) {
            uint256 count = view_(id).registered;
            for (uint256 i = 0; i < count; ++i) {
                bytes32 root = rootOf(id, i);
                vm.prank(dataOwner(i));
                market.commitUpload(id, root);
            }
        } else if (now_ == IDataMarket.Phase.Batch) {
            postProof(id, usual(view_(id).registered));
        } else {
            super.step(id);
        }
    }

    /// @dev By the committee's first member.
    function postProof(uint256 id, int128[] memory xs) internal {
        uint256[] memory order = byAddress(id, view_(id).sets[2]);
        address who = market.committeeOf(id)[0];
        bytes memory dos = records(id, order);
        bytes memory values = valuesOf(id, order, xs);
        vm.prank(who);
        market.postProof(id, dos, values, "proof");
    }
}
