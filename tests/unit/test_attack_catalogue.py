"""Names, plans and casts of the attack suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from omninode import cli
from omninode.demo import main
from omninode.demo.cast import LEAST_OWNERS, cast
from omninode.demo.catalogue import ATTACKS, SHARE, Who, chosen, listing, plan
from omninode.demo.loot import Folder, pack_uploads, unpack_uploads
from omninode.demo.options import DemoOptions
from omninode.demo.orders import Order, order_fault, order_of
from omninode.demo.siege import sessions_of
from omninode.errors import UsageError
from protocols.wire.messages import Upload

OWNERS = [f"data-owner-{k:02}" for k in range(1, LEAST_OWNERS + 1)]
WALLETS = {name: bytes([k]) * 20 for k, name in enumerate(OWNERS)}


def test_names() -> None:
    assert chosen("all") == list(ATTACKS)
    assert chosen("alie") == ["alie"]
    assert chosen("crash") == [name for name in ATTACKS if name.startswith("crash-")]
    assert chosen("replay") == ["replay"]
    assert chosen("random, lie-proofs,random") == ["random", "lie-proofs"]
    assert len(listing().splitlines()) == len(ATTACKS)


@pytest.mark.parametrize("text", ["nonsense", "", "random,", "lie-nothing"])
def test_unknown_names_are_refused_with_those_that_exist(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        chosen(text)
    assert all(name in str(caught.value.cure) for name in ATTACKS)


def test_all_attacks_are_played_once_with_what_they_need() -> None:
    sessions = plan(list(ATTACKS))
    played = [attack for attacks in sessions for attack in attacks]
    assert sorted(set(played)) == sorted(ATTACKS)
    assert not sessions[0] and not sessions[-1]
    for attacks in sessions:
        assert all(not ATTACKS[a].needs or ATTACKS[a].needs in attacks for a in attacks)
        assert sum(ATTACKS[a].who == Who.PROVER for a in attacks) <= 1  # t = 1
        assert sum(ATTACKS[a].who == Who.OWNER for a in attacks) <= 1


def test_one_attack_has_honest_sessions_around_it() -> None:
    assert sessions_of(DemoOptions(attack="alie")) == ((), (), ("alie",), ())
    assert sessions_of(DemoOptions(hostile=True))[2] == ("random", "data-owner-offline", "lie-everywhere")


def test_nobody_plays_two_parts() -> None:
    sessions = plan(list(ATTACKS))
    for number, attacks in enumerate(sessions, 1):
        parts = cast(sessions, number, OWNERS)
        acting = [name for some in parts.attackers.values() for name in some] + list(parts.keepers)
        assert len(acting) == len(set(acting))
        assert len(acting) <= LEAST_OWNERS - 3  # min_accepted
        assert {a for a in attacks if ATTACKS[a].who in (Who.COLLUDERS, Who.DATA_OWNER)} == parts.attackers.keys()


def test_a_quarter_colludes_and_knows_each_other() -> None:
    parts = cast(((), ("alie",), ()), 2, OWNERS)
    assert len(parts.attackers["alie"]) == LEAST_OWNERS // SHARE
    orders = parts.orders(WALLETS)
    assert all(orders[name].colluders == tuple(WALLETS[n] for n in orders) for name in orders)


def test_a_replay_is_prepared_in_the_session_before() -> None:
    sessions = ((), ("replay",), ())
    (replayer,) = cast(sessions, 2, OWNERS).attackers["replay"]
    assert cast(sessions, 1, OWNERS).keepers == (replayer,)
    parts = cast(((), ("replay-other",), ()), 2, OWNERS)
    (copier,) = parts.attackers["replay-other"]
    assert parts.orders(WALLETS)[copier].victim == WALLETS[parts.victim]
    assert parts.orders(WALLETS)[parts.victim] == Order("keep")


def test_too_few_data_owners() -> None:
    with pytest.raises(UsageError):
        cast(((), ()), 1, OWNERS[1:])
    with pytest.raises(UsageError):
        main(DemoOptions(attack="all", owners=LEAST_OWNERS - 1))


def test_nothing_is_started_for_what_cannot_be_played(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        main(DemoOptions(attack="nonsense", out=tmp_path))
    with pytest.raises(UsageError):
        DemoOptions(mode="grouped", attack="all")
    assert not list(tmp_path.iterdir())


def test_the_list_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["demo", "--attack", "list"])
    assert not ended.value.code
    printed = capsys.readouterr().out
    assert all(name in printed for name in ATTACKS)


def test_the_seat_of_a_liar_to_who_rebuilds_is_not_that_of_who_rebuilds() -> None:
    for number in range(2, 30):
        sessions = ((),) * (number - 1) + (("lie-rebuild", "missing-one"), ())
        assert cast(sessions, number, OWNERS).seat != 4


def test_orders_go_through_a_file(tmp_path: Path) -> None:
    order = Order("crash", 3, "VALID", (bytes(20), bytes([1]) * 20), bytes([2]) * 20)
    order_fault(tmp_path, 5, order.kind, order)
    assert order_of(tmp_path, 5) == order
    assert order_of(tmp_path, 6) == Order()
    (tmp_path / "fault.json").write_text("{")
    assert order_of(tmp_path, 5) == Order()


def test_loot_goes_through_a_folder(tmp_path: Path) -> None:
    uploads = [Upload(bytes([i]) * 20, bytes(32), (bytes(32),) * i, bytes(32), b"sealed", b"public") for i in range(3)]
    here, there = Folder(tmp_path / "loot"), Folder(tmp_path / "loot")
    assert there.get("a") is None
    here.put("a", pack_uploads(uploads))
    kept = there.get("a")
    assert kept is not None
    assert unpack_uploads(kept) == uploads


def test_every_attack_is_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "attacks.md").read_text()
    for name in ATTACKS:
        family, _, rest = name.partition("-")
        assert f"`{name}`" in page or (f"`{family}-" in page and f"`-{rest}`" in page), name
