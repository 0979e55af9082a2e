"""Runs for the report's tests, written straight to disk: quick to make, with whatever texts a test wants."""

import math
import random
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from rlaif.config.run import RunConfig
from rlaif.constitution.load import load_constitution
from rlaif.records import Critique, Failure, Matchup, Message, Prompt, PromptSet, Response, Trace, Usage, Verdict
from rlaif.runs.directory import TRACES, ServedModels, locked, prepare, settle_models
from rlaif.runs.reader import Run
from rlaif.runs.store import TraceWriter
from rlaif.templates import Templates

EVIL = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"><!--"

Write = Callable[[random.Random, str], str]
"""Makes an answer, given its id; a revision is given `PARENT` by `revised`."""


def plain(rng: random.Random, name: str) -> str:
    return f"{name} " + " ".join(rng.choices(["water", "light", "paper", "garden", "window"], k=rng.randint(5, 30)))


def make_run(
    path: Path,
    constitution: Path | str,
    *,
    prompts: int = 6,
    traces: int | None = None,
    failures: int = 0,
    samples: int = 2,
    write: Write = plain,
    spread: float = 2.0,
    tags: tuple[str, ...] = ("even", "odd"),
    **sections: Any,
) -> Run:
    """Write a run of which the first `traces` prompts are traces, and of the others `failures` failed."""
    data = {"constitution": str(constitution), "prompts": "seed", "policy": "m", "out": str(path)}
    config = RunConfig.check(data | {"sampling": {"n": samples}} | sections)
    rules = load_constitution(str(constitution))
    asked = [
        Prompt(
            id=f"p{n}", messages=(Message(role="user", content=f"Question {n}? {EVIL}"),), tags=(tags[n % len(tags)],)
        )
        for n in range(prompts)
    ]
    done = prompts - failures if traces is None else traces
    with locked(path):
        prepare(path, config, rules, Templates(), PromptSet(prompts=asked, source="seed", duplicates=0))
        settle_models(
            path, ServedModels(policy="pol", policy_identity="pol", critic="crit", critic_identity="crit"), config
        )
        writer = TraceWriter(path / TRACES)
        judging = [] if config.judging.kind == "none" else [p.id for p in rules.comparing]
        for prompt in asked[:done]:
            writer.put_trace(make_trace(prompt, judging, [p.id for p in rules.revising], samples, write, spread))
        for prompt in asked[done : done + failures]:
            writer.put_failure(Failure(prompt_id=prompt.id, error=f"ReplyError: it said {EVIL}"))
        writer.close()
    return Run(path)


def make_trace(
    prompt: Prompt, judging: list[str], revising: list[str], samples: int, write: Write, spread: float
) -> Trace:
    rng = random.Random(prompt.id)
    responses, critiques = [], []
    for n in range(samples):
        parent = _response(f"s{n}", write(rng, f"s{n}"))
        text = f"{parent.text} {write(rng, f's{n}.r1')}" if rng.random() < 0.7 else write(rng, f"s{n}.r1")
        responses += [parent, _response(f"s{n}.r1", text, parent.id)]
        critiques.append(
            Critique(
                of=parent.id,
                round=1,
                principles=(rng.choice(revising),),
                text=f"Too long. {EVIL}",
                model="crit",
                seed=0,
                reply="r",
            )
        )
    quality = {response.id: rng.gauss(0, spread) for response in responses}
    matchups = [
        Matchup(a=a, b=b, verdicts=tuple(_verdicts(judging, quality[a] - quality[b], rng)))
        for a, b in (combinations(quality, 2) if judging else [])
    ]
    return Trace(
        prompt=prompt,
        responses=tuple(responses),
        critiques=tuple(critiques),
        dropped=(),
        judged_by=tuple(judging),
        matchups=tuple(matchups),
        usage=Usage(requests=9, prompt_tokens=100),
    )


def _response(name: str, text: str, parent: str | None = None) -> Response:
    return Response(
        id=name,
        text=text,
        origin="revision" if parent else "sample",
        parent=parent,
        model="pol",
        seed=0,
        finish_reason="stop",
        reply="r",
    )


def _verdicts(principles: list[str], preference: float, rng: random.Random) -> list[Verdict]:
    orders: tuple[tuple[Literal["ab", "ba"], int], ...] = (("ab", 1), ("ba", -1))
    found = []
    for principle in principles:
        own = preference + rng.gauss(0, 0.7)
        for order, sign in orders:
            x = sign * own + 0.6 + rng.gauss(0, 0.4)
            mass = min(1.0, max(0.6, rng.gauss(0.96, 0.02)))
            p = 1 / (1 + math.exp(-x))
            found.append(
                Verdict(
                    principle=principle,
                    order=order,
                    first=math.log(mass * p),
                    second=math.log(mass * (1 - p)),
                    label_mass=mass,
                    reply="r",
                )
            )
    return found
