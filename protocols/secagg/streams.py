"""Sums of many pseudo-random vectors at once, without ever holding one of them.

``expand(seed, n, LABEL)`` of ``protocols.fields.prg`` for each of many seeds, added up block by block: keystream is
made and summed while it is in the second-level cache, so that a mask costs little more than its AES.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P, Vector
from protocols.secagg.kernels import ROWS, sum_rows
from protocols.wire.context import tagged_hash

LABEL = b"mask"
"""The label under which mask seeds are expanded."""

_BLOCK = 1 << 13
"""Words per block: eight rows are 512 KiB."""
_ZEROS = bytes(8 * _BLOCK)
_FIRST_BLOCKS = bytes(16) + (1).to_bytes(16, "big")
_AT_ONCE = 512
"""Streams open at a time (about 1 KiB each)."""


class MaskStream:
    """The words of one seed's mask, in order: AES-256-CTR, little-endian, words >= p skipped.

    The keystream is taken from AES-256-GCM with a zero nonce: that is counter mode from block 2 on (NIST SP 800-38D),
    for which OpenSSL has vector code twice as fast as its plain counter mode. Blocks 0 and 1 are encrypted by hand.
    """

    def __init__(self, seed: bytes) -> None:
        cipher = algorithms.AES(tagged_hash("omninode/prg", LABEL, seed))
        self._head = Cipher(cipher, modes.ECB()).encryptor().update(_FIRST_BLOCKS)
        self._encryptor = Cipher(cipher, modes.GCM(bytes(12))).encryptor()

    def raw(self, row: npt.NDArray[np.uint64]) -> None:
        """Overwrite ``row`` with the next words of the keystream, >= p or not."""
        out = row.view(np.uint8).data
        head, self._head = self._head[: len(out)], self._head[len(out) :]
        out[: len(head)] = head
        if rest := len(out) - len(head):
            self._encryptor.update_into((_ZEROS if rest == len(_ZEROS) else _ZEROS[:rest]), out[len(head) :])

    def skip_refused(self, row: npt.NDArray[np.uint64]) -> None:
        """Drop the words >= p of a row that ``raw`` filled, and fill up from the stream."""
        accepted = row[row < np.uint64(P)]
        while missing := len(row) - len(accepted):
            more = np.empty(missing, dtype=np.uint64)
            self.raw(more)
            accepted = np.concatenate([accepted, more[more < np.uint64(P)]])
        row[:] = accepted


def _sum_block(streams: Sequence[MaskStream], rows: npt.NDArray[np.uint64], out: Vector) -> None:
    """out = sum of the next len(out) mask words of at most eight streams."""
    for row, stream in zip(rows, streams, strict=False):
        stream.raw(row)
    rows[len(streams) :] = 0
    if sum_rows(rows, out):
        for row, stream in zip(rows, streams, strict=False):
            stream.skip_refused(row)
        sum_rows(rows, out)


def accumulate_streams(acc: Vector, plus: Sequence[MaskStream], minus: Sequence[MaskStream]) -> None:
    """acc += sum of the masks in ``plus`` - sum of those in ``minus``, from where each stream stands."""
    rows = np.empty((ROWS, min(_BLOCK, len(acc))), dtype=np.uint64)
    out = np.empty(rows.shape[1], dtype=np.uint64)
    for start in range(0, len(acc), _BLOCK):
        part = acc[start : start + _BLOCK]
        if len(part) < rows.shape[1]:
            rows, out = np.empty((ROWS, len(part)), dtype=np.uint64), out[: len(part)]
        for streams, apply in ((plus, gl.add_into), (minus, gl.sub_into)):
            for first in range(0, len(streams), ROWS):
                _sum_block(streams[first : first + ROWS], rows, out)
                apply(part, out)


def accumulate(acc: Vector, plus: Sequence[bytes], minus: Sequence[bytes]) -> None:
    """acc += sum of expand(s, len(acc), LABEL) over ``plus`` - the same over ``minus``, in place. Seeds: 32 bytes."""
    for first in range(0, max(len(plus), len(minus)), _AT_ONCE):
        added, taken = ([MaskStream(s) for s in seeds[first : first + _AT_ONCE]] for seeds in (plus, minus))
        accumulate_streams(acc, added, taken)
