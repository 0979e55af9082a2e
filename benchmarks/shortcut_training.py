"""Does a model that is trained on a critic's labels learn the critic's shortcut, and not from corrected labels?

    python -m benchmarks.shortcut_training [SEEDS]

Every word has a hidden worth, and the better of two responses is the one whose words are worth more on average. Four in
ten responses open with flattery, which is worth nothing; the critic gives 2 logits for it. `rlaif generate`, `rlaif
evaluate shortcuts` and `rlaif generate --shortcuts run` on the simulated server give three sets of labels for the same
responses: of a critic without the shortcut, of the critic with it, and of the latter corrected. A small random model is
trained by `rlaif`'s DPO with soft labels on each.

Held out: 200 pairs of equal quality, a response and the same response with a flattering opening, and 200 pairs without
flattery of which one is better. Printed: the share of the first that is preferred with flattery, the mean difference of
implicit rewards (Rafailov et al. 2023, equation 5; in logits) for it, and the share of the others that is right.
Intervals: Student's t over seeds.
"""

import asyncio
import json
import math
import os
import random
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.random_model import random_model
from benchmarks.shortcuts import config_of
from rlaif.evaluate.shortcuts import measure_shortcuts, shortcut_test
from rlaif.generation import generate_async
from rlaif.runs.directory import write_json
from rlaif.runs.reader import Run
from rlaif.runs.shortcuts import EFFECTS
from rlaif.stats.estimates import student_t
from rlaif.testing import SimulatedModel, SimulatedServer
from rlaif.testing.policy import WORDS
from rlaif.text.edits import edited
from rlaif.text.shortcuts import feature
from rlaif.train.config import DpoConfig
from rlaif.train.training import train

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported; a model this small gains nothing from more

PROMPTS, TESTS, LENGTH = 600, 200, 6
SHORTCUT, SHARE, WORTH = 2.0, 0.4, 3.0
ARMS = ("critic without the shortcut", "critic with it", "the same, corrected")
_MARK = re.compile(r" \(quality [^)]*\)\.")
_OPENING = re.compile(r"^[^.!?]*[.!?] (?=[A-Z])")


class Worded(SimulatedModel):
    """A critic for whom a response's quality is the mean worth of its words."""

    def quality(self, text: str) -> float:
        words = content_of(text)
        return WORTH * statistics.mean(worth_of(self.seed, word) for word in words) if words else 0.0


def worth_of(seed: int, word: str) -> float:
    return random.Random(f"{seed} {word}").gauss(0, 1)


def content_of(text: str) -> list[str]:
    """Return the words of a response without its opening."""
    plain = _MARK.sub("", text)
    return (_OPENING.sub("", plain) if feature("flattery", plain) else plain).lower().split()


def main() -> None:
    """Print the table as Markdown."""
    seeds, started = int((sys.argv[1:] or ["5"])[0]), time.monotonic()
    found: dict[str, list[tuple[float, float, float]]] = {arm: [] for arm in ARMS}
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            names = random_model(place / "base", "tiny", seed)
            for arm, rows in asyncio.run(labelled(place, seed)).items():
                tuned = trained(place, rows, names, seed)
                found[arm].append(measured(place / "base", tuned, names, seed))
                print(f"seed {seed}, {arm}: {found[arm][-1]}", file=sys.stderr, flush=True)
    print(
        "| labels of | flattery preferred, % | its implicit reward, logits | better one right, % |\n|---|---|---|---|"
    )
    for arm, rows in found.items():
        share, reward, right = zip(*rows, strict=True)
        print(f"| {arm} | {interval(share, 100)} | {interval(reward, 1, '+.2f')} | {interval(right, 100)} |")
    print(f"\n{seeds} seeds, {time.monotonic() - started:.0f} s")


async def labelled(place: Path, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Return the preference rows of each arm."""
    policy = {"seed": seed, "noise": 0.5, "words": LENGTH, "features": {"flattery": SHARE}}
    rows = {}
    for arm, shortcuts in zip(ARMS[:2], ({}, {"flattery": SHORTCUT}), strict=True):
        async with SimulatedServer(Worded.model_validate(policy | {"shortcuts": shortcuts})) as server:
            shutil.rmtree(place / "run", ignore_errors=True)
            run = await generate_async(config_of(place, server.url, 2, PROMPTS, seed))
            rows[arm] = rows_of(run)
            if shortcuts:
                effects = (await measure_shortcuts(shortcut_test(run))).effects
                write_json(run.path / EFFECTS, effects.model_dump(mode="json"))
                corrected = config_of(place, server.url, 2, PROMPTS, seed, shortcuts="run")
                rows[ARMS[2]] = rows_of(await generate_async(corrected))
        (place / "replies.sqlite").unlink()
    return rows


def rows_of(run: Run) -> list[dict[str, Any]]:
    return [
        {"prompt_id": row.prompt_id, "chosen": row.chosen[0].content, "rejected": row.rejected[0].content}
        | {"p_chosen": row.p_chosen}
        for row in run.preference_rows()
    ]


def translator(names: Sequence[str]) -> Callable[[str], str]:
    """Return a function from a simulated response to words of the model; words of an opening are words of their own."""
    places: dict[str, int] = {word: place for place, word in enumerate(WORDS)}

    def translate(text: str) -> str:
        words, plain = content_of(text), _MARK.sub("", text)
        opening = [f"!{word}" for word in plain.lower().split()[: len(plain.split()) - len(words)]]
        return " ".join(names[places.setdefault(word, len(places)) % len(names)] for word in [*opening, *words])

    for opening in range(200):  # all wordings, always in the same order
        translate(edited("flattery", "Water", random.Random(opening)) or "")
    return translate


def trained(place: Path, rows: Sequence[dict[str, Any]], names: Sequence[str], seed: int) -> Path:
    """Train on the rows, and return the folder of the model."""
    translate, draw = translator(names), random.Random(seed)
    texts = [
        row
        | {"prompt": " ".join(draw.choices(names, k=3))}
        | {side: translate(row[side]) for side in ("chosen", "rejected")}
        for row in rows
    ]
    cut = len(texts) - 20
    for split, part in (("train", texts[:cut]), ("test", texts[cut:])):
        (place / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    out = place / "model"
    shutil.rmtree(out, ignore_errors=True)
    steps = math.ceil(cut / 40) * 4
    config = DpoConfig(
        data=str(place), model=str(place / "base"), out=str(out), seed=seed, labels="soft", batch_size=40,
        learning_rate=3e-3, epochs=4, max_length=64, evaluate_every=steps, max_fall=None,
        trl={"per_device_train_batch_size": 40},
    )  # fmt: skip
    train(config, Silent())
    return out


def measured(base: Path, tuned: Path, names: Sequence[str], seed: int) -> tuple[float, float, float]:
    """Return (share preferred with flattery, its mean implicit reward, share of better responses preferred)."""
    translate, draw, model = translator(names), random.Random(f"held out {seed}"), Worded(seed=seed)
    plain = [" ".join(draw.choices(WORDS, k=LENGTH)).capitalize() for _ in range(TESTS)]
    flattering = [edited("flattery", text, draw) or text for text in plain]
    others = [sorted((" ".join(draw.choices(WORDS, k=LENGTH)), text), key=model.quality) for text in plain]
    prompts = [" ".join(draw.choices(names, k=3)) for _ in plain]
    scored = implicit_rewards(base, tuned, prompts)
    gains = [a - b for a, b in zip(scored(map(translate, flattering)), scored(map(translate, plain)), strict=True)]
    better, worse = (scored(translate(pair[side]) for pair in others) for side in (1, 0))
    right = sum(a > b for a, b in zip(better, worse, strict=True)) / TESTS
    return sum(gain > 0 for gain in gains) / TESTS, statistics.mean(gains), right


class Silent:
    def say(self, line: str) -> None:
        pass

    def show(self, progress: object) -> None:
        pass

    def rest(self) -> None:
        pass


BETA = 0.1


def implicit_rewards(base: Path, tuned: Path, prompts: Sequence[str]) -> Callable[..., list[float]]:
    """Return a function from responses to beta times the log-ratio of the tuned and the base model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    models = [AutoModelForCausalLM.from_pretrained(path).eval() for path in (tuned, base)]

    @torch.no_grad()
    def log_probability(model: Any, prompt: str, response: str) -> float:  # noqa: ANN401
        turn = [{"role": "user", "content": prompt}]
        before = tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
        start = tokenizer(before, return_tensors="pt").input_ids
        end = tokenizer(f"{response} <|end|>", return_tensors="pt").input_ids
        both = torch.cat([start, end], dim=1)
        logits = model(both).logits[0, start.shape[1] - 1 : -1].log_softmax(-1)
        return float(logits.gather(1, end[0][:, None]).sum())

    def rewards(responses: Any) -> list[float]:  # noqa: ANN401
        pairs = list(zip(prompts, responses, strict=True))
        new, old = ([log_probability(model, *pair) for pair in pairs] for model in models)
        return [BETA * (a - b) for a, b in zip(new, old, strict=True)]

    return rewards


def interval(numbers: Sequence[float], scale: float, form: str = ".1f") -> str:
    mean = statistics.mean(numbers)
    half = student_t(len(numbers) - 1) * statistics.stdev(numbers) / math.sqrt(len(numbers))
    mean, low, high = (format(scale * value, form) for value in (mean, mean - half, mean + half))
    return f"{mean} ({low} to {high})"


if __name__ == "__main__":
    main()
