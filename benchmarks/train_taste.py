"""Can a small model learn a taste that was planted, and does it then write so? Answers in two short sentences.

    python benchmarks/train_taste.py [MODEL] [OUT]

Trains MODEL (smollm2) with `rlaif train cai` on 96 pairs: supervised on the chosen answers, then DPO. Both answers of a
pair say the same in nearly the same words, so that neither their facts nor their length gives the taste away. Then
both models are served, one after the other, and `rlaif evaluate policy` tells what was gained on questions about other
things, by counting sentences, and what it cost. Expected: more than 0.9 of 24 held-out pairs, whose answers are joined
by other words; two short sentences as the rule, where they were none before; training in less than 15 minutes on 2
cores.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rlaif.checks.counting import sentences, words

Row = dict[str, Any]
THINGS = """bread;flour and water;baked in a hot oven;eaten in most countries
cheese;milk;ripened for weeks or years;kept in a cool place
glass;sand;melted at great heat;used for windows and bottles
paper;wood pulp;pressed into thin sheets;recycled several times
soap;fat and lye;left to harden in moulds;used for washing
steel;iron and carbon;rolled while it is hot;used in bridges
wool;the fleece of sheep;spun into yarn;worn in winter
silk;the cocoons of moths;unwound with care;woven into scarves
honey;nectar;thickened in the hive;kept for years without harm
wine;grapes;fermented in barrels;poured at dinner
tea;the leaves of a shrub;dried and rolled;brewed in hot water
coffee;roasted beans;ground just before use;drunk in the morning
chocolate;cocoa beans;stirred for many hours;sold in bars
leather;animal hides;tanned in pits;made into shoes
rope;hemp or nylon;twisted from many strands;used on ships
brick;clay;fired in a kiln;laid with mortar
candles;wax and a wick;poured into moulds;lit in the evening
cloth;cotton thread;woven on a loom;cut into shirts
ink;pigment and water;stirred until smooth;used for writing
salt;sea water;dried in the sun;spread on food"""
QUESTIONS = (
    "What is {thing} made from?",
    "Tell me about {thing}.",
    "How would you explain {thing} to a child?",
    "What should I know about {thing}?",
    "Give me a fact about {thing}.",
    "Why do people make {thing}?",
)
JOINTS = (", and it is", "; it is", " and, as it happens, it is")
"""What makes one sentence of two, in training."""
HELD_OUT_JOINTS = (", while it is", " – it is")
HELD_OUT = 4
"""Things that no training pair is about."""


TASTE = """name: two-short-sentences
version: 1
description: What was planted; programs count, nobody is asked.
principles:
  - {id: two-sentences, check: {sentences: 2}}
  - {id: short, check: {words: {max: 40}}}
"""
SETTINGS = """
sft: {epochs: 3, batch_size: 8, max_length: 192, method: full}
dpo: {batch_size: 8, max_length: 192, method: full, evaluate_every: 4}
"""


def main() -> None:
    """Make the pairs, train, serve both models, print the figures as JSON."""
    model = sys.argv[1] if len(sys.argv) > 1 else "smollm2"
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp(prefix="taste-"))
    write_all(out)
    started = time.monotonic()
    settings = ("--config", out / "settings.yaml")
    rlaif("train", "cai", out / "data", "--model", model, "--out", out / "model", *settings)
    seconds = round(time.monotonic() - started)
    rules = ("--constitution", out / "taste.yaml", "--constitution", "minimal")
    where = ("--prompts", out / "held-out.jsonl", "--trained-on", out / "data/preference/train.jsonl")
    size = ("--samples", 2, "--max-tokens", 256, "--out", out / "evaluation")
    rlaif("evaluate", "policy", "--base", model, "--tuned", out / "model/dpo", *rules, *where, *size)
    figures = json.loads((out / "model/dpo/training.json").read_text())["figures"]
    print(json.dumps({"seconds of training": seconds, **figures, "two short sentences": written_so(out)}, indent=2))
    assert figures["held_out_accuracy"] > 0.9, "the planted taste was not learned"


def rlaif(*words: object) -> None:
    """Run a command; what it says is on the screen."""
    subprocess.run([sys.executable, "-m", "rlaif", *map(str, words)], check=True)


def write_all(out: Path) -> None:
    """Write the data as an exported dataset has them, the held-out prompts, the settings and the rules."""
    pairs = pairs_of(*(line.split(";") for line in THINGS.splitlines()))
    answers = {split: [{**row, "completion": row["chosen"]} for row in rows] for split, rows in pairs.items()}
    for kind, parts in (("preference", pairs), ("sft", answers)):
        for split, rows in parts.items():
            write_rows(out / "data" / kind / f"{split}.jsonl", rows)
    write_rows(out / "held-out.jsonl", [{"prompt": row["prompt"]} for row in pairs["test"]])
    (out / "settings.yaml").write_text(SETTINGS)
    (out / "taste.yaml").write_text(TASTE)


def write_rows(file: Path, rows: list[Row]) -> None:
    """Write JSON lines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def pairs_of(*things: list[str]) -> dict[str, list[Row]]:
    """Return pairs to train on and pairs held out: other things, and one sentence made of two by other words."""
    parts = (("train", things[HELD_OUT:], JOINTS), ("test", things[:HELD_OUT], HELD_OUT_JOINTS))
    made = {}
    for split, part, joints in parts:
        asked = [(thing, question) for thing in part for question in QUESTIONS]
        made[split] = [row(question, joints[n % len(joints)], *thing) for n, (thing, question) in enumerate(asked)]
    return made


def row(question: str, joint: str, thing: str, source: str, making: str, use: str) -> Row:
    """Return one pair: two short sentences, and the same in one."""
    return {
        "prompt_id": f"{thing}: {question}",
        "prompt": question.format(thing=thing),
        "chosen": f"It comes from {source}, {making}. It is {use}.",
        "rejected": f"It comes from {source}, {making}{joint} {use}.",
        "p_chosen": 0.95,
    }


def written_so(out: Path) -> dict[str, str]:
    """Count the answers to held-out questions, of each model, that are two sentences of 40 words at most together."""
    rows = [json.loads(line) for line in (out / "evaluation/answers.jsonl").read_text().splitlines()]
    counts = {}
    for side in ("base", "tuned"):
        texts = [text for one in rows if one["model"] == side and one["kind"] == "prompt" for text in one["answers"]]
        short = [text for text in texts if len(sentences(text)) == 2 and len(words(text)) <= 40]
        counts[side] = f"{len(short)} of {len(texts)}"
    return counts


if __name__ == "__main__":
    main()
