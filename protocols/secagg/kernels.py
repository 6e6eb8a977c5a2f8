"""The inner loop of masking: eight keystreams summed in one pass. Callers use ``masks``; nothing is checked here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.fields.jit import TABLE, WORD, WORDS_OUT, kernel

Words = npt.NDArray[np.uint64]

ROWS = 8
"""Rows that ``sum_rows`` takes."""

_P = np.uint64(0xFFFF_FFFF_0000_0001)
_LOW = np.uint64(0xFFFF_FFFF)
_32 = np.uint64(32)
_ONE = np.uint64(1)
_ZERO = np.uint64(0)


@kernel(WORD(TABLE, WORDS_OUT))
def sum_rows(rows: Words, out: Words) -> np.uint64:
    """out = sum of the eight rows mod p, for any 64-bit words: (8, w) -> (w,). Returns 0 if every word is surely < p -
    1.

    A running sum mod 2^64 and one of the high halves determine the exact sum of the low halves, because that stays
    small; so each word costs two additions and a shift, and one reduction mod p serves eight words. 2^64 = 2^32 - 1
    (mod p).
    """
    full = _ZERO
    for i in range(len(out)):
        a, b, c, d = rows[0, i], rows[1, i], rows[2, i], rows[3, i]
        e, f, g, h = rows[4, i], rows[5, i], rows[6, i], rows[7, i]
        total = ((a + b) + (c + d)) + ((e + f) + (g + h))
        a, b, c, d = a >> _32, b >> _32, c >> _32, d >> _32
        e, f, g, h = e >> _32, f >> _32, g >> _32, h >> _32
        high = ((a + b) + (c + d)) + ((e + f) + (g + h))
        # bit 32 appears where a high half is 2^32 - 1, as it is in every word >= p - 1
        full |= ((a + _ONE) | (b + _ONE)) | ((c + _ONE) | (d + _ONE))
        full |= ((e + _ONE) | (f + _ONE)) | ((g + _ONE) | (h + _ONE))
        low = total - (high << _32)
        s = ((high & _LOW) << _32) + (low + (high >> _32) * _LOW)
        s += _LOW if s < ((high & _LOW) << _32) else _ZERO
        out[i] = s - _P if s >= _P else s
    return full >> _32
