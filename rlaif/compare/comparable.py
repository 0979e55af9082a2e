"""Whether runs can be compared, over which prompts, and what else than the rules differs between them."""

from collections.abc import Mapping, Sequence

from rlaif.errors import RunDirectoryError
from rlaif.records import Prompt, Trace
from rlaif.runs.directory import TRACES, changed_settings
from rlaif.runs.reader import Run
from rlaif.runs.store import TraceReader


def refuse_incomparable(runs: dict[str, Run]) -> None:
    """Raise RunDirectoryError where the runs were not asked the same things, or not of the same critic."""
    first_name, first = next(iter(runs.items()))
    for name, run in runs.items():
        if run.models.critic_identity != first.models.critic_identity:
            raise RunDirectoryError(
                f"{first_name} was made with the critic {first.models.critic_identity}, {name} with "
                f"{run.models.critic_identity}: a difference of rules cannot be told from one of critics"
            )
    if not common_prompts(runs):
        raise RunDirectoryError("the runs have no finished prompt in common; compare runs over the same prompts")


def refuse_other_critic(runs: dict[str, Run], identity: str, judges: Mapping[str, str]) -> None:
    """Raise RunDirectoryError where another critic, or another judge, would judge the pool than made the runs."""
    models = next(iter(runs.values())).models
    made_with = models.critic_identity
    for judge, now in judges.items():
        was = models.judge_identities.get(judge, now)
        if was != now:
            raise RunDirectoryError(
                f"the runs were judged by {was} as {judge}, but {now} answers now; name the same one"
            )
    if made_with != identity:
        raise RunDirectoryError(
            f"the runs were made with the critic {made_with}, but {identity} answers now; one critic does all of a "
            "comparison: name the runs' own, or make the runs anew"
        )


def common_prompts(runs: dict[str, Run]) -> list[Prompt]:
    """Return the prompts that are traces in all runs, in the order of the first.

    Raises RunDirectoryError where one id stands for different prompts.
    """
    (first_name, first), *others = runs.items()
    common = {trace.prompt.id: trace.prompt for trace in first.traces()}
    for name, run in others:
        theirs = {trace.prompt.id: trace.prompt for trace in run.traces()}
        common = {prompt_id: prompt for prompt_id, prompt in common.items() if prompt_id in theirs}
        other = next((prompt_id for prompt_id, prompt in common.items() if theirs[prompt_id] != prompt), None)
        if other is not None:
            raise RunDirectoryError(
                f"prompt {other!r} is not the same in {first_name} and {name}; compare runs over the same prompts"
            )
    return list(common.values())


def left_out(runs: dict[str, Run], judged: Sequence[Prompt]) -> int:
    """Return how many prompts of any of the runs were not judged in the pool."""
    asked: set[str] = set()
    for run in runs.values():
        with TraceReader(run.path / TRACES, Trace) as reader:
            asked.update(reader.prompt_ids())
    return len(asked - {prompt.id for prompt in judged})


def other_differences(runs: dict[str, Run]) -> list[str]:
    """Return a warning for every run that differs from the first in more than its rules."""
    first_name, first = next(iter(runs.items()))
    return [
        f"{name} was not made as {first_name} was ({'; '.join(found)}): what differs is not the rules alone"
        for name, run in runs.items()
        if (found := changed_settings(_made_with(first), _made_with(run)))
    ]


def _made_with(run: Run) -> dict[str, object]:
    """Return what a run's answers hang on beside the rules; its judging is its own, the pool is judged by one."""
    asked = {name: value for name, value in run.manifest.questions.items() if name not in {"judging", "pairs"}}
    words = {name: run.manifest.templates.get(name) for name in ("critique", "revise")}
    return {"policy model": run.models.policy_identity, **asked, "template": words}
