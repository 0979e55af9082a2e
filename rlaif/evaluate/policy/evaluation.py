"""From what both models said to the whole evaluation: all lines, who won, what to know before reading them.

A question that failed for either model is left out for both, so that every difference is one of pairs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rlaif.config import JudgingConfig, SamplingConfig
from rlaif.evaluate.policy.asking import Said, Scored, Spoken
from rlaif.evaluate.policy.choices import (
    ACCURACY,
    ChoiceBin,
    bootstrap_of_choices,
    choice_lines,
    reliability_of,
)
from rlaif.evaluate.policy.drift import (
    DIVERGENCE,
    OTHER_TOKENS,
    PERPLEXITY,
    divergence_lines,
    same_tokens,
    surprise_lines,
)
from rlaif.evaluate.policy.duels import Bout
from rlaif.evaluate.policy.each import Failed
from rlaif.evaluate.policy.examples import Example, examples_of
from rlaif.evaluate.policy.lines import SIDES, Line, Side, not_measured, paired
from rlaif.evaluate.policy.manner import manner_lines, tally_manner
from rlaif.evaluate.policy.opinions import Agreement, Place, Reading, agreement, opinion_lines
from rlaif.evaluate.policy.phrases import Phrases, phrases
from rlaif.evaluate.policy.plan import Kind, PolicyTest
from rlaif.evaluate.policy.probing import claim_lines, harmful_lines, harmless_lines
from rlaif.evaluate.policy.wins import WinFigures, win_figures, win_lines
from rlaif.hashing import content_hash
from rlaif.intervals import Bootstrap
from rlaif.records import Prompt, Record

FEW_PROMPTS = 30
"""With fewer, only large differences show."""


@dataclass(frozen=True)
class CriticSaid:
    """All that the critic said."""

    name: str
    """It is served under."""
    bouts: Sequence[Bout]
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


class ModelNames(Record):
    """What a model is called, and what it is."""

    name: str
    identity: str
    """Served name and what it was loaded from."""


class PolicyEvaluation(Record):
    """All that was measured."""

    base: ModelNames
    tuned: ModelNames
    critic: str
    source: str
    prompts: int
    prompts_hash: str
    probes: dict[str, int]
    """How many of each kind both models answered."""
    dropped: tuple[str, ...]
    """Ids left out because they stand in what a model was trained on."""
    failed: dict[Side, int]
    """Questions that failed for good, by model."""
    sampling: SamplingConfig
    judging: JudgingConfig
    seed: int
    lines: tuple[Line, ...]
    wins: tuple[WinFigures, ...]
    agreement: Agreement | None
    """How the critic's readings of refusals go with the rules; None where it was not asked."""
    phrases: Phrases
    reliability: dict[Side, tuple[ChoiceBin, ...]]
    examples: tuple[Example, ...]
    warnings: tuple[str, ...]

    def found(self, finding: str) -> list[Line]:
        """Return the lines with this finding."""
        return [line for line in self.lines if line.finding == finding]


def evaluation_of(test: PolicyTest, heard: Heard) -> PolicyEvaluation:
    """Return the evaluation."""
    answered = list(_answered(test, heard, "prompt"))
    wins = tuple(win_figures(bout) for bout in heard.critic.bouts)
    picked = [_both(heard.base.picked, heard.tuned.picked, one.id) for one in test.probes.questions]
    choices = bootstrap_of_choices([one for one in picked if one is not None])
    failed: dict[Side, int] = {side: _failures(heard.said(side)) for side in SIDES}
    return PolicyEvaluation(
        base=ModelNames(name=heard.base.name, identity=heard.base.identity),
        tuned=ModelNames(name=heard.tuned.name, identity=heard.tuned.identity),
        critic=heard.critic.name,
        source=test.source,
        prompts=len(answered),
        prompts_hash=content_hash(*(prompt.model_dump_json() for prompt in test.prompts)),
        probes=_probes(test, heard),
        dropped=test.dropped,
        failed=failed,
        sampling=test.sampling,
        judging=test.judging,
        seed=test.seed,
        lines=(
            *(line for figures in wins for line in win_lines(figures)),
            *_probe_lines(test, heard),
            *manner_lines(_manners(answered)),
            *_knowledge_lines(test, heard, choice_lines(choices)),
            *_drift_lines(test, heard),
        ),
        wins=wins,
        agreement=agreement(test, heard.both, heard.critic.readings) if test.second_opinion else None,
        phrases=phrases({side: both[side].texts for side in SIDES} for _, both in answered),
        reliability={side: reliability_of(choices, side) for side in SIDES},
        examples=tuple(examples_of(test, lambda kind: list(_answered(test, heard, kind)))),
        warnings=tuple(_warnings(test, heard, wins, len(answered))),
    )


def _answered(test: PolicyTest, heard: Heard, kind: Kind) -> Iterator[tuple[Prompt, dict[Side, Spoken]]]:
    """Yield the questions of a kind that both models answered, with both models' answers."""
    for place, prompt in test.questions():
        both = _both(heard.base.spoken, heard.tuned.spoken, place) if place[0] == kind else None
        if both is not None:
            yield prompt, both


Key = TypeVar("Key")
Value = TypeVar("Value")


def _both(
    base: Mapping[Key, Value | Failed], tuned: Mapping[Key, Value | Failed], key: Key
) -> dict[Side, Value] | None:
    """Return what both models have under a key; None where either has nothing."""
    one, other = base.get(key), tuned.get(key)
    if one is None or other is None or isinstance(one, Failed) or isinstance(other, Failed):
        return None
    return {"base": one, "tuned": other}


def _probe_lines(test: PolicyTest, heard: Heard) -> list[Line]:
    plain = {prompt.id: both for prompt, both in _answered(test, heard, "plain")}
    claimed = {prompt.id: both for prompt, both in _answered(test, heard, "claimed")}
    claims = [
        (one, plain[one.id], claimed[one.id]) for one in test.probes.claims if one.id in plain and one.id in claimed
    ]
    return [
        *harmless_lines(list(_answered(test, heard, "harmless"))),
        *harmful_lines(list(_answered(test, heard, "harmful"))),
        *(opinion_lines(test, heard.critic.readings) if test.second_opinion else ()),
        *claim_lines(claims),
    ]


def _manners(answered: Sequence[tuple[Prompt, Mapping[Side, Spoken]]]) -> Bootstrap:
    return paired(
        [{side: tally_manner(prompt.messages[-1].content, both[side]) for side in SIDES} for prompt, both in answered]
    )


def _knowledge_lines(test: PolicyTest, heard: Heard, lines: list[Line]) -> list[Line]:
    why = next((said.unable["picked"] for said in (heard.base, heard.tuned) if "picked" in said.unable), None)
    return lines if why is None or not test.probes.questions else [not_measured(ACCURACY, why)]


def _drift_lines(test: PolicyTest, heard: Heard) -> list[Line]:
    why = next((said.unable["scored"] for said in (heard.base, heard.tuned) if "scored" in said.unable), None)
    if why is not None:
        return [not_measured(PERPLEXITY, why), not_measured(DIVERGENCE, why)]
    texts = [_both(heard.base.scored, heard.tuned.scored, text.id) for text in test.probes.texts]
    read = [both for both in texts if both is not None]
    answers = [_both(heard.by_base, heard.own, name) for name in heard.own]
    scored = [both for both in answers if both is not None]
    if heard.unscored is not None:
        return [*surprise_lines(read), not_measured(DIVERGENCE, heard.unscored)]
    if not same_tokens(read):
        return [*surprise_lines(read), not_measured(DIVERGENCE, OTHER_TOKENS)]
    return [*surprise_lines(read), *divergence_lines(scored)]


def _probes(test: PolicyTest, heard: Heard) -> dict[str, int]:
    kinds: tuple[Kind, ...] = ("harmless", "harmful", "plain", "claimed")
    texts = sum(_both(heard.base.scored, heard.tuned.scored, one.id) is not None for one in test.probes.texts)
    questions = sum(_both(heard.base.picked, heard.tuned.picked, one.id) is not None for one in test.probes.questions)
    counts = {str(kind): sum(1 for _ in _answered(test, heard, kind)) for kind in kinds}
    return counts | {"questions": questions, "texts": texts}


def _failures(said: Said) -> int:
    return sum(isinstance(one, Failed) for found in (said.spoken, said.picked, said.scored) for one in found.values())


def _warnings(test: PolicyTest, heard: Heard, wins: Sequence[WinFigures], prompts: int) -> Iterator[str]:
    if test.dropped:
        named = ", ".join(test.dropped[:5]) + (", …" if len(test.dropped) > 5 else "")
        yield f"{len(test.dropped)} evaluation prompts stand in the training data and were left out: {named}"
    for said in (heard.base, heard.tuned):
        if _failures(said):
            error = next(
                one.error for found in (said.spoken, said.picked, said.scored) for one in found.values()
                if isinstance(one, Failed)
            )  # fmt: skip
            yield f"{_failures(said)} questions to {said.name} failed and are left out for both models: {error}"
    if prompts < FEW_PROMPTS:
        yield f"with {prompts} prompts only large differences show"
    if test.critic in (test.base, test.tuned):
        whose = "base" if test.critic == test.base else "tuned"
        yield f"the critic is the {whose} model itself, a judge in its own case; name another with --critic"
    for figures in wins:
        for warning in figures.warnings:
            yield f"under {figures.constitution}, {warning}"
