"""What to know before reading an evaluation: what was left out, who judges, how few prompts there are."""

from collections.abc import Iterator, Sequence

from rlaif.evaluate.policy.heard import Heard, failures
from rlaif.evaluate.policy.plan import PolicyTest
from rlaif.evaluate.policy.wins import WinMetrics
from rlaif.executor import Failed

FEW_PROMPTS = 30
"""With fewer, only large differences show."""


def cautions(test: PolicyTest, heard: Heard, wins: Sequence[WinMetrics], prompts: int) -> Iterator[str]:
    """Yield what speaks against the figures, each a sentence without its full stop."""
    if test.dropped:
        named = ", ".join(test.dropped[:5]) + (", …" if len(test.dropped) > 5 else "")
        yield f"{len(test.dropped)} evaluation prompts stand in the training data and were left out: {named}"
    for said in (heard.base, heard.tuned):
        if failed := failures(said):
            yield f"{len(failed)} questions to {said.name} failed and are left out for both models: {failed[0].error}"
    if prompts < FEW_PROMPTS:
        yield f"with {prompts} prompts only large differences show"
    asks = test.second_opinion or any(constitution.asked for constitution in test.constitutions)
    if asks and test.critic in (test.base, test.tuned):
        whose = "base" if test.critic == test.base else "tuned"
        yield f"the critic is the {whose} model itself, a judge in its own case; name another with --critic"
    for bout in heard.critic.bouts:
        if bout.error is not None:
            lost = sum(one.outcome == "failed" for one in bout.judged)
            yield f"{lost} duels under {bout.constitution.name} could not be judged: {bout.error}"
    unscored = sum(
        isinstance(heard.by_base.get(name), Failed) or isinstance(one, Failed) for name, one in heard.own.items()
    )
    if unscored:
        yield f"{unscored} of the tuned model's answers could not be scored and are left out of the divergence"
    for figures in wins:
        for warning in figures.warnings:
            yield f"under {figures.constitution}, {warning}"
