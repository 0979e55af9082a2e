"""How much a critic favours the answer it is shown first, and whether it is fit to judge at all.

Comes in: matchups. Goes out: the constant position bias of every principle, the share of verdicts that turn
with the order, the mean label mass, and plain words when these are bad. Intervals, calibration and
comparison with people's labels are deliberately absent here.
"""

from array import array
from collections.abc import Iterable, Iterator
from typing import Self

import numpy as np

from rlaif.records import Matchup, Record

FEWEST_FOR_BIAS = 8
"""With fewer matchups a median says more about them than about the critic: the bias then counts as zero."""

UNFIT_LABEL_MASS = 0.5
UNFIT_TURNED = 1 / 3


class PositionBias(Record):
    """The constant position bias of one critic in one run, and what it tells of the critic's fitness."""

    by_principle: dict[str, float]
    """Median of (x_ab + x_ba) / 2 in logits; positive favours the answer shown first."""
    overall: float | None
    matchups: int
    verdicts: int
    label_mass: float | None
    """Mean probability of the two labels over all verdicts."""
    turned: float | None
    """Share of (matchup, principle) whose two orders, taken as they came, name different winners."""

    @classmethod
    def measure(cls, matchups: Iterable[Matchup], min_label_mass: float = 0.0) -> Self:
        """Measure over the matchups of a run, in one pass; keeps eight bytes per matchup and principle.

        Label mass, `turned` and `overall` tell of all verdicts; the bias of a principle, by which order noise is
        judged, of the readable ones.
        """
        readable: dict[str, array[float]] = {}
        everything, masses, turned = array("d"), array("d"), 0
        count = 0
        for matchup in matchups:
            count += 1
            masses.extend(verdict.label_mass for verdict in matchup.verdicts)
            for principle, ab, ba, mass in asked_both_ways(matchup):
                # The same winner means opposite signs: the labels change places with the answers.
                turned += ab * ba >= 0
                everything.append((ab + ba) / 2)
                if mass >= min_label_mass:
                    readable.setdefault(principle, array("d")).append((ab + ba) / 2)
        return cls(
            by_principle={k: float(np.median(v)) for k, v in sorted(readable.items()) if len(v) >= FEWEST_FOR_BIAS},
            overall=float(np.median(everything)) if len(everything) >= FEWEST_FOR_BIAS else None,
            matchups=count,
            verdicts=len(masses),
            label_mass=sum(masses) / len(masses) if masses else None,
            turned=turned / len(everything) if everything else None,
        )

    def of(self, principle: str) -> float:
        """Return the bias of a principle; the critic's overall bias where that principle was asked too rarely."""
        return self.by_principle.get(principle, self.overall or 0.0)

    def warnings(self) -> list[str]:
        """Return in plain words why this critic is unfit to judge; empty when nothing says so."""
        found = []
        if self.label_mass is not None and self.label_mass < UNFIT_LABEL_MASS:
            found.append(
                f"only {self.label_mass:.0%} of its probability falls on the two labels (a thinking model? then set "
                "chat_template_kwargs: {enable_thinking: false})"
            )
        if self.turned is not None and self.turned > UNFIT_TURNED:
            shown = "first" if (self.overall or 0) > 0 else "second"
            favours = f" (it favours the answer shown {shown})" if self.overall else ""
            found.append(f"{self.turned:.0%} of its verdicts turn with the order{favours}")
        return [f"this critic is not fit to judge: {'; '.join(found)}"] if found else []


def asked_both_ways(matchup: Matchup) -> Iterator[tuple[str, float, float, float]]:
    """Yield (principle, logit in order ab, logit in order ba, lower label mass) where both orders have a logit."""
    for principle, orders in matchup.by_principle().items():
        if len(orders) == 2:
            ab, ba = orders["ab"], orders["ba"]
            first, second = ab.logit(), ba.logit()
            if first is not None and second is not None:
                yield principle, first, second, min(ab.label_mass, ba.label_mass)
