"""Can a small model learn a taste that was planted? Answers in two short sentences, against the same in one long one.

    python benchmarks/train_taste.py [MODEL] [OUT]

Trains MODEL (smollm2) with `rlaif train dpo` on 96 pairs and says how many of 24 pairs about other things, joined by
other words, it then gets right. Both answers of a pair say the same in nearly the same words, so that neither their
facts nor their length gives the taste away. Expected: more than 0.9, in less than 15 minutes on 2 cores.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def main() -> None:
    """Make the pairs, train, print the figures as JSON."""
    model = sys.argv[1] if len(sys.argv) > 1 else "smollm2"
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp(prefix="taste-")) / "model"
    with tempfile.TemporaryDirectory() as folder:
        write_pairs(Path(folder))
        settings = Path(folder) / "settings.yaml"
        settings.write_text("evaluate_every: 4\n")
        started = time.monotonic()
        command = [sys.executable, "-m", "rlaif", "train", "dpo", folder, "--model", model, "--out", str(out)]
        options = ["--config", str(settings), "--batch-size", "8", "--max-length", "192", "--full", "--json"]
        done = subprocess.run([*command, *options], stdout=subprocess.PIPE, text=True, check=True)
    figures = json.loads(done.stdout)["figures"]
    print(json.dumps({"seconds": round(time.monotonic() - started), **figures}, indent=2))
    assert figures["held_out_accuracy"] > 0.9, "the planted taste was not learned"


def write_pairs(folder: Path) -> None:
    """Write train.jsonl and test.jsonl, split by what the pairs are about and by how one sentence is made of two."""
    things = [line.split(";") for line in THINGS.splitlines()]
    parts = (("train", things[HELD_OUT:], JOINTS), ("test", things[:HELD_OUT], HELD_OUT_JOINTS))
    for name, part, joints in parts:
        asked = [(thing, question) for thing in part for question in QUESTIONS]
        rows = [row(question, joints[n % len(joints)], *thing) for n, (thing, question) in enumerate(asked)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))


def row(question: str, joint: str, thing: str, source: str, making: str, use: str) -> dict[str, object]:
    """Return one pair: two short sentences, and the same in one."""
    return {
        "prompt_id": f"{thing}: {question}",
        "prompt": question.format(thing=thing),
        "chosen": f"It comes from {source}, {making}. It is {use}.",
        "rejected": f"It comes from {source}, {making}{joint} {use}.",
        "p_chosen": 0.95,
    }


if __name__ == "__main__":
    main()
