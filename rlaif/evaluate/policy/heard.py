"""All that was asked and answered, and what both models have in common of it.

A question that failed for either model is left out for both, so that every difference is one of pairs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from rlaif.evaluate.policy.asking import Said, Scored, Spoken
from rlaif.evaluate.policy.duels import WinRates
from rlaif.evaluate.policy.lines import SIDES, Side
from rlaif.evaluate.policy.opinions import Place, Reading
from rlaif.evaluate.policy.plan import Kind, PolicyTest
from rlaif.executor import Failed
from rlaif.records import Prompt

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True)
class CriticSaid:
    """All that the critic said."""

    name: str
    """It is served under."""
    bouts: Sequence[WinRates]
    readings: Mapping[Place, Reading | Failed]
    """Of answers to harmless and harmful requests; empty where no second opinion was asked for."""


@dataclass(frozen=True)
class Heard:
    """All that was asked and answered."""

    base: Said
    tuned: Said
    critic: CriticSaid
    own: Mapping[str, Scored | Failed]
    """The tuned model's first answers, scored by itself; by prompt id."""
    by_base: Mapping[str, Scored | Failed]
    """The same, scored by the base."""
    unscored: str | None
    """Why those scores are missing."""

    def said(self, side: Side) -> Said:
        """Return what one model said."""
        return self.base if side == "base" else self.tuned

    @property
    def both(self) -> dict[Side, Said]:
        """What both models said."""
        return {side: self.said(side) for side in SIDES}


def answered(test: PolicyTest, heard: Heard, kind: Kind) -> Iterator[tuple[Prompt, dict[Side, Spoken]]]:
    """Yield the questions of a kind that both models answered, with both models' answers."""
    for place, prompt in test.questions():
        both = in_common(heard.base.spoken, heard.tuned.spoken, place) if place[0] == kind else None
        if both is not None:
            yield prompt, both


def in_common(
    base: Mapping[Key, Value | Failed], tuned: Mapping[Key, Value | Failed], key: Key
) -> dict[Side, Value] | None:
    """Return what both models have under a key; None where either has nothing."""
    one, other = base.get(key), tuned.get(key)
    if one is None or other is None or isinstance(one, Failed) or isinstance(other, Failed):
        return None
    return {"base": one, "tuned": other}


def failures(said: Said) -> list[Failed]:
    """Return the questions to one model that failed for good."""
    kinds: tuple[Mapping[Any, object], ...] = (said.spoken, said.picked, said.scored)
    return [one for found in kinds for one in found.values() if isinstance(one, Failed)]
