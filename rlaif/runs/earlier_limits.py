"""The limits with which the runs beside a run asked, so that replies of theirs are of use under larger limits.

They are read from the runs' manifests: requests are kept under a hash that contains their limits, so a reply under
another limit is only found by asking for it.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from rlaif.config.run import RunConfig
from rlaif.judges.listwise import USUAL_LENGTH as RANKING_LENGTH
from rlaif.judges.pairwise_reasoned import USUAL_LENGTH as REASONING_LENGTH
from rlaif.models.model import Step
from rlaif.models.salvage import Limits
from rlaif.runs.directory import read_text

USUAL_LENGTHS = {"listwise": RANKING_LENGTH, "pairwise-reasoned": REASONING_LENGTH}
"""Tokens of the kinds of judges that write texts, where a run file gives none."""


def earlier_limits(config: RunConfig) -> Mapping[Step, Collection[Limits]]:
    """Return by step the limits of the runs beside the reply store and beside the run itself."""
    folders = {config.reply_store.resolve().parent, Path(config.out).resolve().parent}
    found: dict[Step, set[Limits]] = defaultdict(set)
    for file in (file for folder in folders for file in folder.glob("*/manifest.json")):
        try:
            questions = json.loads(read_text(file))["questions"]
            for step, limits in _limits_of(questions):
                found[step].add(limits)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # not a manifest of a run
    return found


def _limits_of(questions: Mapping[str, Any]) -> Iterator[tuple[Step, Limits]]:
    """Yield (step, limits) of the requests of one run."""
    policies = questions.get("policies") or {"": {"sampling": questions.get("sampling") or {}}}
    for policy in policies.values():
        if policy["sampling"]:
            yield "sampling", Limits(int(policy["sampling"]["n"]), int(policy["sampling"]["max_tokens"]))
    yield "critique", Limits(1, int(questions["revision"]["critique_max_tokens"]))
    yield "revision", Limits(1, int(questions["revision"]["max_tokens"]))
    judging = questions["judging"]
    for judge in judging.get("judges") or [{"kind": judging["kind"]}]:
        if judge["kind"] in USUAL_LENGTHS:
            yield "judging", Limits(1, int(judge.get("max_tokens") or USUAL_LENGTHS[judge["kind"]]))
