"""Calibration error of p_chosen on exported rows, in planted worlds, end to end on the simulated server.

    python -m benchmarks.worlds [WORLD ...] [--prompts 1500] [--candidates N] [--noise SD] [--gold 0] [--kind KIND]

The quality of responses has an SD of 1, and the truth of a row is sigmoid(quality of chosen - quality of rejected).
One principle, both orders, default thresholds. For each world, number of candidates and noise of a verdict (SD in
logits), a run generates PROMPTS prompts of four candidates, or twice as many of two, or half as many of eight; printed
are the calibration errors (ten bins of confidence, weighted by rows) of p_chosen and of p_raw, the error that chance
alone gives an exactly calibrated p with as many rows, the rows, and the run's warnings. With --gold, as many random
pairs of other prompts are labelled by the truth, `rlaif evaluate judge --recalibrate` is fitted on them, and the run
uses its file.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rlaif.config.run import RunConfig
from rlaif.generation import generate_async
from rlaif.runs.reader import Run
from rlaif.runs.summary import warnings_of
from rlaif.testing import SimulatedModel, SimulatedServer

CANDIDATES = (2, 4, 8)
NOISES = (0.5, 1.0, 2.0)
RULE = """name: one-rule
version: 1
description: One rule.
principles:
  - {id: better, critique: Say what is bad., revise: Say it better., compare: "Which response is better?"}
"""


@dataclass(frozen=True)
class World:
    """Settings of the simulated model, and whether p can be calibrated without labels by people."""

    settings: dict[str, object] = field(default_factory=dict)
    rounds: int = 0
    """Rounds of critique and revision."""
    judges: tuple[object, ...] = ("pairwise-logprob",)
    from_candidates: int | None = 2
    """Least number of candidates with which p can be calibrated; None where it cannot."""


ASKED_AGAIN = ("pairwise-logprob", {"kind": "pairwise-logprob", "again": True})
"""The error that both orders share is another one in other words."""

WORLDS = {
    "independent": World(),
    "bias": World({"position_bias": 2.0}),
    "shared": World({"shared_noise": 2.0}, from_candidates=3),
    "shared, asked again": World({"shared_noise": 2.0}, judges=ASKED_AGAIN),
    "varying bias": World({"position_bias_sd": 2.0}, from_candidates=3),
    "heavy noise": World({"noise_tails": "heavy"}),
    "outliers": World({"noise_tails": "outliers"}),
    "heavy quality": World({"quality_tails": "heavy"}),
    "unreadable": World({"unreadable_when_hard": 0.5}),
    "length is quality": World({"quality_per_length": 2.0}),
    "response": World({"response_noise": 1.0}, from_candidates=None),
    "overconfident": World({"scale": 2.0}, from_candidates=None),
    "underconfident": World({"scale": 0.5}, from_candidates=None),
    "length bias": World({"length_bias": 2.0}, from_candidates=None),
    "revision-loving": World({"revision_preference": 5.0, "revision_gain": 0.0}, rounds=1, from_candidates=None),
}


def calibration_error(p: Iterable[float], truth: Iterable[float], bins: int = 10) -> float:
    """Return the mean distance of p and truth over bins of p in [0.5, 1], weighted by rows; NaN without rows."""
    confidence, true = np.array(list(p)), np.array(list(truth))
    places = np.clip(((confidence - 0.5) * 2 * bins).astype(int), 0, bins - 1)
    sums = np.bincount(places, weights=confidence - true, minlength=bins)
    return float(np.abs(sums).sum() / len(confidence)) if len(confidence) else float("nan")


@dataclass(frozen=True)
class Labels:
    """Labels by people, who choose the better of two responses with its true probability."""

    items: int = 0
    kind: str = "temperature"


async def run_in(
    folder: Path, world: World, candidates: int, noise: float, prompts: int, seed: int = 0, labels: Labels = Labels()
) -> Run:
    """Generate a run in a world, recalibrated on labels where there are any."""
    rules = folder / "rules.yaml"
    rules.write_text(RULE, encoding="utf-8")
    model = SimulatedModel.model_validate({"noise": noise, "seed": seed, **world.settings})
    samples = candidates // 2 if world.rounds else candidates
    async with SimulatedServer(model) as server:
        config = {
            "constitution": str(rules),
            "prompts": str(_questions(folder / "prompts.jsonl", "Question", prompts)),
            "policy": {"url": server.url, "concurrency": 64},
            "sampling": {"n": samples, "max_tokens": 200},
            "revision": {"rounds": world.rounds},
            "out": str(folder / "run"),
            "judging": {"judges": world.judges},
            "seed": seed,
        }
        if labels.items:
            file = await _fitted(folder, config, labels, server.url)
            config["judging"] = {"judges": world.judges, "recalibration": str(file)}
        return await generate_async(RunConfig.check(config))


def _questions(path: Path, word: str, number: int) -> Path:
    path.write_text("".join(json.dumps({"prompt": f"{word} {n}?"}) + "\n" for n in range(number)), encoding="utf-8")
    return path


async def _fitted(folder: Path, config: dict[str, object], labels: Labels, url: str) -> Path:
    """Fit a recalibration on one random pair of responses to each of other prompts."""
    prompts = _questions(folder / "labelled.jsonl", "Labelled", labels.items)
    sampled = config | {"prompts": str(prompts), "out": str(folder / "sampled"), "revision": {"rounds": 0}}
    traces = (await generate_async(RunConfig.check(sampled | {"sampling": {"n": 2, "max_tokens": 200}}))).traces()
    gold, rng, truth = folder / "gold.jsonl", random.Random(0), SimulatedModel()
    with gold.open("w", encoding="utf-8") as lines:
        for trace in traces:
            first, second = rng.sample([response.text for response in trace.responses], 2)
            if rng.random() > 1 / (1 + np.exp(truth.quality(second) - truth.quality(first))):
                first, second = second, first
            row = {"prompt": trace.prompt.messages[-1].content, "chosen": first, "rejected": second}
            lines.write(json.dumps(row) + "\n")
    command = ["evaluate", "judge", "--critic", url, "--constitution", str(config["constitution"]), "--gold", str(gold)]
    command += ["--recalibrate", labels.kind, "--out", str(folder / "judge"), "--cache", str(folder / "gold.sqlite")]
    run = await asyncio.create_subprocess_exec(sys.executable, "-m", "rlaif", *command, stdout=asyncio.subprocess.PIPE)
    said, _ = await run.communicate()
    if run.returncode:
        raise SystemExit(said.decode())
    return next((folder / "judge").rglob("recalibration.json"))


def chance(p: Iterable[float], truth: Iterable[float], bins: int = 10) -> float:
    """Return the calibration error to expect of a p that is right on average in each bin; NaN without rows.

    The mean distance of a normal mean from zero is sqrt(2 / pi) standard errors.
    """
    confidence, true = np.array(list(p)), np.array(list(truth))
    places = np.clip(((confidence - 0.5) * 2 * bins).astype(int), 0, bins - 1)
    groups = [true[places == place] for place in set(places)]
    return float(np.sqrt(2 / np.pi) * sum(len(g) ** 0.5 * g.std() for g in groups) / max(len(true), 1))


def errors_of(run: Run) -> tuple[float, float, float, int]:
    """Return the calibration errors of p_chosen and of p_raw, that of chance, and the number of rows."""
    rows, model = list(run.preference_rows()), SimulatedModel()
    differences = [model.quality(row.chosen[0].content) - model.quality(row.rejected[0].content) for row in rows]
    truth = 1 / (1 + np.exp(-np.array(differences)))
    return (
        calibration_error((row.p_chosen for row in rows), truth),
        calibration_error((row.p_raw for row in rows), truth),
        chance((row.p_chosen for row in rows), truth),
        len(rows),
    )


def main() -> None:
    """Print a line for each world, number of candidates and noise."""
    parser = argparse.ArgumentParser()
    parser.add_argument("worlds", nargs="*", default=list(WORLDS))
    parser.add_argument("--prompts", type=int, default=1500)
    parser.add_argument("--candidates", type=int, nargs="*", default=CANDIDATES)
    parser.add_argument("--noise", type=float, nargs="*", default=NOISES)
    parser.add_argument("--gold", type=int, default=0)
    parser.add_argument("--kind", default="temperature")
    given = parser.parse_args()
    labels = Labels(given.gold, given.kind)
    print("world, candidates, noise: error of p_chosen, of p_raw, by chance, rows; warnings", flush=True)
    for name in given.worlds:
        for candidates in given.candidates:
            for noise in given.noise:
                prompts = given.prompts * 4 // candidates
                with tempfile.TemporaryDirectory() as folder:
                    run = asyncio.run(run_in(Path(folder), WORLDS[name], candidates, noise, prompts, labels=labels))
                    calibrated, raw, by_chance, rows = errors_of(run)
                    warnings = " | ".join(warnings_of(run))
                print(
                    f"{name}, {candidates}, {noise:g}: {calibrated:.3f} {raw:.3f} {by_chance:.3f} {rows}; {warnings}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
