"""The rows of a run's datasets: one class for each table, one field for each column.

A column is declared once, here: the field's type becomes the Arrow type, and the text beneath it the line on the
dataset card (`rlaif/datasets/columns.py`).
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import ConfigDict

from rlaif.preferences.pairs import Conclusion, Pair
from rlaif.records import Message, Probability, Record, Trace
from rlaif.seeds import content_hash


class Row(Record):
    """One row of a table; every class of rows has a `prompt_id`, by which the splits are made."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class PrincipleProbability(Record):
    """The probability of a pair under one principle."""

    id: str
    p: Probability


class PairRow(Row):
    """The columns that a DPO trainer takes."""

    prompt: tuple[Message, ...]
    """The conversation that was answered; it ends with a turn of the user."""
    chosen: tuple[Message, ...]
    """The better response, as one turn of the assistant."""
    rejected: tuple[Message, ...]
    """The worse response, as one turn of the assistant."""


class PreferenceRow(PairRow):
    """One preference pair."""

    p_chosen: Probability
    """Probability that `chosen` is the better response under the constitution, as this critic judges, both orders
    averaged; use it as a soft label."""
    p_raw: Probability
    """The same before any correction for length or overconfidence; equal to `p_chosen` where nothing was corrected."""
    p_margin: float
    """`p_chosen` - 0.5: the distance from a tie, above 0 and at most 0.5. Not called `margin`: trainers of reward
    models read log-odds from such a column."""
    score_chosen: float
    """Strength of the chosen response among the prompt's candidates, from all their matchups (Bradley-Terry), in logits
    above their mean."""
    score_rejected: float
    """The same of the rejected response."""
    score_chosen_se: float | None
    """Standard error of `score_chosen`, in logits; empty where there are too few matchups to estimate it."""
    score_rejected_se: float | None
    """Standard error of `score_rejected`, in logits."""
    chosen_origin: Literal["sample", "revision"]
    """Whether the policy sampled the chosen response or the critic revised it."""
    rejected_origin: Literal["sample", "revision"]
    """The same of the rejected response."""
    chosen_model: str
    """The model that wrote the chosen response."""
    rejected_model: str
    """The model that wrote the rejected response."""
    chosen_id: str
    """Id of the chosen response in the prompt's trace."""
    rejected_id: str
    """Id of the rejected response in the prompt's trace."""
    prompt_id: str
    """Id of the prompt; `rlaif show RUN PROMPT_ID` shows its whole trace."""
    tags: list[str]
    """The prompt's tags."""
    principles: list[PrincipleProbability]
    """For each principle that gave a verdict, the probability `p` that `chosen` is better under it alone (0.98 or 0.02
    where a program decides, 0.5 where it finds both responses alike)."""
    position_bias: float | None
    """Log-odds that the critic gave to the response shown first, on this pair; empty where no judge was asked."""
    label_mass: float | None
    """Mean probability that the critic put on the two labels together, on this pair; low means that it did not answer
    the question."""
    order_agreement: float | None
    """Share of this pair's verdicts that both orders agree on."""
    sd_principles: float | None
    """Weighted standard deviation of the principles' log-odds; empty with fewer than two."""
    sd_judges: float | None
    """Standard deviation of several judges' log-odds within a principle, averaged over principles."""
    sd_orders: float | None
    """Half the difference between the two orders' log-odds beyond the constant position bias; empty with one order."""
    objecting: list[str]
    """Principles that by themselves would have chosen the other response: the conflict within the constitution."""
    critic: str
    """The models that judged."""
    constitution: str
    """Name of the constitution."""
    constitution_hash: str
    """Content hash of the constitution."""


class RevisionRow(Row):
    """One revision, for supervised fine-tuning."""

    prompt: tuple[Message, ...]
    """The conversation that was answered; it ends with a turn of the user."""
    completion: tuple[Message, ...]
    """The revision, as one turn of the assistant."""
    p_better: float | None
    """Probability that the revision is better than the response it goes back to; empty where the two were not
    compared."""
    score: float | None
    """Strength of the revision among the prompt's candidates (Bradley-Terry), in logits above their mean; empty where
    it was compared with nothing."""
    score_se: float | None
    """Standard error of `score`, in logits."""
    revised: str
    """The response that was revised."""
    critique: str
    """The critique that the revision follows."""
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
    """What all rows of a run have in common."""

    critic: str
    constitution: str
    constitution_hash: str


Concluded = Iterable[tuple[Trace, Conclusion]]


def preference_rows(concluded: Concluded, provenance: Provenance) -> Iterator[PreferenceRow]:
    """Yield the pairs of traces in their order."""
    for trace, conclusion in concluded:
        for pair in conclusion.pairs:
            yield _preference_row(provenance, trace, pair)


def revision_rows(concluded: Concluded, provenance: Provenance) -> Iterator[RevisionRow]:
    """Yield the last revision of every sample that is neither empty nor the same as another response."""
    for trace, conclusion in concluded:
        left_out = {dropped.response for dropped in trace.dropped}
        revised = {r.parent for r in trace.responses if r.parent is not None and r.id not in left_out}
        for response in trace.responses:
            if response.origin == "revision" and response.id not in left_out | revised:
                yield _revision_row(provenance, trace, conclusion, response.id)


def split_of(prompt_id: str, test_fraction: float) -> Literal["train", "test"]:
    """Return the split of a prompt; it depends on its id alone, so that no run's test leaks into another's train."""
    return "test" if int(content_hash("split", prompt_id, digits=8), 16) / 2**32 < test_fraction else "train"


def response_turn(text: str) -> tuple[Message, ...]:
    """Return a response as the assistant's one turn."""
    return (Message(role="assistant", content=text),)


def _preference_row(provenance: Provenance, trace: Trace, pair: Pair) -> PreferenceRow:
    chosen, rejected = trace.response(pair.chosen), trace.response(pair.rejected)
    columns = PreferenceRow.model_fields
    by_name = {name: value for name, value in [*pair, *provenance] if name in columns}
    return PreferenceRow.model_validate(
        by_name
        | {
            "prompt": trace.prompt.messages,
            "chosen": response_turn(chosen.text),
            "rejected": response_turn(rejected.text),
            "p_margin": pair.margin,
            "chosen_origin": chosen.origin,
            "rejected_origin": rejected.origin,
            "chosen_model": chosen.model,
            "rejected_model": rejected.model,
            "chosen_id": chosen.id,
            "rejected_id": rejected.id,
            "tags": list(trace.prompt.tags),
            "principles": [PrincipleProbability(id=name, p=p) for name, p in pair.principles.items()],
            "objecting": list(pair.objecting),
        }
    )


def _revision_row(provenance: Provenance, trace: Trace, conclusion: Conclusion, response_id: str) -> RevisionRow:
    response = trace.response(response_id)
    assert response.parent is not None
    parent = trace.response(response.parent)
    critique = next(c for c in trace.critiques if c.of == parent.id)
    compared = trace.ancestors({r.id for r in trace.candidates()}).get(response.id)
    strength = conclusion.strengths.get(response.id)
    met = (j for j in conclusion.judgements if {j.a, j.b} == {response.id, compared})
    return RevisionRow(
        prompt=trace.prompt.messages,
        completion=response_turn(response.text),
        p_better=next((j.p_of(response.id) for j in met), None),
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
