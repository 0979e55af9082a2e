"""Can a small model learn a taste that was planted? Answers in two short sentences, against the same in one long one.

    python benchmarks/train_taste.py [MODEL] [OUT]

Trains MODEL (smollm2) with `rlaif train dpo` on 96 pairs whose facts are the same on both sides, and says how many of
24 pairs about other things it then gets right. Expected: more than 0.9, in less than 15 minutes on 2 cores.
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
HELD_OUT = 4
"""Things that no training pair is about."""


def main() -> None:
    """Make the pairs, train, print the figures as JSON."""
    model = sys.argv[1] if len(sys.argv) > 1 else "smollm2"
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp(prefix="taste-")) / "model"
    with tempfile.TemporaryDirectory() as folder:
        write_pairs(Path(folder))
        started = time.monotonic()
        command = [sys.executable, "-m", "rlaif", "train", "dpo", folder, "--model", model, "--out", str(out)]
        options = ["--max-length", "192", "--batch-size", "8", "--full", "--json"]
        done = subprocess.run([*command, *options], stdout=subprocess.PIPE, text=True, check=True)
    figures = json.loads(done.stdout)["figures"]
    print(json.dumps({"seconds": round(time.monotonic() - started), **figures}, indent=2))
    assert figures["held_out_accuracy"] > 0.9, "the planted taste was not learned"


def write_pairs(folder: Path) -> None:
    """Write train.jsonl and test.jsonl, split by what the pairs are about."""
    things = [line.split(";") for line in THINGS.splitlines()]
    for name, part in (("train", things[HELD_OUT:]), ("test", things[:HELD_OUT])):
        rows = [row(question, *thing) for thing in part for question in QUESTIONS]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))


def row(question: str, thing: str, source: str, making: str, use: str) -> dict[str, object]:
    """Return one pair; both answers say the same three things."""
    return {
        "prompt_id": f"{thing}: {question}",
        "prompt": question.format(thing=thing),
        "chosen": f"It comes from {source}, {making}. It is {use}.",
        "rejected": (
            f"That is something which comes from {source}, and which, once it has been {making}, as has been done for "
            f"a very long time, is then {use}, so that it is known to nearly everybody, wherever they may live"
        ),
        "p_chosen": 0.95,
    }


if __name__ == "__main__":
    main()
