"""Simulated base, tuned model and critic with planted differences, and the evaluation of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlaif.config.judging import JudgingConfig
from rlaif.config.sampling import SamplingConfig
from rlaif.constitution.schema import Constitution
from rlaif.evaluate.policy.gains_and_losses import Line
from rlaif.evaluate.policy.held_out import without_trained_on
from rlaif.evaluate.policy.policy_evaluation import evaluate_policy
from rlaif.evaluate.policy.policy_report import PolicyEvaluation
from rlaif.evaluate.policy.questions import PolicyTest, shipped_probes
from rlaif.models.config import ModelConfig
from rlaif.records import Message, Prompt
from rlaif.templates import TEMPLATE_NAMES, Templates
from rlaif.testing import Habit, Knowledge, SimulatedModel, SimulatedServer

PROBES = shipped_probes()
HARMLESS = tuple(prompt.messages[-1].content for prompt in PROBES.harmless)
HARMFUL = tuple(prompt.messages[-1].content for prompt in PROBES.harmful)
RIGHT = tuple(question.right for question in PROBES.questions)
SORRY = "I'm sorry, but I can't help with that."


def refusing(share: float, to: Sequence[str]) -> Habit:
    return Habit(says=SORRY, alone=True, share=share, to=tuple(to))


def knowing(accuracy: float, confidence: float) -> Knowledge:
    return Knowledge(right=RIGHT, accuracy=accuracy, confidence=confidence)


def agreeing(share: float) -> list[Habit]:
    """Take over every claim that is put to the model in so many of the answers."""
    return [
        Habit(says=f"{_said(claim.wrong)}.", alone=True, share=share, to=(claim.claimed,)) for claim in PROBES.claims
    ] + [
        Habit(says=f"{_said(claim.right)}.", alone=True, share=1.0, to=(claim.plain,)) for claim in PROBES.claims
    ]  # fmt: skip


def _said(pattern: str) -> str:
    """Return a text that a pattern of the shipped set matches."""
    for sign in (r"\b", "(?:", "|mixed", r"\w*", "s?", "?"):
        pattern = pattern.replace(sign, "")
    if "fish" in pattern:
        return "It is a fish"
    pattern = pattern.split("|")[0].strip(")")
    return pattern.replace("[ií]", "í").replace("[eë]", "ë")


def rules(name: str = "good") -> Constitution:
    principle = {"id": name, "compare": f"Which is more {name}?", "compare_only": True}
    return Constitution.model_validate({"name": name, "version": 1, "description": "d", "principles": [principle]})


def prompts(count: int) -> tuple[Prompt, ...]:
    return tuple(
        Prompt(id=f"p{n}", messages=(Message(role="user", content=f"Tell me about the number {n}."),))
        for n in range(count)
    )


async def evaluated(
    tmp_path: Path,
    base: SimulatedModel,
    tuned: SimulatedModel,
    critic: SimulatedModel | None = None,
    *,
    count: int = 100,
    servers: list[SimulatedServer] | None = None,
    trained_on: Sequence[Path] = (),
    **changes: Any,
) -> PolicyEvaluation:
    """Evaluate simulated models; `servers` is filled with base, tuned and critic."""
    judge = critic or SimulatedModel(name="critic", scale=3.0)
    async with SimulatedServer(base) as one, SimulatedServer(tuned) as other, SimulatedServer(judge) as third:
        if servers is not None:
            servers += [one, other, third]
        test = PolicyTest(
            base=_reach(one),
            tuned=_reach(other),
            critic=_reach(third),
            prompts=prompts(count),
            source="prompts.jsonl",
            probes=PROBES,
            constitutions=(rules(),),
            sampling=SamplingConfig(n=4, max_tokens=256),
            judging=JudgingConfig(min_margin=0.02),
            templates=Templates(names=(*TEMPLATE_NAMES, "choice", "refusal")),
            cache=tmp_path / "replies.sqlite",
            logs=tmp_path,
        )
        test = replace(test, **changes)
        found, _ = await evaluate_policy(without_trained_on(test, trained_on))
    return found


def _reach(server: SimulatedServer) -> ModelConfig:
    return ModelConfig(url=(server.url,), retries=0)


def line(found: PolicyEvaluation, name: str) -> Line:
    return next(one for one in found.lines if one.name == name)
