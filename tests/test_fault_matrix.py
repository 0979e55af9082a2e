"""Every fault alone and all of them mixed: prompts become traces, no label comes from a fault, nothing bad is kept.

The table in docs/reliability.md is what `python -m tests.test_fault_matrix` prints.
"""

import asyncio
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

from rlaif.generation import generate_async
from rlaif.models.backend import Reply
from rlaif.models.soundness import FAILED, PLACEHOLDER, ROUNDING
from rlaif.runs.reader import Run
from rlaif.testing import Fault, SimulatedModel, SimulatedServer
from rlaif.testing.simulated_model import BadReply
from tests.conftest import CONSTITUTION, MakeConfig, configs_in

SHARE, PROMPTS = 0.3, 8
ALONE: dict[str, Fault] = {
    **{f"HTTP {status}": Fault(status=status, after=3) for status in (401, 404, 429, 500, 503)},
    **{does: Fault(does=does) for does in ("disconnect", "garbage", "hang")},
    **{kind: Fault(does=kind) for kind in get_args(BadReply)},
}
MIXED = [fault for name, fault in ALONE.items() if name != "content-filter"]


@dataclass
class Outcome:
    """What became of the prompts of a run."""

    run: Run
    requests: int
    prompts: int

    @property
    def traced(self) -> float:
        """Share of the prompts that became traces."""
        return len(list(self.run.traces())) / self.prompts

    def kept(self) -> list[Reply]:
        """Return all replies in the reply store."""
        rows = sqlite3.connect(self.run.config.reply_store).execute("SELECT reply FROM replies").fetchall()
        return [Reply.model_validate_json(text) for (text,) in rows]


async def outcome(make_config: MakeConfig, faults: Sequence[Fault], share: float, folder: Path) -> Outcome:
    """Make one run at a server with faults in this share of the requests."""
    each = [fault.model_copy(update={"share": share / len(faults), "times": None}) for fault in faults]
    async with SimulatedServer(SimulatedModel(faults=tuple(each))) as server:
        config = make_config(
            server,
            prompts=PROMPTS,
            policy={"url": server.url, "timeout_s": 1.0},
            out=str(folder / "run"),
            cache=str(folder / "replies.sqlite"),
        )
        run = await generate_async(config)
        return Outcome(run, len(server.asked), PROMPTS)


def assert_nothing_bad_is_kept(found: Outcome) -> None:
    for reply in found.kept():
        assert reply.choices
        assert not any(choice.finish_reason in FAILED for choice in reply.choices)
        assert all(choice.text or choice.first_token or choice.withheld for choice in reply.choices)
        entries = [entry.logprob for choice in reply.choices for entry in choice.first_token]
        assert all(PLACEHOLDER <= value <= ROUNDING for value in entries)
        assert reply.usage.prompt_tokens >= 0


def assert_nothing_withheld_is_used(run: Run) -> None:
    dropped = 0
    for trace in run.traces():
        withheld = {response.id for response in trace.responses if response.withheld}
        compared = {name for matchup in trace.matchups for name in (matchup.a, matchup.b)}
        assert not withheld & compared
        dropped += sum(one.reason == "content filter" for one in trace.dropped)
        verdicts = [verdict for matchup in trace.matchups for verdict in matchup.verdicts]
        assert any(verdict.raw_logit() is None for verdict in verdicts) or not verdicts
    assert dropped > 0


@pytest.mark.slow
@pytest.mark.parametrize("faults", [*([one] for one in ALONE.values()), MIXED], ids=[*ALONE, "mixed"])
async def test_prompts_become_the_same_traces_as_without_faults(
    make_config: MakeConfig, faults: list[Fault], tmp_path: Path
) -> None:
    undisturbed = await outcome(make_config, [Fault(after=10**9)], 1.0, tmp_path / "undisturbed")
    found = await outcome(make_config, faults, SHARE, tmp_path / "disturbed")
    assert_nothing_bad_is_kept(found)
    # Seven attempts at a request fail with probability 0.3^7, so a prompt of 29 requests is lost in 1 of 160 cases.
    assert found.traced >= 1 - 1 / PROMPTS
    assert len(found.run.failures()) == round((1 - found.traced) * PROMPTS)
    if faults == [ALONE["content-filter"]]:
        assert_nothing_withheld_is_used(found.run)
        return
    for trace in found.run.traces():
        assert trace.matchups == undisturbed.run.trace(trace.prompt.id).matchups


async def table() -> None:
    """Print the table of the documentation."""
    print("| fault in 30 % of the requests | prompts that became traces | requests a prompt |\n|---|---|---|")
    for name, faults in [("none", []), *((name, [one]) for name, one in ALONE.items()), ("all of them mixed", MIXED)]:
        with tempfile.TemporaryDirectory() as folder:
            rules = Path(folder) / "testing.yaml"
            rules.write_text(CONSTITUTION, encoding="utf-8")
            make = configs_in(Path(folder), rules)
            found = await outcome(make, faults or [Fault(after=10**9)], SHARE if faults else 1.0, Path(folder))
            print(f"| {name} | {found.traced:.0%} | {found.requests / PROMPTS:.0f} |", flush=True)


if __name__ == "__main__":
    asyncio.run(table())
    sys.exit()
