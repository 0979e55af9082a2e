"""Who wins under a constitution, and what is left of it at equal length.

Win rate: of the duels that the critic decides, the share that the tuned answer wins; ties and abstentions stand apart,
and the interval is one over prompts. Judges like length (Dubois et al. 2024, arXiv:2404.04475), so two more figures
stand beside it: the win rate at a length ratio of one, from win ~ sigmoid(a + b ln(length tuned / length base)), and
the plain win rate among answers of similar length. The first rests on a model where hardly any lengths are alike; the
second on few duels then.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rlaif.evaluate.policy.duels import Judged, Outcome, WinRates
from rlaif.evaluate.policy.lines import Line, What, concluded, mapped, not_measured, shifted
from rlaif.preferences.position import PositionBias
from rlaif.records import Record
from rlaif.stats.estimates import Bootstrap, Estimate, Tally
from rlaif.stats.log_odds import sigmoid
from rlaif.stats.regression import coefficient, linear, logistic

SIMILAR = math.log(1.2)
"""Lengths that differ by no more than a fifth count as similar."""
FEW_ALIKE = 20
"""With fewer decided duels of similar length there is a warning beside the figure at equal length."""
DECIDED = ("tuned", "base")


class WinMetrics(Record):
    """How the tuned model fares against its base under one constitution."""

    constitution: str
    version: int
    hash: str
    duels: int
    outcomes: dict[Outcome, int]
    """They add up to `duels`."""
    win_rate: Estimate
    """Of the duels decided, the share that the tuned answer wins."""
    decided: Estimate
    """Share of all duels."""
    mean_p: Estimate
    """Mean probability of the tuned answer over all that could be read, thresholds aside; two equal answers count as
    one half."""
    at_equal_length: Estimate
    """Win rate at a length ratio of one; value None where all went one way, or where length tells the winner."""
    similar_length: Estimate
    """Win rate among the decided whose lengths differ by a fifth at most."""
    longer: Estimate
    """Share of the duels in which the tuned answer is the longer one, of those of different length."""
    longer_wins: Estimate
    """Of the decided of different length, the share that the longer answer wins."""
    length_worth: Estimate
    """Log-odds for e times the length: b of log-odds ~ a + b ln(length ratio)."""
    position_bias: PositionBias
    warnings: tuple[str, ...]
    """Why the critic is not fit to judge, as a run would say it."""


def win_metrics(bout: WinRates) -> WinMetrics:
    """Return the figures of all duels under one constitution."""
    found = Bootstrap([_tally(one) for one in bout.judged])
    rules = bout.constitution
    return WinMetrics(
        constitution=rules.name,
        version=rules.version,
        hash=rules.hash,
        duels=len(bout.judged),
        outcomes=dict(Counter(one.outcome for one in bout.judged)),
        win_rate=found.ratio("won", "decided"),
        decided=found.ratio("decided", "duels"),
        mean_p=found.ratio("p", "read", share=False),
        at_equal_length=win_rate_at_equal_length(bout.judged),
        similar_length=found.ratio("won similar", "similar"),
        longer=found.ratio("longer", "unequal"),
        longer_wins=found.ratio("longer won", "unequal decided"),
        length_worth=_length_worth(bout.judged),
        position_bias=bout.bias,
        warnings=tuple(bout.bias.warnings()),
    )


def win_lines(figures: WinMetrics) -> list[Line]:
    """Return the lines of one constitution; the difference is what is above one half."""
    name = figures.constitution
    rate = What(f"wins-{name}", "rules", f"wins under {name}, ties apart", "higher")
    equal = What(f"wins-equal-length-{name}", "rules", f"wins under {name} at equal length", "higher")
    similar = What(f"wins-similar-length-{name}", "rules", f"wins under {name} where lengths are alike", "higher")
    alike = int(figures.similar_length.n)
    extrapolated = f"only {alike} decided duels are of similar length, so this rests on the regression"
    return [
        _against_a_half(rate, figures.win_rate, "no duel was decided"),
        _against_a_half(
            replace(equal, note=extrapolated if alike < FEW_ALIKE else ""),
            figures.at_equal_length,
            "all went one way, or length alone tells the winner",
        ),
        _against_a_half(similar, figures.similar_length, "no decided duel is between answers of similar length"),
    ]


def _against_a_half(what: What, rate: Estimate, why_none: str) -> Line:
    return not_measured(what, why_none) if rate.value is None else concluded(what, None, rate, shifted(rate, -0.5))


def _tally(judged: Judged) -> Tally:
    ratio, decided = judged.duel.length_ratio, judged.outcome in DECIDED
    won = judged.outcome == "tuned"
    tally = Tally({"duels": 1, "decided": decided, "won": won})
    if judged.logit is not None:
        tally["read"], tally["p"] = 1, sigmoid(judged.logit)
    if abs(ratio) <= SIMILAR:
        tally["similar"], tally["won similar"] = decided, won
    if ratio != 0:
        tally["unequal"], tally["longer"] = 1, ratio > 0
        tally["unequal decided"] = decided
        tally["longer won"] = decided and won == (ratio > 0)
    return tally


def win_rate_at_equal_length(judged: Sequence[Judged]) -> Estimate:
    """Return the win rate at a length ratio of one, from a logistic regression of the decided duels."""
    decided = [one for one in judged if one.outcome in DECIDED]
    x = np.array([(1.0, one.duel.length_ratio) for one in decided], dtype=float).reshape(-1, 2)
    y = np.array([one.outcome == "tuned" for one in decided], dtype=float)
    prompts = [one.duel.prompt.id for one in decided]
    if decided and not x[:, 1].any():  # all of the same length: there is nothing to take out
        return mapped(coefficient(logistic, x[:, :1], y, prompts), sigmoid)
    return mapped(coefficient(logistic, x, y, prompts), sigmoid)


def _length_worth(judged: Sequence[Judged]) -> Estimate:
    read = [one for one in judged if one.logit is not None and not one.duel.same]
    x = np.array([(one.duel.length_ratio, 1.0) for one in read], dtype=float).reshape(-1, 2)
    y = np.array([one.logit for one in read], dtype=float)
    return coefficient(linear, x, y, [one.duel.prompt.id for one in read])
