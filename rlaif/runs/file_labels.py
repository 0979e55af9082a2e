"""Compare the labels that a file brings with what the critic decides.

labels = agrees + flips + abstains (by reason) + not compared + not judged; ties in the file are counted apart

A label is one pair of responses of a row of which the file says that one is better. What the critic decides of it is
what a pair of the run would be: the same thresholds, corrections and posterior. How likely a label is wrong follows
from the critic's probability and from how reliable the file's labels are, as far as the critic shows that; who is
right, only people can tell.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from rlaif.preferences.judgement import Rule
from rlaif.preferences.label_noise import LabelNoise, fit_label_noise
from rlaif.preferences.pairs import Decided, decisions
from rlaif.preferences.recalibration import Correction
from rlaif.records import GivenResponse, Message, Probability, Prompt, Record, Trace, preference
from rlaif.runs.given import GivenFile
from rlaif.stats.estimates import Estimate, Tally, tallies_of
from rlaif.steps.given import response_id

LABELS = "labels.jsonl"
"""File in the run directory: what the critic says of every label of the file, in the file's order."""
FLIPS = "flips.jsonl"
"""File in the run directory: the labels that the critic flips, the likeliest wrong ones first."""

Outcome = Literal["agrees", "flips", "abstains", "not compared", "not judged"]
By = Literal["chosen", "label", "score"]


class JudgedLabel(Record):
    """One label of a file, and what the critic says of it."""

    row: str | None
    prompt_id: str
    by: By
    """What the label was read from (`FileLabel`)."""
    better: str
    """Id of the response that the file prefers."""
    worse: str
    better_model: str | None
    worse_model: str | None
    outcome: Outcome
    """`not compared`: one of the two is not a candidate, or the design left this matchup out. `not judged`: the row
    failed, or was not reached."""
    why: str | None = None
    """Why the critic abstains."""
    p_critic: Probability | None = None
    """Probability that the label is right, according to the critic alone (its `p_chosen`, or 1 minus that); None where
    it does not decide."""
    p_wrong: Probability | None = None
    """Probability that the label is wrong, given the critic's probability and how reliable the file's labels are
    (`preferences/label_noise.py`); None where the critic does not decide."""


class FlippedLabel(JudgedLabel):
    """A label that the critic flips, with its texts."""

    prompt: tuple[Message, ...]
    better_text: str
    worse_text: str


class LabelAgreement(Record):
    """The labels of a file against what the critic decides; intervals are over prompts."""

    labels: int
    ties: int
    """Pairs that the file calls equal; not among the labels."""
    agrees: int
    flips: int
    abstained: dict[str, int]
    """By reason."""
    not_compared: int
    not_judged: int
    agreement: Estimate
    """Share of the labels with which the critic agrees, of those that it decides."""
    decided: Estimate
    """Share of the compared labels that the critic decides."""
    reliability: Estimate
    """Probability that a label of the file is right, if the critic's probabilities are."""
    likely_wrong: int
    """Labels that are wrong with a probability above one half."""


class GivenSummary(Record):
    """The file of a run's responses, and the critic's agreement with its labels."""

    file: GivenFile
    agreement: LabelAgreement | None
    """None where the file has no labels."""


def better_worse_of(responses: Sequence[GivenResponse]) -> tuple[list[tuple[int, int]], int]:
    """Return the places of (better, worse) for every label of a row, and the number of its ties."""
    found, ties = [], 0
    for (i, one), (j, other) in combinations(enumerate(responses), 2):
        match preference(one.label, other.label):
            case 0:
                ties += 1
            case 1:
                found.append((i, j))
            case -1:
                found.append((j, i))
    return found, ties


@dataclass(frozen=True)
class LabelledRow:
    """The labels of one row, judged."""

    conversation: str
    labels: tuple[JudgedLabel, ...]
    ties: int


def judge_labels(prompt: Prompt, trace: Trace | None, rule: Rule, correction: Correction) -> LabelledRow:
    """Return the labels of one row with what the critic decides of them; `trace` is None for an unfinished row."""
    given = prompt.given or ()
    labels, ties = better_worse_of(given)
    decided = decisions(trace, rule, correction) if labels and trace is not None else None
    return LabelledRow(
        conversation=prompt.conversation,
        labels=tuple(_judged_label(prompt, given, places, decided) for places in labels),
        ties=ties,
    )


def _judged_label(
    prompt: Prompt,
    given: Sequence[GivenResponse],
    places: tuple[int, int],
    decided: Mapping[frozenset[str], Decided | str] | None,
) -> JudgedLabel:
    better, worse = places
    ids = response_id(better), response_id(worse)
    label = given[better].label
    assert label is not None
    outcome, why, p_critic = _outcome(None if decided is None else decided.get(frozenset(ids)), ids[0])
    return JudgedLabel(
        row=prompt.row,
        prompt_id=prompt.id,
        by=label.by,
        better=ids[0],
        worse=ids[1],
        better_model=given[better].model,
        worse_model=given[worse].model,
        outcome="not judged" if decided is None else outcome,
        why=why,
        p_critic=p_critic,
    )


def _outcome(decided: Decided | str | None, better: str) -> tuple[Outcome, str | None, float | None]:
    """Return (outcome, why the critic abstains, the critic's probability that the label is right)."""
    if decided is None:
        return "not compared", None, None
    if isinstance(decided, str):
        return "abstains", decided, None
    return ("agrees", None, decided.p) if decided.winner == better else ("flips", None, 1 - decided.p)


def with_p_wrong(rows: Sequence[LabelledRow]) -> tuple[list[LabelledRow], LabelNoise | None]:
    """Return the rows with `p_wrong`, and the reliability of the file's labels that it comes from."""
    decided = [(row.conversation, one) for row in rows for one in row.labels if one.p_critic is not None]
    qs = [one.p_critic or 0.0 for _, one in decided]
    noise = fit_label_noise(qs, [conversation for conversation, _ in decided])
    ps = iter(noise.p_wrong(qs) if noise else ())

    def judged(one: JudgedLabel) -> JudgedLabel:
        return one if one.p_critic is None else one.model_copy(update={"p_wrong": next(ps)})

    return [replace(row, labels=tuple(judged(one) for one in row.labels)) for row in rows], noise


def agreement_of(rows: Sequence[LabelledRow], noise: LabelNoise | None) -> LabelAgreement | None:
    """Return the agreement over all rows; None where no two responses have a label or a tie."""
    outcomes, reasons, ties = Counter[Outcome](), Counter[str](), 0
    tallies = []
    for row in rows:
        found = Counter(one.outcome for one in row.labels)
        ties += row.ties
        outcomes += found
        reasons.update(one.why for one in row.labels if one.why is not None)
        decided = found["agrees"] + found["flips"]
        counts = {"agrees": found["agrees"], "decided": decided, "compared": decided + found["abstains"]}
        tallies.append((row.conversation, Tally(counts)))
    if not outcomes and not ties:
        return None
    by_prompt = tallies_of(tallies)
    return LabelAgreement(
        labels=outcomes.total(),
        ties=ties,
        agrees=outcomes["agrees"],
        flips=outcomes["flips"],
        abstained=dict(reasons),
        not_compared=outcomes["not compared"],
        not_judged=outcomes["not judged"],
        agreement=by_prompt.ratio("agrees", "decided"),
        decided=by_prompt.ratio("decided", "compared"),
        reliability=noise.reliability if noise else Estimate(value=None),
        likely_wrong=sum((one.p_wrong or 0) > 0.5 for row in rows for one in row.labels),
    )


def flips_of(rows: Iterable[LabelledRow]) -> list[JudgedLabel]:
    """Return the labels that the critic flips, with the largest probability of being wrong first."""
    flips = [one for row in rows for one in row.labels if one.outcome == "flips"]
    return sorted(flips, key=lambda one: -(one.p_wrong or 0))


def with_texts(one: JudgedLabel, prompt: Prompt) -> FlippedLabel:
    """Return a label of a prompt's row with its texts."""
    texts = {response_id(place): given.text for place, given in enumerate(prompt.given or ())}
    return FlippedLabel(
        **one.model_dump(), prompt=prompt.messages, better_text=texts[one.better], worse_text=texts[one.worse]
    )
