"""What surface features of a response are worth to the judges, measured by intervention, and taken out of log-odds.

An effect is what one edit of a response does to its log-odds, everything else equal (`rlaif evaluate shortcuts`). The
correction assumes that the effect is linear in the feature and the same for all prompts, and that the judges treat the
feature in a response like the edit that was made:

    shift = sum over shown effects of effect * (feature of a - feature of b)
"""

from collections.abc import Sequence

from rlaif.preferences.judged_with import JudgedWith
from rlaif.records import Record
from rlaif.stats.estimates import Estimate
from rlaif.text.shortcuts import Shortcut, feature

FEWEST_MOVED = 20
"""Least number of prompts whose log-odds an edit must have moved for its effect to count as shown."""


class Effect(Record):
    """The causal effect of one edit on the log-odds of the edited response."""

    edit: Shortcut
    change: Estimate
    """Mean change of the log-odds by the edit as it was made, in logits."""
    effect: Estimate
    """Logits per unit of the feature (`rlaif.text.shortcuts.UNITS`), without what the edit also changed of the other
    features that were measured: a flattering sentence makes a response longer, too."""
    moved: int
    """Prompts whose log-odds the edit moved."""

    @property
    def why_not_shown(self) -> str | None:
        """The reason why the effect does not count as shown; None where it does."""
        if self.moved < FEWEST_MOVED:
            return f"the edit moved {self.moved} prompts, fewer than {FEWEST_MOVED}"
        if self.effect.value is None or self.effect.low is None or self.effect.holds(0.0):
            return "its interval contains 0"
        return None

    @property
    def shown(self) -> bool:
        """Whether the effect counts as shown: enough prompts, and an interval without 0."""
        return self.why_not_shown is None


class ShortcutEffects(Record):
    """The content of `shortcuts.json`."""

    rlaif: str
    """Version of the program."""
    made: str
    run: str
    """The run whose responses were edited."""
    prompts: int
    """Prompts of which a response was edited."""
    matchups: int
    """Matchups with an edited response that were asked."""
    failed: int
    """Those of them whose requests failed, or those of the matchup unedited."""
    unreadable: int = 0
    """Those of them that were answered, but in which no verdict could be read both before and after the edit."""
    effects: tuple[Effect, ...]
    measured_on: JudgedWith


def shift_of(effects: Sequence[Effect], a: str, b: str) -> float:
    """Return the log-odds for the text `a` that the shown effects give for its features and those of `b`."""
    return sum(
        (effect.effect.value or 0.0) * (feature(effect.edit, a) - feature(effect.edit, b))
        for effect in effects
        if effect.shown
    )
