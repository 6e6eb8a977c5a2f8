"""Files of reference strings: what they hold, what is refused, what is remembered, and the keys made of them."""

from __future__ import annotations

import stat
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import Event, Thread
from typing import Any
from weakref import ref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omninode.errors import RefusedError, StoreError, UsageError
from omninode.srs import bases, disk, files, loading
from omninode.srs.files import File
from omninode.srs.keys import DEVELOPMENT_CHAIN, KEPT, make_keys
from protocols.bn254 import ceremony, fr, g1, poly, srs
from protocols.bn254.ceremony import Link
from protocols.bn254.srs import BadString, Srs
from protocols.errors import LocalProtocolError
from protocols.sessions.params import Mode, Rule, SessionParams
from protocols.zk.key import make_key
from protocols.zk.params import NB_G, choose
from tests.unit.test_bn254_srs import file_of, montgomery

SEED = bytes(range(32))
COUNT = 16  # powers: proofs of 4 rows


@cache
def contributed() -> File:
    """Somebody added a secret to the string of 1."""
    start, digest = ceremony.start(COUNT)
    digest = ceremony.named(digest, "alice")
    string, step = ceremony.contribute(start, digest, b"\x02" * 48, b"\x01" * 48)
    return File(string, "", (Link("alice", step, g1.to_integers(string.powers[1:2])[0]),))


@cache
def labelled(count: int = COUNT) -> File:
    return File(srs.insecure("omninode", count), "omninode", ())


def encoded(file: File) -> bytes:
    return b"".join(files.encode(file))


@cache
def fresh() -> File:
    return File(ceremony.start(COUNT)[0], "", ())


def saved(folder: Path, file: File | bytes, name: str = "string") -> Path:
    path = folder / name
    path.write_bytes(file if isinstance(file, bytes) else encoded(file))
    return path


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of powers of the strings that were checked, in place of the check: it is slow, and tested elsewhere."""
    seen: list[int] = []

    def check(powers: Any, tau2: Any, seed: bytes, threads: int = 1) -> None:
        assert len(seed) == 32
        seen.append(len(powers))

    def check_file(file: File, seed: bytes, threads: int = 1) -> None:
        check(file.string.powers, file.string.tau2, seed)

    monkeypatch.setattr(srs, "check", check)
    monkeypatch.setattr(files, "check", check_file)
    return seen


# ----------------------------------------------------------------------------------------------------- our own files


@pytest.mark.parametrize("make", [contributed, labelled, fresh])
def test_a_file_says_what_was_written(make: Any) -> None:
    file = make()
    read = files.parse(encoded(file))
    assert (read.label, read.links, read.string.tau2) == (file.label, file.links, file.string.tau2)
    assert np.array_equal(read.string.powers, file.string.powers)
    assert read.string.id == file.string.id
    assert read.fresh == (make is fresh)
    assert read.string.insecure == (make is not contributed)


def test_the_check_of_a_file_covers_what_it_claims() -> None:
    assert files.check(labelled(), SEED) == files.check(fresh(), SEED) == []
    assert files.check(contributed(), SEED) == [files.transcript(COUNT, contributed().links)]


@pytest.mark.parametrize(
    ("check", "file"),
    [
        ("label", lambda: replace(labelled(), label="other")),
        ("label", lambda: replace(contributed(), label="omninode")),
        ("ratio", lambda: replace(labelled(), string=replace(labelled().string, tau2=contributed().string.tau2))),
        ("no-contribution", lambda: replace(labelled(), label="")),
        ("no-contribution", lambda: replace(contributed(), links=())),
        ("digest", lambda: replace(labelled(), label="", links=contributed().links)),
    ],
)
def test_files_that_claim_something_else_are_refused(check: str, file: Any) -> None:
    read = files.parse(encoded(file()))
    with pytest.raises(BadString) as error:
        files.check(read, SEED)
    assert error.value.check == check


def test_files_that_are_damaged_are_refused() -> None:
    good = encoded(contributed())
    at = len(files.MAGIC)
    cases = {
        "magic": [b"", good[:4], b"x" + good[1:]],
        "truncated": [good[: at + 3]],
        "length": [
            *(good[: at + 20], good[: at + 140], good[:-1], good[:-64], good + b"\0"),
            good[:at] + b"\0\0\0\x0f" + good[at + 4 :],
        ],
        "second-group": [good[: at + 7] + bytes(128) + good[at + 135 :]],
        "power": [good[:-64] + b"\xff" * 64, good[:-1] + bytes([good[-1] ^ 1])],
        "name": [
            good.replace(b"alice", b"al\nce"),
            good.replace(b"alice", b"al\xffce"),
            good.replace(b"\x05alice", b"\0") + bytes(5),
        ],
    }
    for check, hostile in cases.items():
        for data in hostile:
            with pytest.raises(BadString) as error:
                files.parse(data)
            assert error.value.check == check


@settings(max_examples=20)
@given(data=st.data())
def test_garbage_is_refused_and_nothing_else(data: st.DataObject) -> None:
    good = bytearray(encoded(contributed()))
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] ^= data.draw(st.integers(1, 255))
    try:
        read = files.parse(bytes(good[: data.draw(st.sampled_from([len(good), at]))]))
    except BadString:
        return
    assert encoded(read) == bytes(good)


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[31m", "é" * 33, "x" * 65])
def test_names_that_would_not_print(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        files.check_name(name)


def test_names_that_print() -> None:
    assert [files.check_name(name) for name in ("é" * 32, "Ada L.", "名前")] == ["é" * 32, "Ada L.", "名前"]


@pytest.mark.parametrize(
    ("powers", "rows"), [(16, 4), (23, 4), (24, 8), (136, 64), (15, 0), (2, 0), (2**19 - 1, 2**17)]
)
def test_rows_that_powers_serve(powers: int, rows: int) -> None:
    assert files.largest_size(powers) == rows
    assert rows == 0 or files.powers_for(rows) <= powers < files.powers_for(2 * rows)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 63, 1 << 25])
def test_rows_that_there_are_no_proofs_of(size: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        files.powers_for(size)


# ------------------------------------------------------------------------------------------------------- loading


def test_strings_are_loaded_from_both_kinds(tmp_path: Path) -> None:
    own = loading.load_string(saved(tmp_path, contributed()), COUNT)
    assert own.id == contributed().links[0].step.after.hex()
    ptau = loading.load_string(saved(tmp_path, file_of(77), "p"), 6)
    assert np.array_equal(ptau.powers, srs.known(77, 6, "").powers)
    assert not own.insecure and not ptau.insecure


@pytest.mark.parametrize("kind", ["own", "ptau"])
def test_what_was_checked_is_not_checked_again(tmp_path: Path, checks: list[int], kind: str) -> None:
    own = kind == "own"
    path, kept = saved(tmp_path, contributed() if own else file_of(77)), tmp_path / "cache"
    for _ in range(2):
        loading.load_string(path, 6, kept)
    assert checks == [COUNT if own else 6]
    assert [stat.S_IMODE(file.stat().st_mode) for file in (kept, *kept.iterdir())] == [0o700, 0o600]
    loading.load_string(path, 7, kept)
    assert len(checks) == (1 if own else 2)  # of a .ptau file only what is needed was looked at
    loading.load_string(path, 6)
    assert len(checks) == (2 if own else 3)


def test_a_changed_file_is_checked_again(tmp_path: Path, checks: list[int]) -> None:
    kept = tmp_path / "cache"
    loading.load_string(saved(tmp_path, file_of(77)), 6, kept)
    loading.load_string(saved(tmp_path, file_of(78)), 6, kept)
    assert checks == [6, 6]


def test_a_refused_file_is_not_remembered(tmp_path: Path) -> None:
    wrong = contributed().string.powers.copy()
    wrong[9] = wrong[8]
    path, kept = (
        saved(tmp_path, replace(labelled(), string=replace(labelled().string, powers=wrong))),
        tmp_path / "cache",
    )
    for _ in range(2):
        with pytest.raises(RefusedError, match="ratio"):
            loading.load_string(path, COUNT, kept)
    assert not kept.exists()


def test_a_string_whose_secret_everybody_knows_says_so_whatever_its_file_says(
    tmp_path: Path, checks: list[int]
) -> None:
    for tau, name in ((srs.insecure_secret("omninode"), "INSECURE-omninode"), (1, "INSECURE-start")):
        assert loading.load_string(saved(tmp_path, file_of(tau)), 6).id == name
    assert loading.load_string(saved(tmp_path, labelled()), 6).id == "INSECURE-omninode"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "magic"),
        (b"ptau" + bytes(20), "ptau-version"),
        (b"garbage", "magic"),
    ],
)
def test_files_that_are_none(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(RefusedError, match=words) as error:
        loading.load_string(saved(tmp_path, data), 6)
    assert error.value.cure


def test_a_string_to_which_nobody_contributed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="tau is 1"):
        loading.load_string(saved(tmp_path, fresh()), 6)


def test_strings_that_are_too_short_say_what_is_needed(tmp_path: Path) -> None:
    for file, found in ((contributed(), COUNT), (file_of(77), 7)):
        with pytest.raises(RefusedError) as error:
            loading.load_string(saved(tmp_path, file), 16392)
        assert f"{found} powers of tau, 16392 are needed" in error.value.problem
        assert ".ptau file of power 14" in error.value.cure
        assert "omninode srs new --size 8192" in error.value.cure


def test_strings_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no reference string") as error:
        loading.load_string(tmp_path / "none", 6)
    assert "omninode srs" in error.value.cure
    with pytest.raises(UsageError, match="cannot be read"):
        loading.load_string(tmp_path, 6)


def test_files_appear_whole_and_are_never_overwritten(tmp_path: Path) -> None:
    def failing() -> Any:
        yield b"half"
        raise OSError(28, "No space left on device")

    for write in (disk.write_new, disk.put):
        with pytest.raises(StoreError, match="full"):
            write(tmp_path / "x", failing())
    assert list(tmp_path.iterdir()) == []
    disk.write_new(tmp_path / "x", [b"a", b"b"])
    with pytest.raises(UsageError, match="never overwritten"):
        disk.write_new(tmp_path / "x", [b"c"])
    with pytest.raises(UsageError, match="no folder"):
        disk.write_new(tmp_path / "y" / "x", [b"c"])
    assert ((tmp_path / "x").read_bytes(), len(list(tmp_path.iterdir()))) == (b"ab", 1)


# ------------------------------------------------------------------------------------------------- Lagrange form


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes for which the slow transform ran."""
    seen: list[int] = []
    real = srs.fourier

    def fourier(points: Any, *rest: Any) -> Any:
        seen.append(len(points))
        return real(points, *rest)

    monkeypatch.setattr(srs, "fourier", fourier)
    return seen


def is_basis_of(basis: Any, tau: int, size: int) -> bool:
    expected = srs.known_basis(tau, size, NB_G)
    return bool(np.array_equal(basis.lagrange, expected.lagrange) and np.array_equal(basis.blinders, expected.blinders))


def test_the_form_is_computed_once(tmp_path: Path, computed: list[int]) -> None:
    string, path = srs.known(77, COUNT, "x"), tmp_path / "string"
    string = replace(string, id="ab" * 32)
    path.write_bytes(b"any")
    for _ in range(2):
        assert is_basis_of(bases.basis_of(path, string, 8, tmp_path / "cache"), 77, 8)
    assert computed == [8]
    assert bases.basis_of(path, string, 4, tmp_path / "cache", most=2) is None
    assert is_basis_of(bases.basis_of(path, string, 8, tmp_path / "cache", most=2), 77, 8)
    assert computed == [8]


def test_a_known_secret_makes_it_quick(tmp_path: Path, computed: list[int]) -> None:
    tau = srs.insecure_secret("omninode")
    assert is_basis_of(bases.basis_of(tmp_path, labelled().string, 8, tmp_path / "cache"), tau, 8)
    assert computed == []


def test_a_damaged_cache_is_made_again(tmp_path: Path, computed: list[int]) -> None:
    string = replace(srs.known(77, COUNT, "x"), id="ab" * 32)
    path, kept = saved(tmp_path, b"any"), tmp_path / "cache"
    bases.basis_of(path, string, 4, kept)
    file = bases.cached_path(kept, string, 4)
    good = file.read_bytes()
    for bad in (b"", good[:-1], good + b"\0", good[:-1] + bytes([good[-1] ^ 1]), b"x" + good[1:]):
        file.write_bytes(bad)
        assert is_basis_of(bases.basis_of(path, string, 4, kept), 77, 4)
        assert file.read_bytes() == good
    assert len(computed) == 6
    assert bases.cached_path(kept, string, 8) != file
    assert bases.cached_path(kept, labelled().string, 4) != file


def test_a_prepared_file_has_it_and_is_not_trusted(tmp_path: Path, computed: list[int]) -> None:
    def prepared(tau: int) -> bytes:
        true = [srs.known_basis(tau, 1 << k, 0).lagrange for k in range(4)]
        section = b"".join(montgomery(*p) for points in true for p in g1.to_integers(points))
        return file_of(77, 3, sections={12: section})

    string = replace(srs.known(77, 15, "x"), id="ab" * 32)
    assert is_basis_of(bases.basis_of(saved(tmp_path, prepared(77)), string, 8, tmp_path / "a"), 77, 8)
    assert computed == []
    assert is_basis_of(bases.basis_of(saved(tmp_path, prepared(78)), string, 8, tmp_path / "b"), 77, 8)
    assert computed == [8]
    damaged = file_of(77, 3, sections={12: b"\xff" * 64 * 31})
    assert is_basis_of(bases.basis_of(saved(tmp_path, damaged), string, 8, tmp_path / "c"), 77, 8)


# ------------------------------------------------------------------------------------------------------------ keys


def session(dimension: int = 20, bound: int = 10, rule: Rule = Rule.TRUST, key: bytes = bytes(32)) -> SessionParams:
    return SessionParams(
        doc_digest=bytes(32), owner=bytes(20), owner_peer=bytes(32), mode=Mode.VERIFIED, dimension=dimension,
        frac_bits=0, bound=bound, group_size=1, groups=12, committee=5, threshold=1, rule=rule, mu_bps=0, m_krum=0,
        min_accepted=3, public_sums=False, reward=0, prover_fee=0, deposit=0, gas_price_cap=0,
        whitelist_root=bytes(32), register_blocks=1, upload_blocks=1, settle_blocks=1, proof_key=key,
    )  # fmt: skip


@pytest.fixture
def standard(tmp_path: Path, checks: list[int]) -> Path:
    """The test string for 64 rows."""
    return saved(tmp_path, labelled(136))


@pytest.mark.parametrize("rule", [Rule.TRUST, Rule.NONE, Rule.MULTI_KRUM])
def test_a_key_follows_from_string_and_session(tmp_path: Path, standard: Path, rule: Rule) -> None:
    keys = make_keys(standard, tmp_path / "cache", chain_id=DEVELOPMENT_CHAIN)
    made = keys.make(session(rule=rule))
    bits = None if rule is Rule.MULTI_KRUM else (100).bit_length()
    assert made.digest == make_key(choose(20, 10), labelled(136).string, bits).digest
    assert made.basis is not None
    assert keys(session(rule=rule, key=made.digest)) is made is keys.make(session(rule=rule))


def test_a_session_of_another_string(tmp_path: Path, standard: Path) -> None:
    with pytest.raises(LocalProtocolError, match=r"set \[proofs\] string") as error:
        make_keys(standard, tmp_path / "cache", chain_id=DEVELOPMENT_CHAIN)(session(key=b"\x01" * 32))
    assert "0101010101010101.." in str(error.value)


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "none", tmp_path / "cache", chain_id=DEVELOPMENT_CHAIN)
    assert keys.configured
    with pytest.raises(LocalProtocolError, match=r"no reference string at .*omninode srs"):
        keys.make(session())
    saved(tmp_path, labelled(136), "none")
    assert keys.make(session()).params.size == 32  # an operator who puts it there need not restart


def test_a_string_that_is_too_short_for_a_session(tmp_path: Path, standard: Path) -> None:
    keys = make_keys(standard, tmp_path / "cache", chain_id=DEVELOPMENT_CHAIN)
    with pytest.raises(LocalProtocolError, match=r"136 powers of tau, 264 are needed.*srs new --size 128"):
        keys.make(session(dimension=65))
    assert keys.make(session()).params.dimension == 20


def test_sessions_that_nothing_proves(tmp_path: Path, standard: Path) -> None:
    with pytest.raises(LocalProtocolError, match="no proof"):
        make_keys(standard, tmp_path / "cache", chain_id=DEVELOPMENT_CHAIN).make(session(bound=1 << 40))


def test_few_keys_are_kept(tmp_path: Path, standard: Path, checks: list[int]) -> None:
    keys = make_keys(standard, tmp_path / "cache", chain_id=DEVELOPMENT_CHAIN)
    first = keys.make(session(dimension=1))
    for dimension in range(2, KEPT + 1):
        keys.make(session(dimension=dimension))
        assert keys.make(session(dimension=1)) is first
    for dimension in range(2, KEPT + 2):
        keys.make(session(dimension=dimension))
    assert keys.make(session(dimension=1)) is first  # in use
    name = ref(first)
    del first
    for dimension in range(2, KEPT + 2):
        keys.make(session(dimension=dimension))
    assert name() is None
    assert checks == [136]


def test_a_key_that_is_there_is_not_waited_for(tmp_path: Path, standard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = make_keys(standard, tmp_path / "cache", chain_id=DEVELOPMENT_CHAIN)
    there, begun, go = keys.make(session(dimension=1)), Event(), Event()
    real = make_key

    def slow(*arguments: Any) -> Any:
        begun.set()
        assert go.wait(60)
        return real(*arguments)

    monkeypatch.setattr("omninode.srs.keys.make_key", slow)
    other = Thread(target=keys.make, args=(session(dimension=2),))
    other.start()
    try:
        assert begun.wait(60)
        assert keys.make(session(dimension=1)) is there  # or this hangs
    finally:
        go.set()
        other.join()


def test_a_refused_file_is_not_read_for_every_session(
    tmp_path: Path, standard: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, seen = make_keys(standard, tmp_path / "cache", chain_id=DEVELOPMENT_CHAIN), []
    real = loading.load_string

    def load(path: Path, powers: int, *rest: Any) -> Any:
        seen.append(powers)
        return real(path, powers, *rest)

    monkeypatch.setattr("omninode.srs.keys.load_string", load)
    for dimension in (65, 66, 128, 129, 130):
        with pytest.raises(LocalProtocolError, match="136 powers of tau"):
            keys.make(session(dimension=dimension))
    assert seen == [264, 520]
    saved(tmp_path, labelled(264))  # another file in its place
    assert keys.make(session(dimension=65)).params.size == 128


@pytest.mark.parametrize("secret", [1, 2, 16])
def test_strings_of_which_no_key_can_be_made(tmp_path: Path, checks: list[int], secret: int) -> None:
    path = saved(tmp_path, file_of(poly.root_of_unity(secret), 6))
    with pytest.raises(LocalProtocolError, match="gives no key: tau of the reference string is a root of unity"):
        make_keys(path, tmp_path / "cache", chain_id=DEVELOPMENT_CHAIN).make(session(bound=3))


def test_a_larger_session_loads_more_of_a_ptau_file(tmp_path: Path, checks: list[int]) -> None:
    keys = make_keys(saved(tmp_path, file_of(77, 6)), tmp_path / "cache", chain_id=DEVELOPMENT_CHAIN)
    keys.make(session(dimension=10, bound=3))
    keys.make(session(dimension=20, bound=3))
    keys.make(session(dimension=9, bound=3))
    assert checks == [40, 72]


@pytest.mark.parametrize("chain_id", [1, 1337])
def test_test_strings_are_for_the_development_chain(tmp_path: Path, standard: Path, chain_id: int) -> None:
    with pytest.raises(LocalProtocolError, match="INSECURE-omninode: everybody can forge"):
        make_keys(standard, tmp_path / "cache", chain_id=chain_id).make(session())
    real = saved(tmp_path, file_of(77, 6), "real")
    assert make_keys(real, tmp_path / "cache", chain_id=chain_id).make(session(bound=3)).params.size == 32


def test_commitments_do_not_depend_on_the_form(tmp_path: Path, standard: Path, rng: np.random.Generator) -> None:
    key = make_keys(standard, tmp_path / "cache", chain_id=DEVELOPMENT_CHAIN).make(session())
    plain = make_key(key.params, Srs(key.powers, key.tau2, "x"), key.norm_bits)
    values, blinders = fr.from_signed(rng.integers(-9, 9, 20)), fr.vector(range(6))
    assert key.commit_values(values, blinders) == plain.commit_values(values, blinders)
