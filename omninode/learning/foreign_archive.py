"""The file that ``torch.export.save`` writes, read without torch and without a single pickle.

``torch.export.load`` is never called on it: on a stranger's file it unpickles, evaluates expressions and calls whatever
function of torch the graph names (torch 2.13, ``torch/_export/serde/serialize.py``).  We read the graph's JSON and the
raw numbers of the tensors, and leave the rest; what was hashed is what is read, once.
"""

from __future__ import annotations

import io
import json
import math
import re
import struct
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omninode.learning.model_spec import MAX_FILE

MAX_ENTRIES = 2048
MAX_DIRECTORY = 1 << 20
MAX_TENSORS = 1024
MAX_JSON = 16 << 20
MAX_DEPTH = 200
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_END, _END64, _LOCATOR = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q"), 20
_NAME_LENGTH = 200
_KNOWN = ("data/weights/", "data/constants/", "data/sample_inputs/", "extra/", ".data/")
_FILES = ("models/model.json", "archive_format", "archive_version", "byteorder")
_STEP = np.zeros(256, np.int8)
_STEP[list(b"[{")], _STEP[list(b"]}")] = 1, -1
_NUMPY = {4: "<i4", 5: "<i8", 7: "<f4", 12: "?"}
_STRIDED = 7
_BROKEN = (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, struct.error, EOFError, OSError,
           RuntimeError, KeyError, OverflowError)  # fmt: skip


class ForeignError(ValueError):
    """This model is not loaded; the text says why and what to do."""


class Archive:
    """The entries of an exported file. Raises ForeignError for anything that ``torch.export.save`` does not write."""

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_FILE:
            raise ForeignError(f"the model file has {len(data)} bytes, more than {MAX_FILE}")
        _check_directory(data)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _BROKEN as error:
            raise ForeignError(f"the model file is no torch.export file, or cut short ({error})") from None
        self._names = _entries(self._zip.infolist(), len(data))
        for name, wanted in (("archive_format", b"pt2"), ("archive_version", b"0"), ("byteorder", b"little")):
            if self.bytes(name) != wanted:
                raise ForeignError(f"the model file's {name} is not {wanted.decode()!r}: export it with torch 2.13")

    def bytes(self, name: str) -> bytes:
        """One entry. Raises ForeignError where it is missing or damaged."""
        if name not in self._names:
            raise ForeignError(f"the model file lacks {name}: export it with torch.export.save of torch 2.13")
        try:
            return self._zip.read(self._names[name])
        except _BROKEN as error:
            raise ForeignError(f"the model file's {name} is damaged ({error})") from None

    def json(self, name: str) -> dict[str, Any]:
        """One entry as a JSON map."""
        raw = self.bytes(name)
        if len(raw) > MAX_JSON:
            raise ForeignError(f"the model file's {name} has {len(raw)} bytes, more than {MAX_JSON}")
        if _depth(raw) > MAX_DEPTH:
            raise ForeignError(
                f"the model file's {name} cannot be read (more than {MAX_DEPTH} maps and lists in one another)"
            )
        try:
            return mapping(name, json.loads(raw))
        except (ValueError, RecursionError) as error:
            raise ForeignError(f"the model file's {name} cannot be read ({error})") from None

    def tensors(self, folder: str) -> dict[str, NDArray[Any]]:
        """All tensors of "weights" or "constants", by name."""
        config = mapping("config", self.json(f"data/{folder}/model_{folder}_config.json").get("config"))
        if len(config) > MAX_TENSORS:
            raise ForeignError(f"the model file has {len(config)} {folder}, more than {MAX_TENSORS}")
        tensors: dict[str, NDArray[Any]] = {}
        files: set[str] = set()
        for name, raw in config.items():
            meta = mapping(f"the tensor {name!r:.60}", raw)
            file = text(meta.get("path_name"))
            if file in files:  # a copy is made for each
                what = "layers of the model share their weights" if folder == "weights" else "constants are one"
                raise ForeignError(f"two {what}: each needs its own")
            files.add(file)
            tensors[text(name)] = self._tensor(folder, f"the tensor {name!r:.60}", file, meta)
        return tensors

    def _tensor(self, folder: str, where: str, file: str, meta: dict[str, Any]) -> NDArray[Any]:
        if meta.get("use_pickle") is not False or not file.startswith("weight_" if folder == "weights" else "tensor_"):
            raise ForeignError(f"{where} is kept as a pickle or an object: nothing is unpickled here")
        shape = mapping(where, meta.get("tensor_meta"))
        kind = shape.get("dtype")
        if type(kind) is not int or kind not in _NUMPY or shape.get("layout") != _STRIDED:
            raise ForeignError(f"{where} is not made of float32, int32, int64 or bool numbers")
        data = self.bytes(f"data/{folder}/{file}")
        width = np.dtype(_NUMPY[kind]).itemsize
        if len(data) % width:
            raise ForeignError(f"{where} has {len(data)} bytes, not a multiple of {width}")
        numbers = np.frombuffer(data, _NUMPY[kind])
        sizes, strides = (tuple(_size(where, n) for n in sequence(where, shape.get(k))) for k in ("sizes", "strides"))
        return _strided(where, numbers, sizes, strides, _size(where, shape.get("storage_offset")))


def _depth(raw: bytes) -> int:
    """How deep JSON is nested. Python's own limit does not help: libraries raise it until the C stack overflows."""
    steps = _STEP[np.frombuffer(_TEXT.sub(b"", raw), np.uint8)]
    return int(np.cumsum(steps, dtype=np.int32).max(initial=0))


def _check_directory(data: bytes) -> None:
    """The directory of the archive, before ``zipfile`` makes an object of each of its lines."""
    end, near, far = data[-_END.size :], data[-_END.size - _LOCATOR :], data[-_END.size - _LOCATOR - _END64.size :]
    if len(end) < _END.size or not end.startswith(b"PK\5\6") or end[-2:] != bytes(2):
        raise ForeignError("the model file is no torch.export file, or cut short (it does not end in a directory)")
    sizes = [_END.unpack(end)[4:6]]
    if near.startswith(b"PK\6\7") and far.startswith(b"PK\6\6"):  # then zipfile goes by this one
        sizes.append(_END64.unpack_from(far)[7:9])
    if any(count > MAX_ENTRIES or size > MAX_DIRECTORY for count, size in sizes):
        raise ForeignError(f"the model file has too large a directory: expected 1 to {MAX_ENTRIES} entries")


def _entries(infos: list[zipfile.ZipInfo], length: int) -> dict[str, zipfile.ZipInfo]:
    """The entries by name without the folder around them all."""
    if not 1 <= len(infos) <= MAX_ENTRIES:
        raise ForeignError(f"the model file has {len(infos)} entries, expected 1 to {MAX_ENTRIES}")
    if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in infos):
        raise ForeignError("the model file is compressed or encrypted: torch.export.save writes neither")
    if sum(info.file_size for info in infos) > length:
        raise ForeignError("the model file's entries are together larger than the file")
    named: dict[str, zipfile.ZipInfo] = {}
    root = infos[0].filename.partition("/")[0]
    for info in infos:
        folder, _, name = info.filename.partition("/")
        if folder != root or not name or len(name) > _NAME_LENGTH or set(name.split("/")) & {"", ".", ".."}:
            raise ForeignError(f"the model file has an entry with a strange name: {info.filename!r:.80}")
        if name in named:
            raise ForeignError(f"the model file has the entry {name!r:.80} twice")
        if not (name in _FILES or name.startswith(_KNOWN)):
            raise ForeignError(f"the model file has an entry that does not belong there: {name!r:.80}")
        named[name] = info
    return named


def _size(where: str, raw: Any) -> int:
    value = mapping(where, raw).get("as_int")
    if type(value) is not int or not 0 <= value < 1 << 40:
        raise ForeignError(f"{where} has a size that is no small number")
    return value


def _strided(
    where: str, numbers: NDArray[Any], sizes: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> NDArray[Any]:
    """The tensor (sizes) of a buffer, a copy; every element lies inside."""
    if len(sizes) != len(strides) or len(sizes) > 16 or math.prod(sizes) > len(numbers):
        raise ForeignError(f"{where} is larger than what the file holds of it")
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if math.prod(sizes) and last >= len(numbers):
        raise ForeignError(f"{where} reaches beyond what the file holds of it")
    if not math.prod(sizes):
        return np.zeros(sizes, numbers.dtype)
    steps = [stride * numbers.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(numbers[offset:], sizes, steps, writeable=False).copy()


def mapping(where: str, raw: Any) -> dict[str, Any]:
    """``raw`` if it is a map with text as keys; ForeignError otherwise."""
    if not isinstance(raw, dict):
        raise ForeignError(f"the model file: {where} is not a map")
    return raw


def sequence(where: str, raw: Any) -> list[Any]:
    """``raw`` if it is a list; ForeignError otherwise."""
    if not isinstance(raw, list):
        raise ForeignError(f"the model file: {where} is not a list")
    return raw


def text(raw: Any) -> str:
    """``raw`` if it is a short text; ForeignError otherwise."""
    if not isinstance(raw, str) or not 0 < len(raw) <= _NAME_LENGTH or not (raw.isascii() and raw.isprintable()):
        raise ForeignError("the model file has a name that is no short text of printable ASCII")
    return raw
