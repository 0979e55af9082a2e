"""How often a run warns, in worlds where its probabilities do not hold and in worlds where they do.

    python -m benchmarks.world_warnings [RUNS]

Each line: a world, candidates, and the share of RUNS (default 100) runs of 120 prompts whose summary warns of it. Noise
of a verdict has an SD of 1. A critic that is over- or underconfident throughout, and an error that belongs to a
response, do not show without labels by people; no warning can tell them from a clean run.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks.worlds import WORLDS, World, run_in
from rlaif.runs.calibrate import correction_of, doubts

PROMPTS = 120
NOTHING = World({"quality_sd": 0.0})
"""Log-odds that are noise and nothing else."""


def doubted(world: World, candidates: int, runs: int) -> float:
    """Return the share of runs with a reason to doubt their probabilities."""
    found = 0
    for seed in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            run = asyncio.run(run_in(Path(folder), world, candidates, 1.0, PROMPTS, seed))
            found += bool(doubts(correction_of(run).what))
    return found / runs


def main() -> None:
    """Print a line for each world and number of candidates."""
    runs = int((sys.argv[1:] or ["100"])[0])
    clean = [("independent", n) for n in (2, 4, 8)] + [("bias", 4), ("heavy noise", 4), ("heavy quality", 4)]
    clean += [("length is quality", 4)]
    doubtful = [("revision-loving", 2), ("revision-loving", 4), ("shared", 4), ("shared", 8), ("varying bias", 4)]
    for name, candidates in [*clean, *doubtful]:
        print(f"{name}, {candidates}: {doubted(WORLDS[name], candidates, runs):.2f}", flush=True)
    for candidates in (2, 4):
        print(f"nothing but noise, {candidates}: {doubted(NOTHING, candidates, runs):.2f}", flush=True)


if __name__ == "__main__":
    main()
