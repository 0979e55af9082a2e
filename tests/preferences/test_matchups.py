from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.preferences.ranking import ALL_PAIRS_UP_TO, design


def reachable(edges: list[tuple[str, str]], start: str) -> set[str]:
    found, new = set(), {start}
    while new:
        found |= new
        new = {y for x, y in edges if x in found} | {x for x, y in edges if y in found}
        new -= found
    return found


@pytest.mark.parametrize("count", range(ALL_PAIRS_UP_TO + 1))
def test_a_few_candidates_all_meet_once(count: int):
    candidates = [f"s{n}" for n in range(count)]
    met = design(candidates, {}, seed=1)
    assert sorted(tuple(sorted(pair)) for pair in met) == sorted(combinations(candidates, 2))


@given(count=st.integers(7, 64), seed=st.integers(0, 2**31 - 1), revised=st.integers(0, 32))
def test_many_candidates_meet_in_a_sparse_connected_design(count: int, seed: int, revised: int):
    candidates = [f"s{n}" for n in range(count)]
    parents = {f"s{2 * n + 1}": f"s{2 * n}" for n in range(min(revised, count // 2))}
    met = design(candidates, parents, seed)
    unordered = {frozenset(pair) for pair in met}
    assert len(unordered) == len(met) <= 3 * count
    assert all(len(pair) == 2 for pair in unordered)
    assert {frozenset(edge) for edge in parents.items()} <= unordered
    assert reachable(met, "s0") == set(candidates)
    assert all(sum(name in pair for pair in met) >= 4 for name in candidates)


def test_a_parent_that_is_no_candidate_is_not_met():
    candidates = [f"s{n}" for n in range(8)]
    assert all(set(pair) <= set(candidates) for pair in design(candidates, {"s1": "gone"}, 0))


def test_a_design_depends_on_its_seed_alone():
    candidates = [f"s{n}" for n in range(20)]
    assert design(candidates, {}, 3) == design(candidates, {}, 3)
    assert design(candidates, {}, 3) != design(candidates, {}, 4)


@pytest.mark.parametrize("count", [2, 12])
def test_which_answer_is_called_a_says_nothing_about_it(count: int):
    candidates = [f"s{n:02}" for n in range(count)]
    met = [pair for seed in range(400) for pair in design(candidates, {"s01": "s00"}, seed)]
    share = sum(a < b for a, b in met) / len(met)
    assert abs(share - 0.5) < 4 * 0.5 / len(met) ** 0.5
    with_parent = [pair for pair in met if set(pair) == {"s00", "s01"}]
    assert len(with_parent) == 400
    assert abs(sum(a == "s00" for a, _ in with_parent) / 400 - 0.5) < 0.1
