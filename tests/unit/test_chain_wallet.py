"""Keys, signatures, key files and raw transactions, against eth-account."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from omninode.chain.errors import WalletError
from omninode.chain.hashing import checksum_address, keccak256, parse_address
from omninode.chain.keystore import LIGHT, Cost, decrypt, encrypt
from omninode.chain.transaction import Unsigned, contract_address, rlp
from omninode.chain.wallet import Wallet, recover

WALLET = Wallet(b"\7" * 32)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@given(st.integers(1, ORDER - 1).map(lambda k: k.to_bytes(32, "big")), st.binary(min_size=32, max_size=32))
def test_signatures_are_those_of_eth_account_and_recover(secret: bytes, digest: bytes) -> None:
    wallet = Wallet(secret)
    signature = wallet.sign_digest(digest)
    assert signature == bytes(Account.unsafe_sign_hash(digest, secret).signature)
    assert wallet.sign_digest(digest) == signature
    assert recover(digest, signature) == wallet.address
    assert checksum_address(wallet.address) == Account.from_key(secret).address


@given(st.binary(min_size=60, max_size=70), st.binary(min_size=31, max_size=33))
def test_recover_takes_or_refuses_junk_and_nothing_else(signature: bytes, digest: bytes) -> None:
    try:
        assert len(recover(digest, signature)) == 20
    except ValueError:
        return


def test_recover_refuses_the_second_form_of_a_signature() -> None:
    digest = b"\1" * 32
    good = WALLET.sign_digest(digest)
    s = ORDER - int.from_bytes(good[32:64], "big")
    with pytest.raises(ValueError, match="upper half"):
        recover(digest, good[:32] + s.to_bytes(32, "big") + bytes([55 - good[64]]))
    for bad in (good[:64] + b"\0", good[:64], b"", bytes(64) + b"\x1b", b"\xff" * 32 + good[32:]):
        with pytest.raises(ValueError):
            recover(digest, bad)


@pytest.mark.parametrize("secret", [b"", bytes(32), b"\1" * 31, ORDER.to_bytes(32, "big")])
def test_keys_that_are_none(secret: bytes) -> None:
    with pytest.raises(ValueError):
        Wallet(secret)


def test_a_wallet_does_not_print_its_key() -> None:
    assert "07" * 8 not in repr(WALLET) and repr(WALLET) == f"Wallet({checksum_address(WALLET.address)})"


def test_file_roundtrip_and_eth_account_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "wallet.json"
    wallet = Wallet.create(path, "pass word ü", cost=LIGHT)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Wallet.load(path, "pass word ü").address == wallet.address
    secret = bytes(Account.decrypt(json.loads(path.read_text()), "pass word ü"))
    assert Wallet(secret).address == wallet.address
    with pytest.raises(WalletError, match="never overwritten"):
        Wallet.create(path, "x", cost=LIGHT)


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
def test_files_of_other_programs(tmp_path: Path, kdf: Any) -> None:
    path = tmp_path / "wallet.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(Account.encrypt(b"\7" * 32, "secret", kdf=kdf, iterations=4096)))
    assert Wallet.load(path, "secret").address == WALLET.address


def test_files_that_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wallet.json"
    with pytest.raises(WalletError, match="cannot read"):
        Wallet.load(path, "x")
    Wallet.create(path, "right", cost=LIGHT)
    with pytest.raises(WalletError, match="wrong passphrase"):
        Wallet.load(path, "wrong")
    path.chmod(0o640)
    with pytest.raises(WalletError, match="chmod 600"):
        Wallet.load(path, "right")
    path.chmod(0o600)
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "address": "00" * 20}))
    with pytest.raises(WalletError, match="another address"):
        Wallet.load(path, "right")
    path.write_text("not json")
    with pytest.raises(WalletError, match="not JSON"):
        Wallet.load(path, "right")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(WalletError, match="cannot write"):
        Wallet.create(tmp_path / "wallet.json", "x", cost=LIGHT)


def _edit(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    edited = json.loads(json.dumps(document))
    *parents, last = path.split(".")
    place = edited
    for name in parents:
        place = place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return dict(edited)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", 2), ("version", None), ("crypto", None), ("crypto", []), ("crypto.cipher", "aes-256-cbc"),
        ("crypto.kdf", "md5"), ("crypto.mac", "00"), ("crypto.mac", "zz"), ("crypto.ciphertext", 5),
        ("crypto.kdfparams.n", 1 << 40), ("crypto.kdfparams.n", 3), ("crypto.kdfparams.n", "x"),
        ("crypto.kdfparams.dklen", 16), ("crypto.kdfparams.salt", None), ("crypto.cipherparams.iv", ""),
    ],
)  # fmt: skip
def test_damaged_documents(path: str, value: object) -> None:
    document = encrypt(b"\7" * 32, WALLET.address, "p", Cost(n=2))
    assert decrypt(document, "p") == b"\7" * 32
    with pytest.raises(ValueError):
        decrypt(_edit(document, path, value), "p")


@pytest.mark.parametrize("document", [None, [], {}, 5, "x"])
def test_documents_that_are_none(document: object) -> None:
    with pytest.raises(ValueError):
        decrypt(document, "p")


@given(
    st.integers(0, 2**32), st.integers(0, 2**64), st.integers(0, 2**40), st.integers(21_000, 2**24),
    st.one_of(st.just(b""), st.binary(min_size=20, max_size=20)), st.integers(0, 2**90), st.binary(max_size=300),
)  # fmt: skip
def test_raw_transactions_are_those_of_eth_account(
    nonce: int, tip: int, extra: int, gas: int, to: bytes, value: int, data: bytes
) -> None:
    ours = Unsigned(31337, nonce, tip, tip + extra, gas, to, value, data).sign(WALLET.sign_digest)
    theirs = {
        "type": 2, "chainId": 31337, "nonce": nonce, "maxPriorityFeePerGas": tip, "maxFeePerGas": tip + extra,
        "gas": gas, "value": value, "data": data, **({"to": checksum_address(to)} if to else {}),
    }  # fmt: skip
    signed = Account.from_key(b"\7" * 32).sign_transaction(theirs)
    assert ours == bytes(signed.raw_transaction) and keccak256(ours) == bytes(signed.hash)


def test_known_values() -> None:
    assert rlp([b"cat", [b"dog", b""], 0, 15, 1024]).hex() == "cf83636174c583646f6780800f820400"
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    sender = bytes.fromhex("6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0")
    assert contract_address(sender, 0).hex() == "cd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"
    assert contract_address(sender, 1).hex() == "343c43a37d37dff08ae8c4a11544c718abb4fcf8"


@pytest.mark.parametrize("text", ["", "0x", "0x12", "zz" * 20, "0x" + "0" * 41])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        parse_address(text)


def test_a_mistyped_address_is_noticed() -> None:
    good = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    assert checksum_address(parse_address(good)) == good == checksum_address(parse_address(good.lower()))
    with pytest.raises(ValueError, match="checksum"):
        parse_address(good.replace("Ae", "aE", 1))
    with pytest.raises(ValueError, match="20 bytes"):
        checksum_address(b"x")
