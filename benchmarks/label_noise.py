"""How well does `rlaif label` tell how many labels of a file are wrong, and which?

    python -m benchmarks.label_noise [PAIRS]

Planted pairs with known qualities: the first response is the better one with probability sigmoid(difference), and a
known share of the labels names the other one. The critic is simulated, with noise and a position bias; nothing tells it
the labels. Printed are the estimated reliability, and for the labels that it flips: how many are wrong, how many
`p_wrong` says, and how many the critic's own probability would.
"""

import json
import random
import sys
import tempfile
from pathlib import Path
from statistics import mean

from rlaif.config.run import RunConfig
from rlaif.generation import generate_async
from rlaif.runs.reader import Run
from rlaif.stats.log_odds import sigmoid
from rlaif.tasks import run_in_loop
from rlaif.testing import SimulatedModel, SimulatedServer

RELIABILITIES = (0.6, 0.75, 0.85, 0.95, 1.0)


def main() -> None:
    """Label a planted file for each reliability and print a row of the table."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print("| labels right | estimated | flips | of these wrong | p_wrong says | the critic alone says |")
    print("|---|---|---|---|---|---|")
    for reliability in RELIABILITIES:
        with tempfile.TemporaryDirectory() as folder:
            print(row_of(reliability, pairs, Path(folder)), flush=True)


def row_of(reliability: float, pairs: int, folder: Path) -> str:
    """Return the row of the table for one share of right labels."""
    wrong = plant(reliability, pairs, folder / "rows.jsonl")
    run = run_in_loop(lambda: labelled(folder))
    agreement = run.label_agreement
    assert agreement is not None
    flips = [one for row in run.labelled_rows for one in row.labels if one.outcome == "flips"]
    found = agreement.reliability
    return (
        f"| {reliability:.0%} | {found.value:.1%}{found.ends('.1%')} | {len(flips)} | "
        f"{mean(wrong[one.row or ''] for one in flips):.1%} | {mean(one.p_wrong or 0 for one in flips):.1%} | "
        f"{mean(1 - (one.p_critic or 0) for one in flips):.1%} |"
    )


def plant(reliability: float, pairs: int, file: Path) -> dict[str, bool]:
    """Write a file of pairs, and return by the place of a row whether its label is wrong."""
    rng, wrong, rows = random.Random(7), {}, []
    for number in range(1, pairs + 1):
        qualities = [rng.gauss(0, 1.4) for _ in range(2)]
        texts = [f"Response {place} to {number}. (quality {q:+.2f})" for place, q in enumerate(qualities)]
        better = 0 if rng.random() < sigmoid(qualities[0] - qualities[1]) else 1
        wrong[f"line {number}"] = rng.random() >= reliability
        labelled = better ^ wrong[f"line {number}"]
        rows.append({"prompt": f"Question {number}?", "chosen": texts[labelled], "rejected": texts[1 - labelled]})
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return wrong


async def labelled(folder: Path) -> Run:
    """Label the planted file with a simulated critic."""
    async with SimulatedServer(SimulatedModel(noise=0.7, position_bias=0.8)) as server:
        settings = {
            "constitution": "minimal",
            "responses": str(folder / "rows.jsonl"),
            "critic": {"url": server.url},
            "judging": {"min_margin": 0, "principles": 1},
            "out": str(folder / "run"),
        }
        return await generate_async(RunConfig.check(settings))


if __name__ == "__main__":
    main()
