"""From a run to the rows of its datasets, in TRL's conversational shape plus this project's columns."""

from collections.abc import Iterable, Iterator
from typing import Literal

from rlaif.preferences.pairs import Conclusion, Pair
from rlaif.records import Message, Probability, Record, Trace
from rlaif.seeds import content_hash


class PrincipleProbability(Record):
    """What one principle said about a pair."""

    id: str
    p: Probability


class PreferenceRow(Record):
    """One preference pair. `prompt`, `chosen` and `rejected` are what a DPO trainer takes."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    """The assistant's turn alone."""
    rejected: tuple[Message, ...]
    p_chosen: Probability
    """Probability that `chosen` is the better answer under the constitution, as this critic sees it."""
    p_raw: Probability
    """The same before length and sureness were corrected; p_chosen itself where nothing was."""
    margin: float
    """p_chosen - 0.5."""
    score_chosen: float
    """How strong it is among the prompt's candidates: logits above their mean (Bradley-Terry)."""
    score_rejected: float
    score_chosen_se: float | None
    """Standard error of its score; None where there are too few matchups to tell."""
    score_rejected_se: float | None
    chosen_origin: Literal["sample", "revision"]
    rejected_origin: Literal["sample", "revision"]
    chosen_model: str
    rejected_model: str
    chosen_id: str
    rejected_id: str
    prompt_id: str
    tags: list[str]
    principles: list[PrincipleProbability]
    """For each principle that was read, the probability that `chosen` is the better one."""
    position_bias: float | None
    label_mass: float | None
    order_agreement: float | None
    sd_principles: float | None
    """Standard deviation of the principles' log-odds."""
    sd_judges: float | None
    """The same of several judges within a principle."""
    sd_orders: float | None
    """Half the two orders' disagreement beyond the constant position bias, in log-odds."""
    objecting: list[str]
    """Principles that by themselves would have chosen the other answer: the conflict within the rules."""
    critic: str
    constitution: str
    constitution_hash: str


class RevisionRow(Record):
    """One revision, for supervised fine-tuning."""

    prompt: tuple[Message, ...]
    completion: tuple[Message, ...]
    p_better: float | None
    """Probability that the revision is better than what it goes back to; None where the two were not compared."""
    score: float | None
    """How strong the revision is among the prompt's candidates: logits above their mean; None where it met nobody."""
    score_se: float | None
    revised: str
    """The answer it revises."""
    critique: str
    principles: list[str]
    """The principles drawn for its round."""
    response_id: str
    model: str
    prompt_id: str
    tags: list[str]
    constitution: str
    constitution_hash: str


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
    """Yield the last revision of every sample that is neither empty nor the same as another answer."""
    for trace, conclusion in concluded:
        left_out = {dropped.response for dropped in trace.dropped}
        revised = {r.parent for r in trace.responses if r.parent is not None and r.id not in left_out}
        for response in trace.responses:
            if response.origin == "revision" and response.id not in left_out | revised:
                yield _revision_row(provenance, trace, conclusion, response.id)


def split_of(prompt_id: str, test_fraction: float) -> Literal["train", "test"]:
    """Return the split of a prompt; it depends on its id alone, so that no run's test leaks into another's train."""
    return "test" if int(content_hash("split", prompt_id, digits=8), 16) / 2**32 < test_fraction else "train"


def answer_turn(text: str) -> tuple[Message, ...]:
    """Return an answer as the assistant's one turn."""
    return (Message(role="assistant", content=text),)


def _preference_row(provenance: Provenance, trace: Trace, pair: Pair) -> PreferenceRow:
    chosen, rejected = trace.response(pair.chosen), trace.response(pair.rejected)
    return PreferenceRow(
        prompt=trace.prompt.messages,
        chosen=answer_turn(chosen.text),
        rejected=answer_turn(rejected.text),
        p_chosen=pair.p_chosen,
        p_raw=pair.p_raw,
        margin=pair.margin,
        score_chosen=pair.score_chosen,
        score_rejected=pair.score_rejected,
        score_chosen_se=pair.score_chosen_se,
        score_rejected_se=pair.score_rejected_se,
        chosen_origin=chosen.origin,
        rejected_origin=rejected.origin,
        chosen_model=chosen.model,
        rejected_model=rejected.model,
        chosen_id=pair.chosen,
        rejected_id=pair.rejected,
        prompt_id=pair.prompt_id,
        tags=list(trace.prompt.tags),
        principles=[PrincipleProbability(id=name, p=p) for name, p in pair.principles.items()],
        position_bias=pair.position_bias,
        label_mass=pair.label_mass,
        order_agreement=pair.order_agreement,
        sd_principles=pair.sd_principles,
        sd_judges=pair.sd_judges,
        sd_orders=pair.sd_orders,
        objecting=list(pair.objecting),
        critic=provenance.critic,
        constitution=provenance.constitution,
        constitution_hash=provenance.constitution_hash,
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
        completion=answer_turn(response.text),
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
