"""What no payout may ever do: exceed the reward, reward copies, depend on order, pass the cap."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.selection.scores import copies, payouts, related, trust, weights

phis = st.one_of(st.integers(-5, 20), st.integers(-(2**90), 2**100))
caps = st.one_of(st.integers(1, 30), st.integers(1, 2**100))
rewards = st.one_of(st.integers(0, 100), st.integers(0, 2**100))
vectors = st.lists(st.tuples(*[st.integers(-9, 9)] * 3), min_size=1, max_size=8)


def gram(points: list[tuple[int, ...]]) -> list[list[int]]:
    return [[sum(a * b for a, b in zip(x, y, strict=True)) for y in points] for x in points]


def paid(reward: int, scores: list[int], cap: int, counts: list[int] | None = None) -> list[int]:
    return payouts(reward, weights(scores, counts or [1] * len(scores), cap)) or [0] * len(scores)


@given(rewards, st.lists(phis, max_size=16), caps)
def test_the_sum_is_within_the_reward_and_little_is_left(reward: int, scores: list[int], cap: int) -> None:
    out = payouts(reward, weights(scores, [1] * len(scores), cap))
    if out is None:
        assert all(phi <= 0 for phi in scores)
        return
    assert reward - len(scores) < sum(out) <= reward
    assert all((pay == 0) or phi > 0 for pay, phi in zip(out, scores, strict=True))


@given(rewards, st.lists(phis, min_size=1, max_size=8), caps, st.integers(0, 2**90), st.data())
def test_a_higher_score_never_earns_less(
    reward: int, scores: list[int], cap: int, more: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(0, len(scores) - 1))
    higher = [phi + more * (i == k) for i, phi in enumerate(scores)]
    assert paid(reward, higher, cap)[k] >= paid(reward, scores, cap)[k]
    assert all(b <= a for i, (a, b) in enumerate(zip(paid(reward, scores, cap), paid(reward, higher, cap), strict=True))
               if i != k and any(phi > 0 for phi in scores))  # fmt: skip
    ranked = sorted(zip(scores, paid(reward, scores, cap), strict=True))
    assert [pay for _, pay in ranked] == sorted(pay for _, pay in ranked)


@given(rewards, st.lists(phis, min_size=1, max_size=8), caps, st.integers(2, 8))
def test_copies_of_one_identity_never_earn_its_family_more(reward: int, scores: list[int], cap: int, m: int) -> None:
    """The copy rule, where distances are open. (Without it the family would take up to m times as much.)"""
    alone = paid(reward, scores, cap)[0]
    family = paid(reward, scores[:1] * m + scores[1:], cap, [m] * m + [1] * (len(scores) - 1))[:m]
    others = [phi for phi in scores[1:] if phi > 0]
    if others or scores[0] >= m:  # a lone family whose weight is floored to 0 aborts the session instead
        assert sum(family) <= alone


@given(rewards, st.lists(phis, min_size=1, max_size=8), caps)
def test_nobody_weighs_more_than_the_cap(reward: int, scores: list[int], cap: int) -> None:
    given_weights = weights(scores, [1] * len(scores), cap)
    assert all(0 <= w <= cap for w in given_weights)
    capped = [phi for phi in scores if phi >= cap]
    assert len({paid(reward, scores, cap)[i] for i, phi in enumerate(scores) if phi >= cap}) <= 1
    if capped:
        assert max(paid(reward, scores, cap)) == paid(reward, scores, cap)[scores.index(capped[0])]


@given(rewards, vectors, caps, st.randoms(use_true_random=False))
def test_order_does_not_matter(reward: int, points: list[tuple[int, ...]], cap: int, random: object) -> None:
    order = list(range(len(points)))
    random.shuffle(order)  # type: ignore[attr-defined]
    moved = [points[k] for k in order]
    before, after = copies(gram(points), order), copies(gram(moved), range(len(points)))  # type: ignore[arg-type]
    assert after == {i: before[k] for i, k in enumerate(order)}
    first = paid(reward, [p[0] for p in points], cap, [before[k] for k in range(len(points))])
    second = paid(reward, [p[0] for p in moved], cap, [after[i] for i in range(len(points))])
    assert second == [first[k] for k in order]
    kept = trust({k: p[0] for k, p in enumerate(points)})
    assert sorted(order[i] for i in trust({i: p[0] for i, p in enumerate(moved)})) == kept


@settings(max_examples=60)
@given(vectors)
def test_components_against_a_naive_search(points: list[tuple[int, ...]]) -> None:
    matrix, count = gram(points), len(points)
    reach = [[i == j or related(matrix[i][j], matrix[i][i], matrix[j][j]) for j in range(count)] for i in range(count)]
    for via in range(count):
        reach = [[reach[i][j] or (reach[i][via] and reach[via][j]) for j in range(count)] for i in range(count)]
    assert copies(matrix, list(range(count))) == {i: sum(reach[i]) for i in range(count)}


@given(vectors, st.integers(1, 10**6))
def test_copies_do_not_depend_on_length(points: list[tuple[int, ...]], factor: int) -> None:
    """Stretching a copy does not hide it."""
    stretched = [tuple(factor * c for c in points[0]), *points[1:]]
    everybody = list(range(len(points)))
    assert copies(gram(stretched), everybody) == copies(gram(points), everybody)
