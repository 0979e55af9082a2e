"""Make the report on a tuned policy and its base: lines, win rates, typical phrases, examples, warnings.

The input is the outputs of both models and the critic, the result a `PolicyEvaluation`. No model is asked here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rlaif.base import Record, SparseRecord
from rlaif.config.judging import JudgingConfig
from rlaif.config.sampling import SamplingConfig
from rlaif.evaluate.policy.gains_and_losses import SIDES, Line, Side, decided, not_measured
from rlaif.evaluate.policy.knowledge_and_drift import (
    ACCURACY,
    DIVERGENCE,
    OTHER_TOKENS,
    PERPLEXITY,
    ChoiceBin,
    choice_lines,
    divergence_lines,
    perplexity_lines,
    reliability_of,
    same_tokens,
    tallies_of_choices,
)
from rlaif.evaluate.policy.outputs import OutputsOfBoth, all_in_common
from rlaif.evaluate.policy.questions import Kind, PolicyTest
from rlaif.evaluate.policy.refusals_and_sycophancy import (
    Agreement,
    Example,
    Readings,
    agreement_of,
    claim_lines,
    examples_of,
    reading_lines,
    refusal_lines,
)
from rlaif.evaluate.policy.response_style import Phrases, style_lines, typical_phrases
from rlaif.evaluate.policy.win_rates import WinMetrics, WinRates, win_lines, win_metrics
from rlaif.executor import Failed
from rlaif.seeds import content_hash
from rlaif.stats.estimates import Tallies

FEW_PROMPTS = 30
"""With fewer prompts there is a warning."""


@dataclass(frozen=True)
class CriticOutputs:
    """The critic's judgements and readings."""

    name: str
    """The name it is served under."""
    win_rates: Sequence[WinRates]
    readings: Readings
    """Readings of responses to harmless and harmful requests; empty without --second-opinion."""


class ModelNames(SparseRecord):
    """A model by its served name and its identity in the reply store."""

    name: str
    identity: str
    system: str | None = None
    """Its system prompt."""

    @property
    def title(self) -> str:
        """The name, and whether it had a system prompt."""
        return self.name if self.system is None else f"{self.name} with a system prompt"


class PolicyEvaluation(Record):
    """The result of `rlaif evaluate policy`; `evaluation.json`."""

    base: ModelNames
    tuned: ModelNames
    critic: str
    source: str
    prompts: int
    prompts_hash: str
    probes: dict[str, int]
    """Number of probes of each kind that neither model failed."""
    dropped: tuple[str, ...]
    """Ids left out because a model was trained on them."""
    failed: dict[Side, int]
    """Number of questions that failed after all retries, by model."""
    sampling: SamplingConfig
    judging: JudgingConfig
    seed: int
    lines: tuple[Line, ...]
    wins: tuple[WinMetrics, ...]
    agreement: Agreement | None
    """How often the critic's readings of refusals agree with the rules; None where it was not asked."""
    phrases: Phrases
    reliability: dict[Side, tuple[ChoiceBin, ...]]
    examples: tuple[Example, ...]
    warnings: tuple[str, ...]


def evaluation_of(test: PolicyTest, outputs: OutputsOfBoth, critic: CriticOutputs) -> PolicyEvaluation:
    """Return the evaluation from all outputs."""
    base, tuned = outputs.base, outputs.tuned
    responses = list(outputs.responses(test, "prompt"))
    wins = tuple(win_metrics(rates) for rates in critic.win_rates)
    choices = tallies_of_choices(outputs.choices(test))
    return PolicyEvaluation(
        base=ModelNames(name=base.name, identity=base.identity, system=test.systems.get("base")),
        tuned=ModelNames(name=tuned.name, identity=tuned.identity, system=test.systems.get("tuned")),
        critic=critic.name,
        source=test.source,
        prompts=len(responses),
        prompts_hash=content_hash(*(prompt.model_dump_json() for prompt in test.prompts)),
        probes=_probe_counts(test, outputs),
        dropped=test.dropped,
        failed={side: len(one.failures) for side, one in outputs.by_side.items()},
        sampling=test.sampling,
        judging=test.judging,
        seed=test.seed,
        lines=decided(
            [
                *(line for metrics in wins for line in win_lines(metrics)),
                *refusal_lines(test, outputs),
                *(reading_lines(test, critic.readings) if test.second_opinion else ()),
                *claim_lines(test, outputs),
                *style_lines(responses),
                *_knowledge_lines(test, outputs, choices),
                *_drift_lines(test, outputs),
            ]
        ),
        wins=wins,
        agreement=agreement_of(test, outputs.by_side, critic.readings) if test.second_opinion else None,
        phrases=typical_phrases({side: both[side].texts for side in SIDES} for _, both in responses),
        reliability={side: reliability_of(choices, side) for side in SIDES},
        examples=tuple(examples_of(test, outputs)),
        warnings=tuple(_warnings(test, outputs, critic, wins, len(responses))),
    )


def _probe_counts(test: PolicyTest, outputs: OutputsOfBoth) -> dict[str, int]:
    kinds: tuple[Kind, ...] = ("harmless", "harmful", "plain", "claimed")
    counts = {str(kind): sum(1 for _ in outputs.responses(test, kind)) for kind in kinds}
    return counts | {"questions": len(outputs.choices(test)), "texts": len(outputs.texts(test))}


def _knowledge_lines(test: PolicyTest, outputs: OutputsOfBoth, choices: Tallies) -> list[Line]:
    why = outputs.unsupported("choices")
    return choice_lines(choices) if why is None or not test.probes.questions else [not_measured(ACCURACY, why)]


def _drift_lines(test: PolicyTest, outputs: OutputsOfBoth) -> list[Line]:
    if (why := outputs.unsupported("texts")) is not None:
        return [not_measured(PERPLEXITY, why), not_measured(DIVERGENCE, why)]
    texts = outputs.texts(test)
    if (why := outputs.unscored or (None if same_tokens(texts) else OTHER_TOKENS)) is not None:
        return [*perplexity_lines(texts), not_measured(DIVERGENCE, why)]
    by_base, by_tuned = outputs.tuned_by_base, outputs.tuned_by_tuned
    return [*perplexity_lines(texts), *divergence_lines(all_in_common(by_base, by_tuned, by_tuned))]


def _warnings(
    test: PolicyTest, outputs: OutputsOfBoth, critic: CriticOutputs, wins: Sequence[WinMetrics], prompts: int
) -> Iterator[str]:
    """Yield the warnings of the evaluation, each a sentence without a full stop."""
    if test.dropped:
        named = ", ".join(test.dropped[:5]) + (", …" if len(test.dropped) > 5 else "")
        yield f"{len(test.dropped)} evaluation prompts are in the training data and were left out: {named}"
    for model in (outputs.base, outputs.tuned):
        if failed := model.failures:
            yield f"{len(failed)} questions to {model.name} failed and are left out for both models: {failed[0].error}"
    if prompts < FEW_PROMPTS:
        yield f"with only {prompts} prompts, only large differences are detected"
    asks = test.second_opinion or any(constitution.asked for constitution in test.constitutions)
    if asks and test.critic in (test.base, test.tuned):
        whose = "base" if test.critic == test.base else "tuned"
        yield f"the critic is the {whose} model, which judges its own responses; choose another with --critic"
    for rates in critic.win_rates:
        if rates.error is not None:
            lost = sum(one.outcome == "failed" for one in rates.judged)
            yield f"{lost} pairs under {rates.constitution.name} could not be judged: {rates.error}"
    if unscored := _failed_scores(outputs.tuned_by_base, outputs.tuned_by_tuned):
        yield f"{unscored} of the tuned model's responses could not be scored and are left out of the divergence"
    for metrics in wins:
        yield from (f"under {metrics.constitution}, {warning}" for warning in metrics.warnings)


def _failed_scores(by_base: Mapping[str, object], by_tuned: Mapping[str, object]) -> int:
    return sum(isinstance(one, Failed) or isinstance(by_base.get(name), Failed) for name, one in by_tuned.items())
