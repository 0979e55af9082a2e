"""Are planted shortcuts found by intervention, and is p_chosen right once they are taken out?

    python -m benchmarks.shortcuts coverage [REPETITIONS] [--prompts 60]
    python -m benchmarks.shortcuts calibration [--prompts 800] [WORLD ...]
    python -m benchmarks.shortcuts gold

Everything runs as the commands do, on the simulated server: `rlaif generate`, `rlaif evaluate shortcuts`, and `rlaif
generate --shortcuts run`. Noise of a verdict 1 logit, quality of the responses with an SD of 1.

`coverage`: in each repetition the critic's worth of six features is drawn from -1 to 1; three in ten of the responses
have each feature. In every other repetition the features go with true quality, by -1 to 1 logits each. Printed: how
often the 95 % interval contains the planted effect, the mean error and the mean width.

`calibration`: the calibration error of p_chosen on exported rows (as `benchmarks.worlds` measures it) without
correction, after subtracting the length effect that a regression on the run's own verdicts finds (once `length_effect:
run`), and with `judging.shortcuts: run`.

`gold`: the length effect that labels by people would give with the label held fixed (`rlaif evaluate judge`), for a
critic without length bias, where longer responses are better.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.worlds import RULE, _questions, errors_of
from rlaif.config.run import RunConfig
from rlaif.evaluate.shortcuts import measure_shortcuts, shortcut_test
from rlaif.generation import generate_async
from rlaif.preferences.shortcuts import ShortcutEffects
from rlaif.runs.directory import write_json
from rlaif.runs.reader import Run
from rlaif.runs.shortcuts import EFFECTS
from rlaif.stats.estimates import Array
from rlaif.stats.regression import coefficients, linear
from rlaif.testing import SimulatedModel, SimulatedServer
from rlaif.text.shortcuts import SHORTCUTS, Shortcut

MANNERS = SHORTCUTS[1:]
NOISE = 1.0
SHARES = dict.fromkeys(MANNERS, 0.3)
PLANTED = {"markdown": 0.6, "flattery": 0.5, "hedge": -0.4, "authority": 0.7, "answer": 1.0}


@dataclass(frozen=True)
class World:
    """What the critic gives for features, and how far these go with true quality."""

    shortcuts: Mapping[str, float] = field(default_factory=dict)
    length_bias: float = 0.0
    quality_per_feature: Mapping[str, float] = field(default_factory=dict)
    quality_per_length: float = 0.0

    def model(self, seed: int) -> SimulatedModel:
        return SimulatedModel.model_validate({"noise": NOISE, "seed": seed, "features": SHARES, **vars(self)})


GOES_WITH_QUALITY = {"markdown": 0.8, "flattery": -0.5, "hedge": 0.5, "authority": -0.5, "answer": -0.8}
WORLDS = {
    "six effects": World(PLANTED, 1.0),
    "six effects, features go with quality": World(PLANTED, 1.0, GOES_WITH_QUALITY, 1.0),
    "length bias": World({}, 2.0),
    "length bias, longer is better": World({}, 2.0, {}, 2.0),
    "no bias, longer is better": World({}, 0.0, {}, 2.0),
    "no bias, features go with quality": World({}, 0.0, GOES_WITH_QUALITY, 1.0),
}


def config_of(folder: Path, url: str, candidates: int, prompts: int, seed: int, **judging: object) -> RunConfig:
    rules = folder / "rules.yaml"
    rules.write_text(RULE, encoding="utf-8")
    config = {
        "constitution": str(rules),
        "prompts": str(_questions(folder / "prompts.jsonl", "Question", prompts)),
        "policy": {"url": url, "concurrency": 64},
        "sampling": {"n": candidates, "max_tokens": 200},
        "revision": {"rounds": 0},
        "out": str(folder / "run"),
        "judging": judging,
        "seed": seed,
    }
    return RunConfig.check(config)


async def measured_in(folder: Path, world: World, prompts: int, seed: int) -> ShortcutEffects:
    """Generate a run of two candidates and measure all effects on it."""
    async with SimulatedServer(world.model(seed)) as server:
        run = await generate_async(config_of(folder, server.url, 2, prompts, seed))
        return (await measure_shortcuts(shortcut_test(run, prompts=prompts))).effects


def coverage(repetitions: int, prompts: int) -> None:
    found: dict[tuple[Shortcut, bool], list[tuple[float, float, float, float]]] = {}
    for seed in range(repetitions):
        rng, tied = np.random.default_rng(seed), seed % 2 == 1
        planted = dict(zip(SHORTCUTS, rng.uniform(-1, 1, len(SHORTCUTS)).tolist(), strict=True))
        quality = dict(zip(SHORTCUTS, (rng.uniform(-1, 1, len(SHORTCUTS)) * tied).tolist(), strict=True))
        worth = {name: planted[name] for name in MANNERS}
        good = {name: quality[name] for name in MANNERS}
        world = World(worth, planted["padding"], good, quality["padding"])
        with tempfile.TemporaryDirectory() as folder:
            effects = asyncio.run(measured_in(Path(folder), world, prompts, seed)).effects
        for effect in effects:
            one = effect.effect
            row = (planted[effect.edit], one.value or np.nan, one.low or np.nan, one.high or np.nan)
            found.setdefault((effect.edit, tied), []).append(row)
        if (seed + 1) % 100 == 0 or seed + 1 == repetitions:
            print(f"after {seed + 1} repetitions:", flush=True)
            print_coverage(found)


def print_coverage(found: Mapping[tuple[Shortcut, bool], list[tuple[float, float, float, float]]]) -> None:
    print("feature: contained (independent of quality; going with it), mean error, mean width")
    for edit in SHORTCUTS:
        apart, tied = (np.array(found.get((edit, goes), [])).reshape(-1, 4) for goes in (False, True))
        both = np.concatenate([apart, tied])
        error, width = (both[:, 1] - both[:, 0]).mean(), (both[:, 3] - both[:, 2]).mean()
        print(f"{edit}: {held(both)} ({held(apart)}; {held(tied)}), {error:+.3f}, {width:.2f}", flush=True)
    everything = np.concatenate([np.array(rows) for rows in found.values()])
    print(f"all: {held(everything)} of {len(everything)} intervals", flush=True)


def held(rows: Array) -> str:
    return f"{((rows[:, 2] <= rows[:, 0]) & (rows[:, 0] <= rows[:, 3])).mean():.1%}" if len(rows) else "–"


async def errors_in(folder: Path, world: World, candidates: int, prompts: int) -> tuple[list[float], Run]:
    """Return the calibration errors without correction, with the run's own length effect, and by intervention."""
    async with SimulatedServer(world.model(0)) as server:
        run = await generate_async(config_of(folder, server.url, candidates, prompts, 0))
        errors = [errors_of(run)[0]]
        length = run.length_effect.linear.value
        regressed = await generate_async(config_of(folder, server.url, candidates, prompts, 0, length_effect=length))
        errors.append(errors_of(regressed)[0])
        effects = (await measure_shortcuts(shortcut_test(run, prompts=200))).effects
        write_json(run.path / EFFECTS, effects.model_dump(mode="json"))
        corrected = await generate_async(config_of(folder, server.url, candidates, prompts, 0, shortcuts="run"))
    return [*errors, errors_of(corrected)[0]], corrected


def calibration(names: list[str], prompts: int) -> None:
    print(
        "world, candidates: error without correction, own length effect subtracted, by intervention; rows; subtracted"
    )
    for name in names:
        for candidates in (2, 4):
            with tempfile.TemporaryDirectory() as folder:
                errors, run = asyncio.run(errors_in(Path(folder), WORLDS[name], candidates, prompts * 4 // candidates))
                shown = [f"{e.edit} {e.effect.value:+.2f}" for e in run.correction.what.shortcuts if e.shown]
                rows = sum(1 for _ in run.preference_rows())
            print(
                f"{name}, {candidates}: {' '.join(f'{e:.3f}' for e in errors)}; {rows}; {', '.join(shown)}", flush=True
            )


def gold() -> None:
    rng = np.random.default_rng(0)
    print("quality per log length: length effect with the gold label held fixed (none is planted)")
    for worth in (0.0, 1.0, 2.0):
        length = rng.normal(0, 0.35, 20_000)
        better = worth * length + rng.normal(0, np.sqrt(2), len(length))
        side = np.where(rng.random(len(length)) < 1 / (1 + np.exp(-better)), 1, -1)
        logit = side * (better + rng.normal(0, NOISE / np.sqrt(2), len(length)))
        x = np.column_stack([side * length, np.ones(len(length))])
        effect = coefficients(linear, x, logit, range(len(length)))[0]
        print(f"{worth:g}: {effect.value:+.2f}{effect.ends('+.2f')}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("coverage", "calibration", "gold"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--prompts", type=int)
    given = parser.parse_intermixed_args()
    if given.what == "coverage":
        coverage(int((given.names or ["400"])[0]), given.prompts or 60)
    elif given.what == "calibration":
        calibration(given.names or list(WORLDS), given.prompts or 800)
    else:
        gold()


if __name__ == "__main__":
    main()
