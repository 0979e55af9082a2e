"""What is corrected in a run's log-odds before they become labels: length first, then how sure they may be.

Comes in: a run's settings, and what was measured over the run where they ask for that. Goes out: a `Correction`,
applied to every matchup alike; what it holds is said on the dataset's card, and both p stand in every row.
"""

from collections.abc import Callable
from dataclasses import dataclass

from rlaif.preferences.denoise import Noise, denoised
from rlaif.preferences.recalibration import Recalibrator
from rlaif.records import Record
from rlaif.stats.estimates import Estimate


class Corrected(Record):
    """What was corrected, for people to read."""

    length_effect: float | None = None
    """Log-odds for e times the characters that were taken out."""
    length_measured: Estimate | None = None
    """The same with its interval, where it was measured over the run itself."""
    noise: Noise | None = None
    """What the disagreement of the two orders told, where probabilities were shrunk by it."""
    recalibrator: Recalibrator | None = None


@dataclass(frozen=True)
class Correction:
    """What to make of the log-odds of a matchup."""

    what: Corrected

    def shift(self, ln_ratio: float) -> float:
        """Return the log-odds that a owes to its length; `ln_ratio` is ln(characters of a / characters of b)."""
        return (self.what.length_effect or 0.0) * ln_ratio

    @property
    def recalibrate(self) -> Callable[[float], float] | None:
        """From log-odds to honest ones; None where they are left as they are."""
        if self.what.recalibrator is not None:
            return self.what.recalibrator.apply
        noise = self.what.noise
        return None if noise is None else lambda logit: denoised(logit, noise)


NO_CORRECTION = Correction(Corrected())
