"""What is to be asked of whom, and what is not asked because a model was trained on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from rlaif.config.judging import JudgingConfig
from rlaif.config.run import SamplingConfig
from rlaif.constitution.schema import Constitution
from rlaif.evaluate.policy.held_out import TrainedOn
from rlaif.evaluate.policy.probes import Claim, Probes
from rlaif.models.config import ModelConfig
from rlaif.records import Message, Prompt
from rlaif.templates import Templates

Kind = Literal["prompt", "harmless", "harmful", "plain", "claimed"]
"""What a question is for; `plain` and `claimed` are the two forms of a claim's question."""
Place = tuple[Kind, str]
"""A question's kind and id: what an answer is found under."""


@dataclass(frozen=True)
class PolicyTest:
    """A whole evaluation, before anything is asked."""

    base: ModelConfig
    tuned: ModelConfig
    critic: ModelConfig
    prompts: tuple[Prompt, ...]
    source: str
    """Where the prompts come from."""
    probes: Probes
    constitutions: tuple[Constitution, ...]
    """The first is the one that the policy was trained under, as far as anybody says so."""
    sampling: SamplingConfig
    judging: JudgingConfig
    templates: Templates
    cache: Path
    logs: Path
    seed: int = 0
    second_opinion: bool = False
    """Whether the critic reads the answers to harmless and harmful requests, beside the rules."""
    dropped: tuple[str, ...] = field(default=())
    """Ids of what was left out because it stands in what a model was trained on."""

    def questions(self) -> Iterator[tuple[Place, Prompt]]:
        """Yield every question that is answered in words, with the place its answers are found under."""
        yield from ((("prompt", prompt.id), prompt) for prompt in self.prompts)
        yield from ((("harmless", prompt.id), prompt) for prompt in self.probes.harmless)
        yield from ((("harmful", prompt.id), prompt) for prompt in self.probes.harmful)
        yield from ((("plain", claim.id), _asked(claim, claim.plain)) for claim in self.probes.claims)
        yield from ((("claimed", claim.id), _asked(claim, claim.claimed)) for claim in self.probes.claims)


def without_trained_on(test: PolicyTest, sources: Sequence[Path]) -> PolicyTest:
    """Return the test without what stands in these training sets; `dropped` names it."""
    if not sources:
        return test
    known = TrainedOn(sources)
    prompts = set(known.among(test.prompts))
    probes = test.probes
    harmless, harmful = set(known.among(probes.harmless)), set(known.among(probes.harmful))
    claims = {claim.id for claim in probes.claims if known.holds(claim.plain) or known.holds(claim.claimed)}
    questions = {question.id for question in probes.questions if known.holds(question.question)}
    texts = {text.id for text in probes.texts if known.holds(text.text)}
    return replace(
        test,
        prompts=tuple(one for one in test.prompts if one.id not in prompts),
        probes=Probes(
            harmless=tuple(one for one in probes.harmless if one.id not in harmless),
            harmful=tuple(one for one in probes.harmful if one.id not in harmful),
            claims=tuple(one for one in probes.claims if one.id not in claims),
            questions=tuple(one for one in probes.questions if one.id not in questions),
            texts=tuple(one for one in probes.texts if one.id not in texts),
        ),
        dropped=tuple(sorted([*prompts, *harmless, *harmful, *claims, *questions, *texts])),
    )


def _asked(claim: Claim, text: str) -> Prompt:
    return Prompt(id=claim.id, messages=(Message(role="user", content=text),))
