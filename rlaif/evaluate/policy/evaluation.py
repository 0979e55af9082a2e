"""From what both models said to the whole evaluation: all lines, who won, what to know before reading them."""

from collections.abc import Mapping, Sequence

from rlaif.config.judging import JudgingConfig
from rlaif.config.run import SamplingConfig
from rlaif.evaluate.policy.asking import Spoken
from rlaif.evaluate.policy.cautions import cautions
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
from rlaif.evaluate.policy.examples import Example, examples_of
from rlaif.evaluate.policy.heard import Heard, answered, failures, in_common
from rlaif.evaluate.policy.lines import SIDES, Line, Side, not_measured, paired
from rlaif.evaluate.policy.manner import manner_lines, tally_manner
from rlaif.evaluate.policy.opinions import Agreement, agreement, opinion_lines
from rlaif.evaluate.policy.phrases import Phrases, phrases
from rlaif.evaluate.policy.plan import Kind, PolicyTest
from rlaif.evaluate.policy.probing import claim_lines, harmful_lines, harmless_lines
from rlaif.evaluate.policy.wins import WinMetrics, win_lines, win_metrics
from rlaif.records import Prompt, Record
from rlaif.seeds import content_hash
from rlaif.stats.estimates import Bootstrap


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
    wins: tuple[WinMetrics, ...]
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
    prompts = list(answered(test, heard, "prompt"))
    wins = tuple(win_metrics(bout) for bout in heard.critic.bouts)
    picked = [in_common(heard.base.picked, heard.tuned.picked, one.id) for one in test.probes.questions]
    choices = bootstrap_of_choices([one for one in picked if one is not None])
    failed: dict[Side, int] = {side: len(failures(heard.said(side))) for side in SIDES}
    return PolicyEvaluation(
        base=ModelNames(name=heard.base.name, identity=heard.base.identity),
        tuned=ModelNames(name=heard.tuned.name, identity=heard.tuned.identity),
        critic=heard.critic.name,
        source=test.source,
        prompts=len(prompts),
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
            *manner_lines(_manners(prompts)),
            *_knowledge_lines(test, heard, choice_lines(choices)),
            *_drift_lines(test, heard),
        ),
        wins=wins,
        agreement=agreement(test, heard.both, heard.critic.readings) if test.second_opinion else None,
        phrases=phrases({side: both[side].texts for side in SIDES} for _, both in prompts),
        reliability={side: reliability_of(choices, side) for side in SIDES},
        examples=tuple(examples_of(test, lambda kind: list(answered(test, heard, kind)))),
        warnings=tuple(cautions(test, heard, wins, len(prompts))),
    )


def _probe_lines(test: PolicyTest, heard: Heard) -> list[Line]:
    plain = {prompt.id: both for prompt, both in answered(test, heard, "plain")}
    claimed = {prompt.id: both for prompt, both in answered(test, heard, "claimed")}
    claims = [
        (one, plain[one.id], claimed[one.id]) for one in test.probes.claims if one.id in plain and one.id in claimed
    ]
    return [
        *harmless_lines(list(answered(test, heard, "harmless"))),
        *harmful_lines(list(answered(test, heard, "harmful"))),
        *(opinion_lines(test, heard.critic.readings) if test.second_opinion else ()),
        *claim_lines(claims),
    ]


def _manners(asked: Sequence[tuple[Prompt, Mapping[Side, Spoken]]]) -> Bootstrap:
    return paired(
        [{side: tally_manner(prompt.messages[-1].content, both[side]) for side in SIDES} for prompt, both in asked]
    )


def _knowledge_lines(test: PolicyTest, heard: Heard, lines: list[Line]) -> list[Line]:
    why = next((said.unable["picked"] for said in (heard.base, heard.tuned) if "picked" in said.unable), None)
    return lines if why is None or not test.probes.questions else [not_measured(ACCURACY, why)]


def _drift_lines(test: PolicyTest, heard: Heard) -> list[Line]:
    why = next((said.unable["scored"] for said in (heard.base, heard.tuned) if "scored" in said.unable), None)
    if why is not None:
        return [not_measured(PERPLEXITY, why), not_measured(DIVERGENCE, why)]
    texts = [in_common(heard.base.scored, heard.tuned.scored, text.id) for text in test.probes.texts]
    read = [both for both in texts if both is not None]
    answers = [in_common(heard.by_base, heard.own, name) for name in heard.own]
    scored = [both for both in answers if both is not None]
    if heard.unscored is not None:
        return [*surprise_lines(read), not_measured(DIVERGENCE, heard.unscored)]
    if not same_tokens(read):
        return [*surprise_lines(read), not_measured(DIVERGENCE, OTHER_TOKENS)]
    return [*surprise_lines(read), *divergence_lines(scored)]


def _probes(test: PolicyTest, heard: Heard) -> dict[str, int]:
    kinds: tuple[Kind, ...] = ("harmless", "harmful", "plain", "claimed")
    texts = sum(in_common(heard.base.scored, heard.tuned.scored, one.id) is not None for one in test.probes.texts)
    questions = sum(
        in_common(heard.base.picked, heard.tuned.picked, one.id) is not None for one in test.probes.questions
    )
    counts = {str(kind): sum(1 for _ in answered(test, heard, kind)) for kind in kinds}
    return counts | {"questions": questions, "texts": texts}
