"""Reference strings that somebody made to hurt: secrets that are known, files that take for ever."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from omninode.errors import RefusedError, StoreError
from omninode.srs import disk, files, loading, making
from omninode.srs.files import File
from protocols.bn254 import ceremony, g1, pairing, poly, srs
from protocols.bn254.ceremony import Link
from protocols.bn254.field import R
from protocols.bn254.srs import BadString, Srs
from protocols.zk.key import make_key
from protocols.zk.params import choose
from tests.unit.test_bn254_srs import file_of
from tests.unit.test_srs_files import COUNT, SEED, contributed, encoded, labelled, saved

HEAD = len(files.MAGIC) + 6 + 1 + 128  # of a file without label


def chain(*secrets: int) -> File:
    """A ceremony by eve alone, whose secrets these are."""
    string, digest = ceremony.start(COUNT)
    links: list[Link] = []
    for secret in secrets:
        digest = ceremony.named(digest, "eve")
        string, step = ceremony.contribute(string, digest, (secret - 1).to_bytes(48, "big"), b"\x07" * 48)
        digest = ceremony.extended(digest, step)
        links.append(Link("eve", step, g1.to_integers(string.powers[1:2])[0]))
    return File(string, "", tuple(links))


# ------------------------------------------------------------------------------------------------- known secrets


def test_a_ceremony_that_ends_at_a_known_secret_is_called_insecure(tmp_path: Path) -> None:
    path = saved(tmp_path, chain(srs.insecure_secret("omninode")))
    for said in (making.verify(path), making.show(path)):
        assert (said["id"], said["warning"]) == ("INSECURE-omninode", making.WARNING)
    with pytest.raises(RefusedError, match="INSECURE-omninode") as error:
        making.contribute(path, tmp_path / "more", "bob")
    assert "omninode srs new" in error.value.cure


def test_a_secret_of_one_is_no_contribution(tmp_path: Path) -> None:
    with pytest.raises(BadString) as error:
        files.check(chain(1), SEED)
    assert error.value.check == "no-secret"
    with pytest.raises(RefusedError, match="no-secret: contribution 1, by 'eve'"):
        making.verify(saved(tmp_path, chain(1)))


def test_contributions_that_cancel_out(tmp_path: Path) -> None:
    path = saved(tmp_path, chain(5, pow(5, -1, R)))
    assert making.show(path)["id"] == "INSECURE-start"
    with pytest.raises(RefusedError, match="root-of-unity"):
        making.verify(path)


@pytest.mark.parametrize("order", [1, 2, 4, 8])
def test_secrets_under_which_nothing_is_hidden(order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "same_ratio", lambda *_: True)
    string = srs.known(poly.root_of_unity(order), COUNT, "x")
    with pytest.raises(BadString) as error:
        srs.check(string.powers, string.tau2, SEED)
    assert error.value.check == "root-of-unity"
    srs.check(srs.known(77, COUNT, "x").powers, string.tau2, SEED)


def test_no_key_of_a_secret_under_which_nothing_is_hidden() -> None:
    params = choose(20, 10)
    with pytest.raises(ValueError, match="root of unity of order 32"):
        make_key(params, srs.known(poly.root_of_unity(32), params.powers, "x"))


# ------------------------------------------------------------------------------------------------- hostile files


def with_links(count: int) -> bytes:
    """The file of one contribution, which says that it has ``count`` of them, and has."""
    good = encoded(contributed())
    size = len(good) - HEAD - 64 * COUNT
    head = good[: len(files.MAGIC)] + struct.pack(">IH", COUNT, count) + good[len(files.MAGIC) + 6 : HEAD]
    return head + good[HEAD : HEAD + size] * count + good[HEAD + size :]


def test_files_with_too_many_contributions(tmp_path: Path) -> None:
    for verb in (making.show, making.verify):
        with pytest.raises(RefusedError, match="contributions: 257, at most 256"):
            verb(saved(tmp_path, with_links(files.MOST_LINKS + 1)))
    assert len(making.show(saved(tmp_path, with_links(files.MOST_LINKS)))["contributions"]) == files.MOST_LINKS


def test_the_length_is_looked_at_before_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("too early")

    monkeypatch.setattr(ceremony, "from_bytes", never)
    monkeypatch.setattr(g1, "from_bytes", never)
    for data in (with_links(3)[:-1], with_links(3) + b"\0", with_links(3)[: HEAD + 500]):
        with pytest.raises(BadString) as error:
            files.parse(data)
        assert error.value.check in ("length", "truncated")
    with pytest.raises(RefusedError, match="16 powers of tau, 99 are needed"):
        loading.load_string(saved(tmp_path, contributed()), 99)


def test_showing_a_file_takes_no_arithmetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, contributed())

    def never(*_: Any) -> Any:
        raise AssertionError("slow")

    for slow in ("check_g2", "g2_from_bytes"):
        monkeypatch.setattr(pairing, slow, never)
    monkeypatch.setattr(ceremony, "from_bytes", never)
    assert making.show(path)["contributions"] == [{"number": 1, "name": "alice"}]


def test_the_order_of_points_is_checked_but_not_by_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(point: Any) -> Any:
        raise ValueError("order")

    file, string = contributed(), encoded(contributed())
    with monkeypatch.context() as patch:
        patch.setattr(pairing, "check_g2", wrong)
        assert files.parse(string).links == file.links
        with pytest.raises(BadString, match="contribution-point: contribution 1, by 'alice'"):
            files.check(file, SEED)


# -------------------------------------------------------------------------------------------------------- caches


@pytest.mark.parametrize(
    "change",
    [
        lambda file: replace(file, links=(replace(file.links[0], second=(1, 2)),)),
        lambda file: replace(file, links=(replace(file.links[0], name="bob"),)),
        lambda file: replace(file, links=(file.links[0], file.links[0])),
    ],
)
def test_another_head_is_checked_again(tmp_path: Path, change: Any) -> None:
    kept = tmp_path / "cache"
    loading.load_string(saved(tmp_path, contributed()), COUNT, kept)
    with pytest.raises(RefusedError):
        loading.load_string(saved(tmp_path, change(contributed())), COUNT, kept)


def test_a_cache_that_others_can_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, path = tmp_path / "cache", saved(tmp_path, labelled())
    loading.load_string(path, COUNT, kept)
    for mode in (0o770, 0o702):
        kept.chmod(mode)
        with pytest.raises(StoreError, match="others can write") as error:
            loading.load_string(path, COUNT, kept)
        assert "chmod 700" in error.value.cure
    kept.chmod(0o755)
    loading.load_string(path, COUNT, kept)
    monkeypatch.setattr("omninode.srs.disk.os.geteuid", lambda: kept.stat().st_uid + 1)
    with pytest.raises(StoreError, match="belongs to somebody else"):
        loading.load_string(path, COUNT, kept)


def test_a_file_that_shrinks_while_it_is_read_kills_nobody(tmp_path: Path) -> None:
    path = saved(tmp_path, b"x" * 100_000)
    data = disk.contents(path)
    path.write_bytes(b"")
    assert bytes(data[99_000:]) == b"x" * 1000


def test_a_ptau_file_of_one(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="root-of-unity"):
        making.verify(saved(tmp_path, file_of(1)))


def test_the_string_itself_is_unchanged(tmp_path: Path) -> None:
    string = loading.load_string(saved(tmp_path, contributed()), COUNT)
    assert isinstance(string, Srs)
    assert string.id == contributed().string.id
