"""The posterior against independent formulas, and against planted noise and quality."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.preferences.posterior import Evidence, Noise, Observation, QualityModel, fit_quality
from tests.preferences.planted import calibration_error, sigma

Matchups = list[tuple[str, str, float]]


def model(noise: float, signal: float, source: str = "residuals") -> QualityModel:
    """Return a model in which all prompts have the same variances."""
    variances = Noise.model_validate({"noise": noise, "signal": signal, "source": source})
    return QualityModel(variances, np.array([[noise, signal]]), np.ones(1))


def evidence(matchups: Matchups, disagreement: float = math.nan, prompt: str = "p") -> Evidence:
    return Evidence.of(prompt, [Observation(a, b, logit, disagreement) for a, b, logit in matchups])


def test_with_one_matchup_it_is_the_normal_posterior_of_two_normals() -> None:
    found = model(1.0, 3.0).difference(evidence([("a", "b", 2.0)]), "a", "b")
    assert found.means == pytest.approx([2.0 * 3 / 4])
    assert found.variances == pytest.approx([1.0 * 3 / 4])
    grid = np.linspace(-9, 9, 40_001)
    density = np.exp(-(grid**2) / 2)
    expected = (density * sigma(1.5 + math.sqrt(0.75) * grid)).sum() / density.sum()
    assert found.p() == pytest.approx(expected, abs=1e-5)


def test_with_several_matchups_it_is_the_conditional_of_the_joint_normal() -> None:
    matchups: Matchups = [("a", "b", 1.0), ("b", "c", -0.4), ("c", "d", 0.8), ("d", "a", -2.0), ("a", "c", 0.1)]
    names, (v, t) = "abcd", (0.7, 2.0)
    x = np.zeros((5, 4))
    for row, (a, b, _) in enumerate(matchups):
        x[row, names.index(a)], x[row, names.index(b)] = 1, -1
    gain = (t / 2) * x.T @ np.linalg.inv((t / 2) * x @ x.T + v * np.eye(5))
    mean, covariance = gain @ [logit for *_, logit in matchups], (t / 2) * (np.eye(4) - gain @ x)
    contrast = np.array([1, 0, 0, -1])
    found = model(v, t).difference(evidence(matchups), "a", "d")
    assert found.means == pytest.approx([contrast @ mean])
    assert found.variances == pytest.approx([contrast @ covariance @ contrast])


@given(st.lists(st.floats(-8, 8), min_size=6, max_size=6), st.floats(0.01, 9), st.floats(0.01, 20))
def test_the_two_responses_probabilities_add_up_to_one(logits: list[float], noise: float, signal: float) -> None:
    known = evidence([(a, b, logit) for (a, b), logit in zip(combinations("abcd", 2), logits, strict=True)])
    one, other = (model(noise, signal).difference(known, *pair) for pair in (("a", "c"), ("c", "a")))
    assert one.p() + other.p() == pytest.approx(1)


def test_matchups_with_others_count() -> None:
    """a beat c, and c beat b: so a is better than b, although their own matchup is even."""
    known = evidence([("a", "b", 0.0), ("a", "c", 2.0), ("c", "b", 2.0)])
    assert model(1.0, 2.0).difference(known, "a", "b").p() > 0.7


@pytest.mark.parametrize("candidates", [2, 4])
@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_selected_pairs_get_honest_probabilities(candidates: int, noise: float) -> None:
    p, truth, raw, found = _best_against_worst(candidates, noise, prompts=2500)
    assert found.noise.noise == pytest.approx(noise**2 / 2, rel=0.08)
    assert found.noise.signal == pytest.approx(2, rel=0.2)
    assert found.noise.source == ("orders" if candidates == 2 else "residuals")
    assert not found.noise.orders_differ
    assert calibration_error(_logits(p), truth) < 0.02
    assert calibration_error(_logits(raw), truth) > calibration_error(_logits(p), truth)


@pytest.mark.parametrize("tails", ["heavy", "outliers"])
def test_heavy_tails_of_the_noise_do_no_harm(tails: str) -> None:
    p, truth, *_ = _best_against_worst(4, 1.0, prompts=2500, tails=tails)
    assert calibration_error(_logits(p), truth) < 0.02


def test_errors_that_both_orders_share_are_seen_in_residuals() -> None:
    p, truth, raw, found = _best_against_worst(4, 0.5, prompts=2500, shared=2.0)
    assert found.noise.orders_differ
    assert found.noise.from_orders == pytest.approx(0.125, rel=0.1)
    assert found.noise.noise == pytest.approx(4.125, rel=0.1)
    assert calibration_error(_logits(p), truth) < 0.02
    assert calibration_error(_logits(raw), truth) > 0.1


def test_with_two_candidates_the_disagreement_of_two_judges_shows_what_their_orders_share() -> None:
    rng = np.random.default_rng(0)
    prompts, expected = [], 0.5**2 / 4 + 2.0**2 / 2
    for number, difference in enumerate(rng.normal(0, math.sqrt(2), 2000)):
        logits = difference + 2.0 * rng.normal(size=2) + 0.5 / math.sqrt(2) * rng.normal(size=2)
        among = (float(np.var(logits)), 1)
        observed = Observation("a", "b", float(logits.mean()), 0.25 * rng.normal(), among)
        prompts.append(Evidence.of(str(number), [observed]))
    found = fit_quality(prompts)
    assert found is not None
    assert (found.noise.source, found.noise.orders_differ) == ("judges", True)
    assert found.noise.noise == pytest.approx(expected, rel=0.1)


def test_noise_is_seldom_taken_for_signal() -> None:
    shown = 0
    for seed in range(200):
        draw = np.random.default_rng(seed).normal(size=(2, 120))
        prompts = [
            evidence([("a", "b", float(logit))], disagreement=float(order), prompt=str(n))
            for n, (logit, order) in enumerate(draw.T)
        ]
        found = fit_quality(prompts)
        assert found is not None
        shown += found.noise.signal_shown
    assert shown / 200 < 0.06


def test_without_signal_that_is_said() -> None:
    rng = np.random.default_rng(0)
    prompts = [
        evidence([("a", "b", rng.normal(0, 1))], disagreement=rng.normal(0, 1), prompt=str(n)) for n in range(500)
    ]
    found = fit_quality(prompts)
    assert found is not None
    assert not found.noise.signal_shown
    assert found.difference(prompts[0], "a", "b").p() == pytest.approx(0.5, abs=0.1)


def test_consistent_verdicts_keep_their_probability() -> None:
    prompts = [evidence([("a", "b", 1.7)], disagreement=0.0, prompt=str(n)) for n in range(60)]
    found = fit_quality(prompts)
    assert found is not None
    assert found.difference(prompts[0], "a", "b").p() == pytest.approx(1 / (1 + math.exp(-1.7)), abs=1e-3)


def test_too_few_matchups_give_no_model() -> None:
    assert fit_quality([evidence([("a", "b", 1.0)], disagreement=0.3, prompt=str(n)) for n in range(49)]) is None
    assert fit_quality([]) is None


def _best_against_worst(
    candidates: int, noise: float, prompts: int, tails: str = "normal", shared: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, QualityModel]:
    """Return p, truth and raw p of the pairs that would be exported, and the fitted model."""
    rng = np.random.default_rng(1)
    quality = rng.normal(size=(prompts, candidates))
    known = []
    for number, u in enumerate(quality):
        observed = []
        for a, b in combinations(range(candidates), 2):
            error = shared * rng.normal()
            ab, ba = (sign * (u[a] - u[b] + error) + noise * _draw(rng, tails) for sign in (1, -1))
            observed.append(Observation(str(a), str(b), (ab - ba) / 2, (ab + ba) / 2))
        known.append((observed, Evidence.of(str(number), observed)))
    found = fit_quality(one for _, one in known)
    assert found is not None
    rows = []
    for u, (observed, one) in zip(quality, known, strict=True):
        wins = {name: sum(o.logit * ((o.a == name) - (o.b == name)) for o in observed) for name in one.candidates}
        best, worst = max(wins, key=wins.__getitem__), min(wins, key=wins.__getitem__)
        own = next(o.logit if o.a == best else -o.logit for o in observed if {o.a, o.b} == {best, worst})
        p = found.difference(one, best, worst).p()
        if own > 0 and p > 0.6:
            rows.append((p, u[int(best)] - u[int(worst)], own))
    p, difference, own = np.array(rows).T
    return p, sigma(difference), sigma(own), found


def _draw(rng: np.random.Generator, tails: str) -> float:
    if tails == "heavy":
        return float(rng.standard_t(3) / math.sqrt(3))
    return float(rng.normal() * (5 if tails == "outliers" and rng.random() < 0.05 else 1))


def _logits(p: np.ndarray) -> np.ndarray:
    return np.log(p / (1 - p))
