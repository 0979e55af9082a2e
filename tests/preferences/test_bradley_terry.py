"""Strengths against an independent solution, and against planted ones: found, ranked, and inside their intervals."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.compare.tallies import kendall_tau
from rlaif.preferences.ranking import PRIOR, Result, Strength, design, strengths

NAMES = tuple("abcd")
ALL_MET = tuple(combinations(NAMES, 2))


def met(logits: list[float]) -> list[Result]:
    return [Result(*pair, logit) for pair, logit in zip(ALL_MET, logits, strict=True)]


def values(found: dict[str, Strength]) -> dict[str, float]:
    return {name: strength.value for name, strength in found.items()}


@given(st.lists(st.floats(-20, 20), min_size=6, max_size=6))
def test_strengths_of_all_who_met_all_are_their_mean_log_odds(logits: list[float]):
    # Least squares of a round robin in closed form: the sum of one's log-odds over the number of candidates.
    sums = dict.fromkeys(NAMES, 0.0)
    for (a, b), logit in zip(ALL_MET, logits, strict=True):
        sums[a] += logit
        sums[b] -= logit
    found = values(strengths(met(logits)))
    assert found == pytest.approx({name: total / (4 + PRIOR) for name, total in sums.items()}, abs=1e-8)
    assert sum(found.values()) == pytest.approx(0, abs=1e-8)


def test_a_sparse_design_agrees_with_least_squares_on_the_prior_as_further_rows():
    # Verdicts within a tenth of a logit of the truth are all trusted.
    rng = np.random.default_rng(0)
    pairs = design([str(n) for n in range(9)], {}, 0)
    x, w = np.zeros((len(pairs), 9)), rng.uniform(0.5, 2, len(pairs))
    for row, (a, b) in zip(x, pairs, strict=True):
        row[int(a)], row[int(b)] = 1, -1
    y = x @ rng.normal(0, 0.2, 9) + rng.uniform(-0.02, 0.02, len(pairs))
    rows = np.vstack([x * np.sqrt(w)[:, None], np.eye(9) * PRIOR**0.5])
    expected = np.linalg.lstsq(rows, np.append(y * np.sqrt(w), np.zeros(9)), rcond=None)[0]
    found = values(strengths([Result(a, b, *rest) for (a, b), *rest in zip(pairs, y, w, strict=True)]))
    assert [found[str(n)] for n in range(9)] == pytest.approx(list(expected), abs=1e-8)


def test_a_verdict_that_is_wildly_wrong_hardly_bends_a_ranking():
    names = "abcdef"
    results = [Result(a, b, float(names.index(b) - names.index(a))) for a, b in combinations(names, 2)]
    noisy = [Result(one.a, one.b, one.logit + 0.5 * (-1) ** n) for n, one in enumerate(results)]
    wrong = [Result(one.a, one.b, -20.0) if (one.a, one.b) == ("a", "f") else one for one in noisy]
    assert "".join(sorted(names, key=lambda name: -strengths(wrong)[name].value)) == names
    assert strengths(wrong)["a"].value == pytest.approx(strengths(noisy)["a"].value, abs=0.6)
    assert strengths(wrong)["a"].se > strengths(noisy)["a"].se


def test_one_verdict_among_draws_still_says_who_is_better():
    results = [Result(a, b, 4.0 if (a, b) == ("a", "b") else 0.0) for a, b in combinations("abcdef", 2)]
    found = values(strengths(results))
    assert found["a"] > found["c"] > found["b"]


@given(st.lists(st.floats(-9, 9), min_size=6, max_size=6), st.permutations(range(6)))
def test_who_is_called_a_and_what_comes_first_says_nothing(logits: list[float], order: list[int]):
    results = met(logits)
    turned = [Result(results[n].b, results[n].a, -results[n].logit) for n in order]
    there, back = strengths(results), strengths(turned)
    for name in NAMES:
        assert back[name].value == pytest.approx(there[name].value, abs=1e-8)
        assert back[name].se == pytest.approx(there[name].se, abs=1e-6)


def test_three_that_beat_one_another_in_a_circle_are_equally_strong():
    assert set(values(strengths([Result("a", "b", 0.1), Result("b", "c", 0.1), Result("c", "a", 0.1)])).values()) == {0}


def test_draws_make_equals_and_an_error_of_nothing():
    assert set(strengths(met([0.0] * 6)).values()) == {Strength(value=0, se=0)}


def test_nobody_met_is_nobody_ranked():
    assert strengths([]) == {}


def test_two_candidates_have_strengths_and_no_standard_error():
    found = strengths([Result("a", "b", 2.1)])
    assert values(found) == pytest.approx({"a": 1, "b": -1})
    assert [one.se for one in found.values()] == [None, None]


def test_a_chain_leaves_nothing_over_to_tell_the_noise_by():
    assert strengths([Result("a", "b", 1), Result("b", "c", 2)])["a"].se is None


def test_a_weight_of_two_is_the_same_verdict_twice():
    rest = [Result("a", "c", 1), Result("b", "c", 1.5)]
    once = strengths([Result("a", "b", 0.7, weight=2), *rest])
    assert values(once) == pytest.approx(values(strengths([Result("a", "b", 0.7)] * 2 + rest)), abs=1e-8)


def test_groups_that_never_met_are_each_centred_and_their_errors_say_that_nothing_links_them():
    one = [Result("a", "b", 1), Result("b", "c", 1.4), Result("a", "c", 2)]
    other = [Result("x", "y", 3), Result("y", "z", 3.5), Result("x", "z", 6)]
    found = strengths([*one, *other])
    alone = strengths(one)
    assert [found[name].value for name in "abc"] == pytest.approx([alone[name].value for name in "abc"])
    linked = strengths([*one, *other, Result("a", "x", 0)])
    assert found["a"].se > 1.5 * linked["a"].se


def planted(n: int, noise: float, spread: float, seed: int, wild: float = 0.0) -> tuple[np.ndarray, list[Result]]:
    """Return the true strengths of n candidates, centred, and noisy verdicts on the matchups that they'd have.

    A share of the verdicts is `wild`, with eight times the noise.
    """
    rng = np.random.default_rng([seed, n])
    true = rng.normal(0, spread, n)
    pairs = design([str(k) for k in range(n)], {}, seed)
    sd = noise * np.where(rng.random(len(pairs)) < wild, 8, 1)
    logits = [true[int(a)] - true[int(b)] + error for (a, b), error in zip(pairs, rng.normal(0, sd), strict=True)]
    results = [Result(a, b, float(logit)) for (a, b), logit in zip(pairs, logits, strict=True)]
    return true - true.mean(), results


@pytest.mark.parametrize("noise", [0.5, 1, 2])
@pytest.mark.parametrize("n", [3, 4, 6, 12])
@pytest.mark.parametrize("wild", [0.0, 0.05])
def test_the_true_strength_is_within_the_interval_about_as_often_as_it_says(n: int, noise: float, wild: float):
    held = []
    for seed in range(400):
        true, results = planted(n, noise, 1.0, seed, wild)
        held += [abs(one.value - true[int(name)]) <= 1.96 * one.se for name, one in strengths(results).items()]
    assert 0.92 <= np.mean(held) <= 0.98


def mean_probabilities(results: list[Result]) -> dict[str, float]:
    won: dict[str, list[float]] = {}
    for one in results:
        for name, logit in ((one.a, one.logit), (one.b, -one.logit)):
            won.setdefault(name, []).append(1 / (1 + np.exp(-logit)))
    return {name: float(np.mean(ps)) for name, ps in won.items()}


def best_possible(results: list[Result], n: int, ratio: float) -> dict[str, float]:
    """Return what nobody can beat who doesn't know the truth: its mean given the planted noise and spread."""
    x = np.zeros((len(results), n))
    for row, one in zip(x, results, strict=True):
        row[int(one.a)], row[int(one.b)] = 1, -1
    found = np.linalg.solve(x.T @ x + ratio**2 * np.eye(n), x.T @ [one.logit for one in results])
    return {str(k): float(value) for k, value in enumerate(found)}


@pytest.mark.parametrize("noise", [0.5, 1, 2])
@pytest.mark.parametrize("n", [4, 12])
def test_the_ranking_is_as_good_as_any_can_be(n: int, noise: float):
    taus = []
    for seed in range(400):
        true, results = planted(n, noise, 2.0, seed)
        truth = {str(k): float(value) for k, value in enumerate(true)}
        rankings = (values(strengths(results)), best_possible(results, n, noise / 2.0), mean_probabilities(results))
        taus.append([kendall_tau(one, truth) for one in rankings])
    mine, best, means = np.mean(taus, axis=0)
    assert mine >= best - 0.02
    if n == 12:
        assert mine > means + 0.02  # who met weak ones looks strong


def test_a_few_wild_verdicts_cost_less_than_they_cost_least_squares():
    taus = []
    for seed in range(300):
        true, results = planted(6, 0.7, 1.5, seed, wild=0.05)
        truth = {str(k): float(value) for k, value in enumerate(true)}
        taus.append([kendall_tau(one, truth) for one in (values(strengths(results)), best_possible(results, 6, 0.5))])
    mine, squares = np.mean(taus, axis=0)
    assert mine > squares + 0.03
