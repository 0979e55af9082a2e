"""What `judging.stop: {flip: 0.02}` saves and changes, against the same runs in which everything is asked.

    python benchmarks/stopping.py [--worlds 20] [--prompts 400] [--principles 8] [--noise 0.5 1 2] [--candidates 2]

In each world the simulated critic judges with independent noise under every principle. Labels: those of all matchups
after the pilot, at the default thresholds. The calibration error is that of the exported rows against the planted
truth.
"""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

import numpy as np
import yaml
from worlds import calibration_error

from rlaif.config.run import RunConfig
from rlaif.generation import generate_async
from rlaif.runs.reader import Run
from rlaif.testing import SimulatedModel, SimulatedServer

FLIP = 0.02


def main() -> None:
    """Print a line for each noise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--prompts", type=int, default=400)
    parser.add_argument("--principles", type=int, default=8)
    parser.add_argument("--candidates", type=int, default=2)
    parser.add_argument("--noise", type=float, nargs="*", default=[0.5, 1.0, 2.0])
    given = parser.parse_args()
    print(
        "| noise | verdicts asked | after the pilot | labels changed, mean and 95th percentile | CE, all asked | CE |"
    )
    print("|---|---|---|---|---|---|")
    for noise in given.noise:
        found = np.array([asyncio.run(compared(given, noise, seed)) for seed in range(given.worlds)])
        asked, later, changed, *_ = found.T
        whole, stopped = errors(found, given.worlds)
        high = np.quantile(changed, 0.95)
        print(
            f"| {noise:g} | {asked.mean():.0%} | {later.mean():.0%} | {changed.mean():.2%}, {high:.2%} "
            f"| {whole:.3f} | {stopped:.3f} |",
            flush=True,
        )


ROWS: dict[str, list[tuple[float, float]]] = {"whole": [], "stopped": []}
"""(p_chosen, truth) of the exported rows of the worlds of one noise."""


def errors(found: np.ndarray, worlds: int) -> tuple[float, float]:
    """Return the calibration errors over the rows of all worlds, and forget these rows."""
    assert len(found) == worlds
    both = tuple(calibration_error(*zip(*ROWS[name], strict=True)) for name in ("whole", "stopped"))
    for rows in ROWS.values():
        rows.clear()
    return both[0], both[1]


async def compared(given: argparse.Namespace, noise: float, seed: int) -> tuple[float, float, float]:
    """Return the shares of verdicts asked, of all prompts and of those after the pilot, and of changed labels there."""
    with tempfile.TemporaryDirectory() as folder:
        async with SimulatedServer(SimulatedModel(noise=noise, seed=seed)) as server:
            whole = await run_in(Path(folder), given, server.url, seed, "whole", {})
            stopped = await run_in(Path(folder), given, server.url, seed, "stopped", {"stop": {"flip": FLIP}})
        for name, run in (("whole", whole), ("stopped", stopped)):
            ROWS[name] += rows_of(run)
        return shares(whole, stopped)


async def run_in(
    folder: Path, given: argparse.Namespace, url: str, seed: int, name: str, judging: dict[str, object]
) -> Run:
    """Generate one run; both runs of a world share their replies."""
    principles = [
        {"id": f"rule-{n}", "compare_only": True, "compare": f"Which answer is better by rule {n}?"}
        for n in range(given.principles)
    ]
    rules = {"name": "rules", "version": 1, "description": "Planted.", "principles": principles}
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    lines = (json.dumps({"prompt": f"Question {n}?"}) + "\n" for n in range(given.prompts))
    (folder / "prompts.jsonl").write_text("".join(lines), encoding="utf-8")
    config = {
        "constitution": str(folder / "rules.yaml"),
        "prompts": str(folder / "prompts.jsonl"),
        "policy": {"url": url},
        "sampling": {"n": given.candidates, "max_tokens": 200},
        "revision": {"rounds": 0},
        "judging": judging,
        "seed": seed,
        "out": str(folder / name),
        "cache": str(folder / "replies.sqlite"),
    }
    return await generate_async(RunConfig.check(config))


def shares(whole: Run, stopped: Run) -> tuple[float, float, float]:
    """Return (asked, asked after the pilot, labels changed after the pilot), as shares."""
    pilot = stopped.stopping.prompts if stopped.stopping else 0
    asked = later = everything = later_everything = changed = labels = 0
    for one, other in zip(whole.conclusions(), stopped.conclusions(), strict=True):
        ours = sum(len(matchup.verdicts) for matchup in other[0].matchups)
        theirs = sum(len(matchup.verdicts) for matchup in one[0].matchups)
        asked, everything = asked + ours, everything + theirs
        pairs = zip(one[1].judgements, other[1].judgements, strict=True)
        changed += sum(label(first) != label(second) for first, second in pairs)
        labels += len(one[1].judgements)
    prompts = sum(1 for _ in whole.traces())
    later_everything = everything * (1 - pilot / prompts)
    later = asked - everything * pilot / prompts
    return asked / everything, later / later_everything, changed / (labels * (1 - pilot / prompts))


def label(judgement: object) -> bool | None:
    """Return the label of a judgement: whether its first response is better, or None."""
    logit = getattr(judgement, "logit", None)
    return None if getattr(judgement, "abstention", None) or logit is None else logit > 0


def rows_of(run: Run) -> list[tuple[float, float]]:
    """Return (p_chosen, true probability) of the exported rows."""
    model = SimulatedModel()
    pairs = (
        (row.p_chosen, model.quality(row.chosen[0].content) - model.quality(row.rejected[0].content))
        for row in run.preference_rows()
    )
    return [(p, float(1 / (1 + np.exp(-difference)))) for p, difference in pairs]


if __name__ == "__main__":
    main()
