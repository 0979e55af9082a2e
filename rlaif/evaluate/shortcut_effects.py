"""Estimate what edits of responses do to the judges' log-odds.

Input: for every edited matchup the change of the log-odds of the edited response, paired with the same matchup
unedited, and the changes of its features. Output: an `Effect` for each edit.

Most edits change more than one feature: a sentence of flattery makes a response longer. So the effects per unit are the
coefficients of one regression of the changes of log-odds on the changes of all features, without intercept. As each
edit is made by a program on one of two otherwise equal matchups, they are causal effects of the edits (Rubin 1974), if
features add up. Intervals come over prompts, all edits of a prompt together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rlaif.preferences.judgement import Rule
from rlaif.preferences.logits import TIE_LOGIT, PrincipleLogit, weighted_mean
from rlaif.preferences.shortcuts import Effect
from rlaif.records import Matchup
from rlaif.stats.estimates import Estimate
from rlaif.stats.regression import coefficients, linear
from rlaif.text.shortcuts import SHORTCUTS, Shortcut


@dataclass(frozen=True)
class Shift:
    """What one edit did in one matchup."""

    prompt_id: str
    edit: Shortcut
    logit: float
    """Change of the log-odds of the edited response."""
    changes: Mapping[Shortcut, float]
    """Changes of its features."""


def effects_of(shifts: Sequence[Shift], edits: Sequence[Shortcut] = SHORTCUTS) -> tuple[Effect, ...]:
    """Return the effect of each edit, in the order of `edits`; with no estimate where no response was edited so."""
    measured = [edit for edit in edits if any(shift.edit == edit for shift in shifts)]
    x = np.array([[shift.changes[edit] for edit in measured] for shift in shifts], dtype=float)
    y = np.array([shift.logit for shift in shifts])
    per_unit = coefficients(linear, x, y, [shift.prompt_id for shift in shifts]) if measured else ()
    found = dict(zip(measured, per_unit, strict=True))
    return tuple(_effect(edit, [one for one in shifts if one.edit == edit], found.get(edit)) for edit in edits)


def _effect(edit: Shortcut, shifts: Sequence[Shift], per_unit: Estimate | None) -> Effect:
    prompts = [shift.prompt_id for shift in shifts]
    logits = np.array([shift.logit for shift in shifts])
    counts = {"n": len(shifts), "prompts": len(set(prompts))}
    mean = coefficients(linear, np.ones((len(shifts), 1)), logits, prompts)[0] if shifts else Estimate(value=None)
    return Effect(
        edit=edit,
        change=mean,
        effect=(per_unit or Estimate(value=None)).model_copy(update=counts),
        moved=len({shift.prompt_id for shift in shifts if abs(shift.logit) >= TIE_LOGIT}),
    )


def paired_change(before: Matchup, after: Matchup, rule: Rule) -> float | None:
    """Return the change of the log-odds that a is better, over what could be read in both; None where nothing could.

    With levels, of the highest one that could be read: the level whose mean comes first in a label.
    """
    was, now = rule.read(before), rule.read(after)
    changes = {
        principle: change
        for principle in was
        if (change := _change_under(was[principle], now.get(principle, ()), rule)) is not None
    }
    if not changes:
        return None
    levels = {principle: rule.priorities.get(principle, 1) for principle in changes}
    top = min(levels.values())
    counted = [one for one in changes if rule.strategy == "weighted" or levels[one] == top]
    return weighted_mean([(rule.weight(principle), changes[principle]) for principle in counted])


def _change_under(was: Sequence[PrincipleLogit], now: Sequence[PrincipleLogit], rule: Rule) -> float | None:
    """Return the change under one principle: the weighted mean over the judges that could be read both times."""
    after = {one.judge: one.logit for one in now}
    weights = rule.judge_weights
    return weighted_mean(
        [(weights.get(one.judge, 1.0), after[one.judge] - one.logit) for one in was if one.judge in after]
    )
