"""Keccak-256 and addresses as Ethereum writes them."""

from __future__ import annotations

from Crypto.Hash import keccak


def keccak256(data: bytes) -> bytes:
    """Keccak-256 (the original padding, not SHA3-256). 32 bytes."""
    return keccak.new(digest_bits=256, data=data).digest()


def checksum_address(address: bytes) -> str:
    """``0x`` and 40 hex digits, capitals as in EIP-55. address: 20 bytes, else ValueError."""
    if len(address) != 20:
        raise ValueError(f"an address has 20 bytes, not {len(address)}")
    text = address.hex()
    mask = keccak256(text.encode()).hex()
    return "0x" + "".join(c.upper() if int(m, 16) > 7 else c for c, m in zip(text, mask, strict=False))


def parse_address(text: str) -> bytes:
    """20 bytes from ``0x`` and 40 hex digits. Mixed case must match EIP-55; ValueError says what is wrong."""
    digits = text.removeprefix("0x")
    if len(digits) != 40:
        raise ValueError(f"{text!r} is no address: 0x and 40 hexadecimal digits are wanted")
    try:
        address = bytes.fromhex(digits)
    except ValueError:
        raise ValueError(f"{text!r} is no address: not hexadecimal") from None
    if digits not in (digits.lower(), digits.upper()) and checksum_address(address) != "0x" + digits:
        raise ValueError(f"{text!r} has a wrong checksum: mistyped, or capitals changed")
    return address
