"""Does it pay to train on how sure the critic was, when 30 % of the labels are wrong?

    python benchmarks/soft_vs_hard.py [SEEDS]

Every word has a hidden worth; the better of two answers is the one whose words are worth more. 30 % of the training
labels are flipped, and p_chosen says so in one of three ways. A small random model is trained by `rlaif`'s DPO on the
same pairs with soft and with hard labels; accuracy is on 400 pairs with true labels. Intervals: Student's t over seeds.
"""

import json
import math
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from random_model import random_model

from rlaif.train.config import DpoConfig
from rlaif.train.training import train

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported; a model this small gains nothing from more

PAIRS, TESTS, WORDS = 400, 400, 6
T_95 = {3: 4.303, 5: 2.776, 10: 2.262}
"""Student's t for so many seeds."""
TELLING = ("half the rows", "every flipped row", "one number for all")


def main() -> None:
    """Print the table as Markdown."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    started = time.monotonic()
    rows: dict[str, list[tuple[float, float]]] = {telling: [] for telling in TELLING}
    clean: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            place = Path(folder) / str(seed)
            words = random_model(place / "base", "tiny", seed)
            clean.append(accuracy(place, pairs(words, seed, None), seed, "hard"))
            for telling in TELLING:
                data = pairs(words, seed, telling)
                soft, hard = (accuracy(place, data, seed, labels) for labels in ("soft", "hard"))
                rows[telling].append((soft, hard))
                print(f"seed {seed}, {telling}: soft {soft:.3f}, hard {hard:.3f}", file=sys.stderr)
    print("| p_chosen tells of | soft, % | hard, % | soft - hard, points |\n|---|---|---|---|")
    for telling, found in rows.items():
        soft, hard = zip(*found, strict=True)
        gain = [a - b for a, b in found]
        print(f"| {telling} | {interval(soft)} | {interval(hard)} | {interval(gain, sign=True)} |")
    print(f"| no label flipped | – | {interval(clean)} | – |\n\n{seeds} seeds, {time.monotonic() - started:.0f} s")


def pairs(words: list[str], seed: int, telling: str | None) -> dict[str, list[dict[str, Any]]]:
    """Return train and test rows; `telling` says what p_chosen knows of the flips, None flips nothing."""
    draw = random.Random(seed)
    worth = {word: draw.gauss(0, 1) for word in words}
    rows = [_pair(draw, words, worth, n) for n in range(PAIRS + TESTS)]
    for n, row in enumerate(rows[:PAIRS]):
        # Half the rows are flipped by a coin and one in ten of the others: 30 %, as everywhere.
        chance = (0.5 if n % 2 else 0.1) if telling == TELLING[0] else 0.3
        flipped = telling is not None and draw.random() < chance
        if flipped:
            row["chosen"], row["rejected"] = row["rejected"], row["chosen"]
        if telling == TELLING[0]:
            row["p_chosen"] = 1 - chance
        elif telling == TELLING[1]:
            row["p_chosen"] = 0.1 if flipped else 0.9
        elif telling == TELLING[2]:
            row["p_chosen"] = 0.7
    return {"train": rows[:PAIRS], "test": rows[PAIRS:]}


def accuracy(place: Path, data: dict[str, list[dict[str, Any]]], seed: int, labels: str) -> float:
    """Train, and return the share of true pairs that the last step's model gets right."""
    for split, rows in data.items():
        (place / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = place / "model"
    shutil.rmtree(out, ignore_errors=True)
    # The best checkpoint would be chosen on the pairs that are reported; so there is one look, at the end.
    steps = math.ceil(PAIRS / 40) * 4
    config = DpoConfig(
        data=str(place), model=str(place / "base"), out=str(out), seed=seed, labels=labels, batch_size=40,
        learning_rate=3e-3, epochs=4, max_length=64, evaluate_every=steps, max_fall=None,
        trl={"per_device_train_batch_size": 40},
    )  # fmt: skip
    found = train(config, Silent()).figures["held_out_accuracy"]
    assert found is not None
    return found


def interval(numbers: Sequence[float], *, sign: bool = False) -> str:
    mean = statistics.mean(numbers)
    half = T_95[len(numbers)] * statistics.stdev(numbers) / math.sqrt(len(numbers))
    low, high = (f"{100 * value:+.1f}" if sign else f"{100 * value:.1f}" for value in (mean - half, mean + half))
    return f"{100 * mean:{'+' if sign else ''}.1f} ({low} to {high})"


class Silent:
    def say(self, line: str) -> None:
        pass

    def show(self, progress: object) -> None:
        pass

    def rest(self) -> None:
        pass


def _pair(draw: random.Random, words: list[str], worth: dict[str, float], number: int) -> dict[str, Any]:
    answers = [draw.choices(words, k=WORDS) for _ in range(2)]
    better, worse = sorted(answers, key=lambda answer: -sum(worth[word] for word in answer))
    prompt = " ".join(draw.choices(words, k=3))
    return {"prompt_id": f"p{number}", "prompt": prompt, "chosen": " ".join(better), "rejected": " ".join(worse)}


if __name__ == "__main__":
    main()
