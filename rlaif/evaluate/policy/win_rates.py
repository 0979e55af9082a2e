"""Measure how often the tuned model's response wins under a constitution, also at equal length.

The input is the first response of each model to every prompt, and a critic. Each pair is judged in both orders with a
run's arithmetic and thresholds, after measuring the position bias over all pairs. Equal responses are a tie without
asking. The win rate is the share of the decided pairs that the tuned response wins; ties and abstentions are counted
separately, and the interval is over prompts.

Judges favour length (Dubois et al. 2024, arXiv:2404.04475), so there are two more win rates: at a length ratio of one,
from win ~ sigmoid(a + b ln(length tuned / length base)), and among responses of similar length. If few lengths are
similar, the first depends on the regression, and the second on few pairs.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rlaif.checks import Check, make_ready
from rlaif.config.judging import JudgingConfig
from rlaif.constitution.schema import Constitution
from rlaif.evaluate.comparisons import Compared, compare_all, comparison_of, given_response, log_odds_of
from rlaif.evaluate.policy.gains_and_losses import Line, Measure, line_of, not_measured
from rlaif.evaluate.policy.outputs import PolicyOutputs, Responses
from rlaif.evaluate.policy.questions import PolicyTest
from rlaif.judges.base import Comparison
from rlaif.judges.panel import check_responses, judge_pair, judges_of
from rlaif.models.model import Model, StoredReply
from rlaif.preferences.judgement import judge_matchup
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.preferences.position import PositionBias
from rlaif.progress import Progress, Screen
from rlaif.records import Matchup, Prompt, Record
from rlaif.seeds import derive_seed
from rlaif.stats.estimates import Estimate, Tallies, Tally
from rlaif.stats.log_odds import sigmoid
from rlaif.stats.regression import coefficient, linear, logistic

TUNED, BASE = "tuned", "base"
"""Ids of the two responses of a pair."""
DECIDED = (TUNED, BASE)
SIMILAR = math.log(1.2)
"""Largest |ln(length ratio)| of similar lengths: they differ by at most a fifth."""
FEW_ALIKE = 20
"""With fewer decided pairs of similar length, the win rate at equal length has a note."""

Outcome = Literal["tuned", "base", "same", "tie", "too close", "order noise", "conflict", "unreadable", "failed"]
"""Which response won, or why none did; `same`: both models gave the same response."""


@dataclass(frozen=True)
class ResponsePair:
    """Both models' first responses to one prompt."""

    prompt: Prompt
    base: str
    tuned: str

    @property
    def same(self) -> bool:
        """Whether the responses are equal except for surrounding white space."""
        return self.base.strip() == self.tuned.strip()

    @property
    def length_ratio(self) -> float:
        """ln(length of the tuned response / length of the base's), in characters, each at least 1."""
        return math.log(max(1, len(self.tuned)) / max(1, len(self.base)))


@dataclass(frozen=True)
class JudgedPair:
    """A pair and its outcome under one constitution."""

    pair: ResponsePair
    outcome: Outcome
    logit: float | None
    """Log-odds of the tuned response, averaged over orders and principles, without thresholds; None if unreadable."""


@dataclass(frozen=True)
class WinRates:
    """All pairs judged under one constitution."""

    constitution: Constitution
    judged: tuple[JudgedPair, ...]
    bias: PositionBias
    error: str | None
    """The first failed request's error; None without failures."""


class WinMetrics(Record):
    """Win rates of the tuned model against its base under one constitution."""

    constitution: str
    version: int
    hash: str
    duels: int
    """Number of pairs of responses."""
    outcomes: dict[Outcome, int]
    """Number of pairs by outcome; they add up to `duels`."""
    win_rate: Estimate
    """Share of the decided pairs that the tuned response wins."""
    decided: Estimate
    """Share of all pairs that are decided."""
    mean_p: Estimate
    """Mean probability of the tuned response over all readable pairs, without thresholds; equal responses count as
    0.5."""
    at_equal_length: Estimate
    """Win rate at a length ratio of one; value None if one model wins all, or if length separates the winners."""
    similar_length: Estimate
    """Win rate among the decided pairs whose lengths differ by at most a fifth."""
    longer: Estimate
    """Of the pairs of different length, the share in which the tuned response is the longer one."""
    longer_wins: Estimate
    """Of the decided pairs of different length, the share that the longer response wins."""
    length_worth: Estimate
    """Logits per unit of log length ratio: b of log-odds ~ a + b ln(length ratio)."""
    position_bias: PositionBias
    warnings: tuple[str, ...]
    """A run's warnings about the critic."""


def response_pairs(test: PolicyTest, base: PolicyOutputs, tuned: PolicyOutputs) -> list[ResponsePair]:
    """Return the pairs of first responses to all prompts to which both models responded."""
    pairs = []
    for prompt in test.prompts:
        one, other = (outputs.responses["prompt", prompt.id] for outputs in (base, tuned))
        if isinstance(one, Responses) and isinstance(other, Responses):
            pairs.append(ResponsePair(prompt, one.texts[0], other.texts[0]))
    return pairs


async def judge_responses(
    test: PolicyTest,
    constitution: Constitution,
    critic: Model,
    pairs: Sequence[ResponsePair],
    progress: Progress,
    screen: Screen,
) -> WinRates:
    """Return all pairs judged under one constitution. Raises what `compare_all` raises."""
    judging, judges = test.judging, judges_of(test.judging.panel, critic)
    different = [pair for pair in pairs if not pair.same]

    async def compare(comparison: Comparison) -> tuple[Matchup, Sequence[StoredReply]]:
        matchup, replies = await judge_pair(judges, test.templates, comparison)
        checks = (*constitution.checks(comparison.prompt.tags), *comparison.prompt.checks)
        found = await check_responses(checks, comparison.prompt, (comparison.a, comparison.b))
        return matchup.model_copy(update={"checks": found.of(matchup.a, matchup.b)}), replies

    await asyncio.to_thread(make_ready, list(_programs(constitution, different)))
    comparisons = [_comparison(constitution, judging, pair, place) for place, pair in enumerate(different)]
    compared = await compare_all(compare, comparisons, progress, screen) if different else []
    matchups = [one.matchup for one in compared if one.matchup is not None]
    bias = PositionBias.measure(matchups, judging.min_label_mass)
    results = iter(compared)
    judged = [
        JudgedPair(pair, "same", 0.0) if pair.same else _judge(pair, next(results), constitution, judging, bias)
        for pair in pairs
    ]
    return WinRates(constitution, tuple(judged), bias, next((one.error for one in compared if one.error), None))


def _programs(constitution: Constitution, pairs: Sequence[ResponsePair]) -> Iterator[Check]:
    if pairs:
        yield from (principle.check for principle in constitution.comparing if principle.check is not None)
    yield from (named.check for pair in pairs for named in pair.prompt.checks)


def _comparison(constitution: Constitution, judging: JudgingConfig, pair: ResponsePair, place: int) -> Comparison:
    applying = [principle for principle in constitution.asked if principle.applies(pair.prompt.tags)]
    principles = judging.drawn(applying, derive_seed(0, pair.prompt.id, "judging"))
    responses = given_response(TUNED, pair.tuned), given_response(BASE, pair.base)
    return comparison_of(pair.prompt, responses, principles, judging, (pair.prompt.id,), place)


def _judge(
    pair: ResponsePair, compared: Compared, constitution: Constitution, judging: JudgingConfig, bias: PositionBias
) -> JudgedPair:
    if compared.matchup is None:
        return JudgedPair(pair, "failed", None)
    logit = log_odds_of(TUNED, compared.matchup, constitution, judging)
    judgement = judge_matchup(compared.matchup, judging.rule(constitution.weights, constitution.priorities, bias))
    p = judgement.p_of(TUNED)
    if judgement.abstention is not None or p is None:
        return JudgedPair(pair, judgement.abstention or "unreadable", logit)
    if logit is not None and abs(logit) < TIE_LOGIT:
        return JudgedPair(pair, "tie", logit)
    return JudgedPair(pair, "tuned" if p > 0.5 else "base", logit)


def win_metrics(rates: WinRates) -> WinMetrics:
    """Return the metrics of all pairs under one constitution."""
    found = Tallies([_tally(one) for one in rates.judged])
    rules = rates.constitution
    return WinMetrics(
        constitution=rules.name,
        version=rules.version,
        hash=rules.hash,
        duels=len(rates.judged),
        outcomes=dict(Counter(one.outcome for one in rates.judged)),
        win_rate=found.ratio("won", "decided"),
        decided=found.ratio("decided", "pairs"),
        mean_p=found.ratio("p", "read", share=False),
        at_equal_length=win_rate_at_equal_length(rates.judged),
        similar_length=found.ratio("won similar", "similar"),
        longer=found.ratio("longer", "unequal"),
        longer_wins=found.ratio("longer won", "unequal decided"),
        length_worth=_length_effect(rates.judged),
        position_bias=rates.bias,
        warnings=tuple(rates.bias.warnings()),
    )


def win_lines(metrics: WinMetrics) -> list[Line]:
    """Return the lines of the win rates under one constitution; their difference is the win rate minus one half."""
    name, alike = metrics.constitution, int(metrics.similar_length.n)
    rate = Measure(f"wins-{name}", "rules", f"wins under {name}, without ties", "higher")
    equal = Measure(f"wins-equal-length-{name}", "rules", f"wins under {name} at equal length", "higher")
    similar = Measure(f"wins-similar-length-{name}", "rules", f"wins under {name} at similar length", "higher")
    if alike < FEW_ALIKE:
        extrapolated = f"only {alike} decided pairs have similar lengths, so this depends on the regression"
        equal = replace(equal, note=extrapolated)
    return [
        _against_half(rate, metrics.win_rate, "no pair was decided"),
        _against_half(equal, metrics.at_equal_length, "one model wins all pairs, or length separates the winners"),
        _against_half(similar, metrics.similar_length, "no decided pair has responses of similar length"),
    ]


def _against_half(measure: Measure, rate: Estimate, why_none: str) -> Line:
    if rate.value is None:
        return not_measured(measure, why_none)
    return line_of(measure, None, rate, _mapped(rate, lambda value: value - 0.5))


def _mapped(estimate: Estimate, function: Callable[[float], float]) -> Estimate:
    """Return an increasing function of an estimate and its interval."""
    ends = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return estimate.model_copy(update={end: None if x is None else function(x) for end, x in ends.items()})


def _tally(judged: JudgedPair) -> Tally:
    ratio, decided = judged.pair.length_ratio, judged.outcome in DECIDED
    won = judged.outcome == "tuned"
    tally = Tally({"pairs": 1, "decided": decided, "won": won})
    if judged.logit is not None:
        tally["read"], tally["p"] = 1, sigmoid(judged.logit)
    if abs(ratio) <= SIMILAR:
        tally["similar"], tally["won similar"] = decided, won
    if ratio != 0:
        tally["unequal"], tally["longer"] = 1, ratio > 0
        tally["unequal decided"] = decided
        tally["longer won"] = decided and won == (ratio > 0)
    return tally


def win_rate_at_equal_length(judged: Sequence[JudgedPair]) -> Estimate:
    """Return the win rate at a length ratio of one, from a logistic regression of the decided pairs."""
    decided = [one for one in judged if one.outcome in DECIDED]
    x = np.array([(1.0, one.pair.length_ratio) for one in decided], dtype=float).reshape(-1, 2)
    y = np.array([one.outcome == "tuned" for one in decided], dtype=float)
    if decided and not x[:, 1].any():  # all lengths are equal, so length has no effect
        x = x[:, :1]
    return _mapped(coefficient(logistic, x, y, [one.pair.prompt.id for one in decided]), sigmoid)


def _length_effect(judged: Sequence[JudgedPair]) -> Estimate:
    read = [one for one in judged if one.logit is not None and not one.pair.same]
    x = np.array([(one.pair.length_ratio, 1.0) for one in read], dtype=float).reshape(-1, 2)
    y = np.array([one.logit for one in read], dtype=float)
    return coefficient(linear, x, y, [one.pair.prompt.id for one in read])
