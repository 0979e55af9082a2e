"""The rows of a run's datasets: one class for each table, one field for each column.

Each column is declared here only: the field's type becomes the Arrow type, and its docstring the description on the
dataset card (`rlaif/datasets/columns.py`).
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import ConfigDict

from rlaif.judges.satisfies import p_yes
from rlaif.preferences.pairs import Conclusion, Pair
from rlaif.records import Message, Probability, Record, Response, Trace, preference
from rlaif.rubric import RUBRIC, named_items
from rlaif.seeds import content_hash
from rlaif.steps.given import response_id


class Row(Record):
    """One row of a table; every subclass has a `prompt_id`, by which rows are split into train and test."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    tools: str | None = None
    """The tools that the assistant can call, as JSON text; only in datasets where a prompt has tools."""
    conversation: str | None = None
    """Hash of the prompt's turns: several rows may have the same prompt, and they are in the same split. Only in
    datasets of responses that a file brought."""


class PrincipleProbability(Record):
    """The probability of a pair under one principle."""

    id: str
    p: Probability


class RubricResult(Record):
    """What was found of both responses under one item of the prompt's rubric."""

    text: str
    essential: bool
    p_chosen: Probability | None
    """Probability that the chosen response meets it; empty where the critic did not answer Yes or No."""
    p_rejected: Probability | None


class PairRow(Row):
    """The columns that a DPO trainer takes."""

    prompt: tuple[Message, ...]
    """The conversation before the response; it ends with a user's turn."""
    chosen: tuple[Message, ...]
    """The better response, as one turn of the assistant."""
    rejected: tuple[Message, ...]
    """The worse response, as one turn of the assistant."""


class PreferenceRow(PairRow):
    """One preference pair."""

    p_chosen: Probability
    """Probability that `chosen` is the better response under the constitution, according to the judges; use it as a
    soft label."""
    p_chosen_from: Literal["posterior", "matchup", "checks", "people"]
    """`posterior`: `p_chosen` is the posterior probability given all matchups of the prompt and the noise of the
    verdicts over the run. `matchup`: it is that of the pair's own matchup, not calibrated. `checks`: programs decided
    the pair."""
    p_raw: Probability
    """Probability from the pair's own matchup, averaged over both orders, without any correction."""
    subtracted: float | None = None
    """Log-odds in favour of `chosen` that were subtracted from its matchup with `rejected` because the judges give them
    for length or other surface features; empty without such a correction."""
    p_margin: float
    """`p_chosen` - 0.5: the distance from a tie, above 0 and at most 0.5. It is not called `margin`, because trainers
    of reward models expect log-odds in a column of that name."""
    score_chosen: float
    """Strength of the chosen response among the prompt's candidates, from all their matchups (Bradley-Terry), in logits
    above their mean."""
    score_rejected: float
    """Strength of the rejected response, in logits."""
    score_chosen_se: float | None
    """Standard error of `score_chosen`, in logits; empty where there are too few matchups to estimate it."""
    score_rejected_se: float | None
    """Standard error of `score_rejected`, in logits."""
    chosen_origin: Literal["sample", "revision", "given"]
    """`sample`: the policy's own response; `revision`: a response that was rewritten after a critique."""
    rejected_origin: Literal["sample", "revision", "given"]
    """`sample` or `revision`, for the rejected response."""
    chosen_model: str
    """The model that wrote the chosen response."""
    rejected_model: str
    """The model that wrote the rejected response."""
    chosen_policy: str | None = None
    """The policy that wrote the chosen response, by its name in the run file; only in datasets of several policies."""
    rejected_policy: str | None = None
    """The policy that wrote the rejected response."""
    chosen_id: str
    """Id of the chosen response in the prompt's trace."""
    rejected_id: str
    """Id of the rejected response in the prompt's trace."""
    prompt_id: str
    """Id of the prompt; `rlaif show RUN PROMPT_ID` shows its whole trace."""
    tags: list[str]
    """The prompt's tags."""
    principles: list[PrincipleProbability]
    """For each principle with a readable verdict, the probability `p` that `chosen` is better under it alone (0.98 or
    0.02 where a program decides, 0.5 where both responses pass or both fail)."""
    position_bias: float | None
    """Log-odds for the response shown first, as the weighted mean over the principles that decided this pair; empty
    where no judge was asked in both orders."""
    label_mass: float | None
    """Mean probability of the two labels together, over this pair's verdicts; low means that the critic did not answer
    the question."""
    order_agreement: float | None
    """Share of the principles whose two orders name the same response; empty with one order."""
    sd_principles: float | None
    """Weighted standard deviation of the principles' log-odds; empty with fewer than two."""
    sd_judges: float | None
    """Standard deviation of the judges' log-odds under the same principle, averaged over principles."""
    sd_orders: float | None
    """Half the difference of the two orders' log-odds, without the constant position bias; empty with one order."""
    objecting: list[str]
    """Principles under which alone the other response would be chosen: a conflict within the constitution."""
    critic: str
    """Names of the models that judged."""
    constitution: str
    """Name of the constitution."""
    constitution_hash: str
    """Content hash of the constitution."""
    given_label: Literal["chosen", "rejected", "tie"] | None = None
    """The response that the file prefers, by its place here: `rejected` where the judges flip the file's label. Empty
    for two responses without a label; only in datasets of responses that came with labels."""
    rubric: list[RubricResult] | None = None
    """Probabilities that the chosen and the rejected response meet each item of the prompt's rubric; only in datasets
    where a prompt has a rubric."""
    certified: bool | None = None
    """Whether the pair is among those that the run's certificate keeps, of which with high confidence few disagree with
    people's labels (`certificate.json`); empty where the run has no valid certificate."""


class RevisionRow(Row):
    """One revision, for supervised fine-tuning."""

    prompt: tuple[Message, ...]
    """The conversation before the response; it ends with a user's turn."""
    completion: tuple[Message, ...]
    """The revision, as one turn of the assistant."""
    p_better: float | None
    """Probability that the revision is better than the response that it revises (the nearest one that is a candidate);
    empty where the two were not compared."""
    score: float | None
    """Strength of the revision among the prompt's candidates (Bradley-Terry), in logits above their mean; empty where
    it was compared with nothing."""
    score_se: float | None
    """Standard error of `score`, in logits."""
    revised: str
    """The response that was revised."""
    critique: str
    """The critique after which the response was revised."""
    principles: list[str]
    """Ids of the principles drawn for this round of critique and revision."""
    response_id: str
    """Id of the revision in the prompt's trace."""
    model: str
    """The model that wrote the revision."""
    prompt_id: str
    """Id of the prompt; `rlaif show RUN PROMPT_ID` shows its whole trace."""
    tags: list[str]
    """The prompt's tags."""
    constitution: str
    """Name of the constitution."""
    constitution_hash: str
    """Content hash of the constitution."""


class Provenance(Record):
    """What is the same in all rows of a run."""

    critic: str
    constitution: str
    constitution_hash: str
    min_label_mass: float


Concluded = Iterable[tuple[Trace, Conclusion]]


def preference_rows(
    concluded: Concluded, provenance: Provenance, *, reasoning: bool = False
) -> Iterator[PreferenceRow]:
    """Yield one row for each pair, in the order of the traces; with `reasoning`, that of a thinking model is in it."""
    for trace, conclusion in concluded:
        for pair in conclusion.pairs:
            yield _preference_row(provenance, trace, pair, reasoning=reasoning)


def revision_rows(concluded: Concluded, provenance: Provenance, *, reasoning: bool = False) -> Iterator[RevisionRow]:
    """Yield the last revision of every sample that is neither empty nor the same as another response."""
    for trace, conclusion in concluded:
        left_out = {dropped.response for dropped in trace.dropped}
        revised = {r.parent for r in trace.responses if r.parent is not None and r.id not in left_out}
        for response in trace.responses:
            if response.origin == "revision" and response.id not in left_out | revised:
                yield _revision_row(provenance, trace, conclusion, response.id, reasoning=reasoning)


def split_of(prompt_id: str, test_fraction: float) -> Literal["train", "test"]:
    """Return the split of a prompt. It depends on the id alone: a test prompt of one run is never a train prompt of
    another with the same fraction."""
    return "test" if int(content_hash("split", prompt_id, digits=8), 16) / 2**32 < test_fraction else "train"


def response_turn(text: str, reasoning: str | None = None) -> tuple[Message, ...]:
    """Return a response as one turn of the assistant."""
    return (Message(role="assistant", content=text, reasoning_content=reasoning),)


def _preference_row(provenance: Provenance, trace: Trace, pair: Pair, *, reasoning: bool) -> PreferenceRow:
    chosen, rejected = trace.response(pair.chosen), trace.response(pair.rejected)
    columns = PreferenceRow.model_fields
    by_name = {name: value for name, value in [*pair, *provenance] if name in columns}
    return PreferenceRow.model_validate(
        by_name
        | {
            "prompt": trace.prompt.messages,
            "tools": trace.prompt.tools,
            "conversation": None if trace.prompt.given is None else trace.prompt.conversation,
            "given_label": _given_label(trace, chosen, rejected),
            "chosen": response_turn(chosen.text, chosen.reasoning if reasoning else None),
            "rejected": response_turn(rejected.text, rejected.reasoning if reasoning else None),
            "p_margin": pair.margin,
            "chosen_origin": chosen.origin,
            "rejected_origin": rejected.origin,
            "chosen_model": chosen.model,
            "rejected_model": rejected.model,
            "chosen_policy": chosen.policy,
            "rejected_policy": rejected.policy,
            "chosen_id": chosen.id,
            "rejected_id": rejected.id,
            "tags": list(trace.prompt.tags),
            "principles": [PrincipleProbability(id=name, p=p) for name, p in pair.principles.items()],
            "objecting": list(pair.objecting),
            "rubric": _rubric(trace, pair, provenance.min_label_mass),
        }
    )


def _rubric(trace: Trace, pair: Pair, min_label_mass: float) -> list[RubricResult] | None:
    """Return what was found under the prompt's rubric; None where it has none."""
    items = named_items(trace.prompt.rubric)
    if not items:
        return None
    found = {
        (scored.principle, name): p_yes(score, min_label_mass)
        for matchup in trace.matchups
        for scored in matchup.scores
        if scored.judge == RUBRIC
        for name, score in ((matchup.a, scored.a), (matchup.b, scored.b))
    }
    return [
        RubricResult(
            text=item.text,
            essential=item.essential,
            p_chosen=found.get((name, pair.chosen)),
            p_rejected=found.get((name, pair.rejected)),
        )
        for name, item in items.items()
    ]


def _given_label(trace: Trace, chosen: Response, rejected: Response) -> Literal["chosen", "rejected", "tie"] | None:
    """Return which of two responses the file prefers; None for a revision, and where the file has no label."""
    labels = {response_id(place): given.label for place, given in enumerate(trace.prompt.given or ())}
    preferred = preference(labels.get(chosen.id), labels.get(rejected.id))
    return None if preferred is None else {1: "chosen", -1: "rejected", 0: "tie"}[preferred]  # type: ignore[return-value]


def _revision_row(
    provenance: Provenance, trace: Trace, conclusion: Conclusion, response_id: str, *, reasoning: bool
) -> RevisionRow:
    response = trace.response(response_id)
    assert response.parent is not None
    parent = trace.response(response.parent)
    critique = next(c for c in trace.critiques if c.of == parent.id)
    compared = trace.ancestors({r.id for r in trace.candidates()}).get(response.id)
    strength = conclusion.strengths.get(response.id)
    matching = (j for j in conclusion.judgements if {j.a, j.b} == {response.id, compared})
    return RevisionRow(
        prompt=trace.prompt.messages,
        tools=trace.prompt.tools,
        conversation=None if trace.prompt.given is None else trace.prompt.conversation,
        completion=response_turn(response.text, response.reasoning if reasoning else None),
        p_better=next((j.p_of(response.id) for j in matching), None),
        score=strength.value if strength else None,
        score_se=strength.se if strength else None,
        revised=parent.text,
        critique=critique.text,
        principles=list(critique.principles),
        response_id=response.id,
        model=response.model,
        prompt_id=trace.prompt.id,
        tags=list(trace.prompt.tags),
        constitution=provenance.constitution,
        constitution_hash=provenance.constitution_hash,
    )
