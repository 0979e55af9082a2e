"""The position bias of a critic, and whether it is fit to judge at all.

From the matchups of a run: the constant position bias of every principle, the share of verdicts that change with the
order, the mean label mass, and warnings where these are bad. Calibration against people's labels is not here.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Self

import numpy as np
from pydantic import Field

from rlaif.preferences.logits import TIE_LOGIT, ranking_logits
from rlaif.records import Matchup, Record
from rlaif.stats.estimates import Estimate, median_interval

FEWEST_FOR_BIAS = 8
"""With fewer matchups the median is too uncertain, and the bias counts as zero."""

UNFIT_LABEL_MASS = 0.5
UNFIT_TURNED = 1 / 3


class PositionBias(Record):
    """The constant position bias of a critic in one run, and signs that it is unfit."""

    by_principle: dict[str, float]
    """Median of (x_ab + x_ba) / 2 in logits; positive favours the response shown first."""
    overall: float | None
    intervals: dict[str, Estimate] = Field(default_factory=dict)
    """The same medians with 95 % intervals (Woodruff 1952) over prompts."""
    overall_interval: Estimate | None = None
    """Of `overall`."""
    matchups: int
    verdicts: int
    label_mass: float | None
    """Mean probability of the two labels over all verdicts."""
    turned: float | None
    """Share of (matchup, principle) whose two orders name different winners, of those with two winners."""
    of_labels: bool = True
    """Whether any verdict was read from labels; ratings and rankings are not."""
    judges: dict[str, "PositionBias"] = Field(default_factory=dict)
    """The same for each judge, where there are several."""

    @classmethod
    def measure(cls, matchups: Iterable[Matchup], min_label_mass: float = 0.0) -> Self:
        """Measure over matchups that each belong to a prompt of their own."""
        return cls.measure_prompts(((matchup,) for matchup in matchups), min_label_mass)

    @classmethod
    def measure_prompts(cls, prompts: Iterable[Iterable[Matchup]], min_label_mass: float = 0.0) -> Self:
        """Measure over the matchups of a run, prompt by prompt; keeps sixteen bytes per matchup and principle.

        Label mass, `turned` and `overall` are over all verdicts; the bias of a principle, used for order noise,
        over the readable ones.
        """
        together, apart = _Seen(), defaultdict[str, _Seen](_Seen)
        for prompt, matchup in ((number, matchup) for number, matchups in enumerate(prompts) for matchup in matchups):
            together.matchups += 1
            for verdict in matchup.verdicts:
                for seen in (together, apart[verdict.judge]):
                    seen.masses.append(verdict.label_mass)
            for judge, mass in other_masses(matchup):
                for seen in (together, apart[judge]):
                    seen.masses.append(mass)
                    seen.otherwise += 1
            for judge, principle, ab, ba, mass in asked_both_ways(matchup):
                for seen in (together, apart[judge]):
                    seen.note(principle, prompt, (ab, ba), readable=mass >= min_label_mass)
        judges = {name: cls(**seen.facts(together.matchups)) for name, seen in sorted(apart.items())}
        return cls(**together.facts(together.matchups), judges=judges if len(judges) > 1 else {})

    def of(self, principle: str, judge: str | None = None) -> float:
        """Return the bias of a principle; the overall bias where that principle has too few matchups."""
        if judge is not None and self.judges:
            return self.judges[judge].of(principle) if judge in self.judges else 0.0
        return self.by_principle.get(principle, self.overall or 0.0)

    def warnings(self) -> list[str]:
        """Return the reasons why a critic is unfit to judge; empty where there are none."""
        if not self.judges:
            found = self._against()
            return [f"this critic is not fit to judge: {'; '.join(found)}"] if found else []
        unfit = {name: found for name, judge in self.judges.items() if (found := judge._against())}
        return [f"judge {name} is not fit to judge: {'; '.join(found)}" for name, found in unfit.items()]

    def _against(self) -> list[str]:
        found = []
        if self.label_mass is not None and self.label_mass < UNFIT_LABEL_MASS:
            found.append(
                f"only {self.label_mass:.0%} of its probability falls on the two labels (a thinking model? then set "
                "chat_template_kwargs: {enable_thinking: false})"
                if self.of_labels
                else f"only {self.label_mass:.0%} of what it was asked for came back as a number or a ranking"
            )
        if self.turned is not None and self.turned > UNFIT_TURNED:
            shown = "first" if (self.overall or 0) > 0 else "second"
            favours = f" (it favours the answer shown {shown})" if abs(self.overall or 0.0) >= TIE_LOGIT else ""
            found.append(f"{self.turned:.0%} of its verdicts turn with the order{favours}")
        return found


class _Seen:
    """Measurements of one judge, or of all together."""

    def __init__(self) -> None:
        self.readable = defaultdict[str, _Biases](_Biases)
        self.everything = _Biases()
        self.masses = array("d")
        self.turned = self.named = 0
        self.otherwise = 0
        self.matchups = 0

    def note(self, principle: str, prompt: int, logits: tuple[float, float], *, readable: bool) -> None:
        ab, ba = logits
        if max(abs(ab), abs(ba)) < TIE_LOGIT:
            return  # exact ties in both orders say nothing about position
        if min(abs(ab), abs(ba)) >= TIE_LOGIT:
            # The same winner means opposite signs, because the responses change places.
            self.named += 1
            self.turned += ab * ba > 0
        for biases in (self.everything, self.readable[principle]) if readable else (self.everything,):
            biases.values.append((ab + ba) / 2)
            biases.prompts.append(prompt)

    def facts(self, matchups: int) -> dict[str, Any]:
        everything, masses = self.everything, self.masses
        asked = {k: v.median for k, v in sorted(self.readable.items()) if len(v.values) >= FEWEST_FOR_BIAS}
        overall = everything.median if len(everything.values) >= FEWEST_FOR_BIAS else None
        return {
            "by_principle": {k: estimate.value for k, estimate in asked.items()},
            "intervals": asked,
            "overall": None if overall is None else overall.value,
            "overall_interval": overall,
            "matchups": matchups,
            "verdicts": len(masses),
            "label_mass": sum(masses) / len(masses) if masses else None,
            "turned": self.turned / self.named if self.named else None,
            "of_labels": self.otherwise < len(masses) or not masses,
        }


class _Biases:
    """Position biases and the prompts they come from."""

    def __init__(self) -> None:
        self.values, self.prompts = array("d"), array("q")

    @property
    def median(self) -> Estimate:
        return median_interval(np.array(self.values), np.array(self.prompts))


def other_masses(matchup: Matchup) -> Iterator[tuple[str, float]]:
    """Yield (judge, share answered) of ratings and rankings: the mass on the numbers; 1 or 0 for a ranking."""
    for scored in matchup.scores:
        for score in (scored.a, scored.b):
            if score is None or score.label_mass is not None:
                yield scored.judge, 0.0 if score is None else score.label_mass or 0.0
    for ranked in matchup.rankings:
        yield ranked.judge, float(sum(ranked.a_first) + sum(ranked.b_first) > 0)


def asked_both_ways(matchup: Matchup) -> Iterator[tuple[str, str, float, float, float]]:
    """Yield (judge, principle, logit in order ab, logit in order ba, lower label mass) where both have a logit."""
    for (judge, principle), orders in matchup.verdicts_by_judge().items():
        if len(orders) == 2:
            ab, ba = orders["ab"], orders["ba"]
            first, second = ab.logit(), ba.logit()
            if first is not None and second is not None:
                yield judge, principle, first, second, min(ab.label_mass, ba.label_mass)
    for ranked in matchup.rankings:
        first, second = ranking_logits(ranked)
        if first is not None and second is not None:
            yield ranked.judge, ranked.principle, first, second, 1.0
