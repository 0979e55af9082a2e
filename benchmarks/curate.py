"""Does `rlaif curate` find planted near-duplicates and test rows, and what does it cost?

    python -m benchmarks.curate [ROWS] [--by pair] [--keep K] [--ngram N] [--overlap SHARE]     # K 0: not that part

A corpus of pairs in the layout of an export: texts by a Markov chain over the words of this project's prompts and
constitutions, a tenth of them after one of 20 shared instructions. Planted are copies of prompts with known edits, and
prompts that contain a row of a test set of 1,000 with known edits. What is true of a planted row is counted here from
its texts: whether the Jaccard index of its shingles with the original's, or the share of n-grams that it shares with
the test row, reaches the threshold. The command runs in a process of its own, whose time and peak memory are reported.
"""

import argparse
import itertools
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
THRESHOLD = 0.8
EDITS = ("copy", "case and spaces", "1 word", "2 words", "3 words", "5 % of words", "10 % of words", "20 % of words")
DETECTORS = "refusal,hedging,boilerplate,echo,alike"
PLANTED = 0.1
"""Share of the rows that are planted near-duplicates; a tenth as many contain test rows."""


class Writer:
    """Writes texts by a Markov chain of words, each word after the one before it."""

    def __init__(self, rng: random.Random) -> None:
        files = [*ROOT.glob("data/*.jsonl"), *ROOT.glob("constitutions/*.yaml")]
        words = re.findall(r"[A-Za-z]+[,.?!]?", " ".join(file.read_text(encoding="utf-8") for file in sorted(files)))
        self.words, self._rng = words, rng
        self._next: dict[str, list[str]] = defaultdict(list)
        for one, other in itertools.pairwise(words):
            self._next[one].append(other)
        self.instructions = [self.text(16) for _ in range(20)]

    def text(self, length: int) -> str:
        """Return a text of `length` words."""
        word, found = self._rng.choice(self.words), []
        for _ in range(length):
            found.append(word)
            # one word in eight is drawn anew, so that the chain does not recite its source
            followers = self._next[word] if self._rng.random() > 0.125 else self.words
            word = self._rng.choice(followers or self.words)
        return " ".join(found)

    def prompt(self) -> str:
        """Return a text of 15 to 80 words, one in ten after an instruction that many share."""
        text = self.text(self._rng.randint(15, 80))
        return f"{self._rng.choice(self.instructions)} {text}" if self._rng.random() < 0.1 else text

    def edited(self, text: str, edit: str) -> str:
        """Return a text with an edit; words are replaced by other ones."""
        if edit == "copy":
            return text
        if edit == "case and spaces":
            return f"  {text.upper()}\n".replace(" ", "  ")
        words = text.split(" ")
        number = int(edit.split(maxsplit=1)[0])
        count = number if "%" not in edit else max(1, round(len(words) * number / 100))
        for place in self._rng.sample(range(len(words)), min(count, len(words))):
            words[place] = self._rng.choice(self.words)
        return " ".join(words)


def plant(rows: int, folder: Path, ngram: int) -> dict[str, dict[str, Any]]:
    """Write the corpus and the test set; return what was planted, by prompt id."""
    rng = random.Random(0)
    writer = Writer(rng)
    tests = [writer.text(rng.randint(20, 60)) for _ in range(1000)]
    (folder / "tests.jsonl").write_text(
        "".join(json.dumps({"id": f"t{n}", "question": t}) + "\n" for n, t in enumerate(tests))
    )
    copies, inside = int(rows * PLANTED), int(rows * PLANTED / 10)
    prompts = [writer.prompt() for _ in range(rows - copies - inside)]
    planted: dict[str, dict[str, Any]] = {}
    made = [(f"p{n}", prompt) for n, prompt in enumerate(prompts)]
    for n in range(copies):
        of, edit = rng.randrange(len(prompts)), EDITS[n % len(EDITS)]
        text = writer.edited(prompts[of], edit)
        planted[f"copy{n}"] = {"of": f"p{of}", "edit": edit, "similarity": jaccard(text, prompts[of])}
        made.append((f"copy{n}", text))
    for n in range(inside):
        of, edit = rng.randrange(len(tests)), EDITS[n % len(EDITS)]
        around = writer.text(rng.randint(0, 40)), writer.text(rng.randint(0, 40))
        text = f"{around[0]} {writer.edited(tests[of], edit)} {around[1]}"
        planted[f"test{n}"] = {"of": f"t{of}", "edit": edit, "similarity": shared(text, tests[of], ngram)}
        made.append((f"test{n}", text))
    rng.shuffle(made)
    write_dataset(made, writer, rng, folder / "source" / "preference")
    return planted


def write_dataset(made: list[tuple[str, str]], writer: Writer, rng: random.Random, folder: Path) -> None:
    """Write the pairs with all columns of an export."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from rlaif.datasets.columns import features
    from rlaif.runs.rows import PreferenceRow

    folder.mkdir(parents=True)
    schema = features(PreferenceRow).arrow_schema
    with pq.ParquetWriter(folder / "train.parquet", schema) as file:
        for start in range(0, len(made), 2000):
            part = [row(name, text, writer, rng) for name, text in made[start : start + 2000]]
            file.write_table(pa.Table.from_pylist(part, schema))


def row(name: str, text: str, writer: Writer, rng: random.Random) -> dict[str, Any]:
    """Return one pair."""
    p = rng.uniform(0.5, 1)
    responses = [[{"role": "assistant", "content": writer.text(rng.randint(20, 120))}] for _ in range(2)]
    return {
        "prompt": [{"role": "user", "content": text}], "chosen": responses[0], "rejected": responses[1], "p_chosen": p,
        "p_chosen_from": "posterior", "p_raw": p, "p_margin": p - 0.5, "score_chosen": 1.0, "score_rejected": -1.0,
        "chosen_origin": "sample", "rejected_origin": "sample", "chosen_model": "m", "rejected_model": "m",
        "chosen_id": "s0", "rejected_id": "s1", "prompt_id": name, "tags": ["planted"],
        "principles": [{"id": f"rule{n}", "p": p} for n in range(6)], "objecting": [], "critic": "m",
        "constitution": "c", "constitution_hash": "0" * 12,
    }  # fmt: skip


def jaccard(one: str, other: str) -> float:
    """Return the Jaccard index of the five-character shingles, counted without the code under test."""
    a, b = ({t[i : i + 5] for i in range(len(t) - 4)} for t in (" ".join(x.lower().split()) for x in (one, other)))
    return len(a & b) / len(a | b)


def shared(one: str, other: str, size: int) -> float:
    """Return the share of shared n-grams, counted without the code under test."""
    a, b = (re.findall(r"[a-z]+", text.lower()) for text in (one, other))
    grams = [{" ".join(words[i : i + size]) for i in range(len(words) - size + 1)} for words in (a, b)]
    return len(grams[0] & grams[1]) / min(map(len, grams))


def timed(*arguments: str) -> tuple[float, float, float]:
    """Run the command line; return (seconds, seconds of CPU, peak MiB)."""
    started = time.monotonic()
    child = os.posix_spawn(sys.executable, [sys.executable, "-m", "rlaif", *arguments], os.environ)
    _, status, used = os.wait4(child, 0)
    if status:
        sys.exit("the command failed")
    return time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def dropped(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the dropped rows."""
    with (folder / "dropped.jsonl").open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def report(name: str, kind: str, least: float, planted: dict[str, dict[str, Any]], pairs: set[tuple[str, str]]) -> None:
    """Print recall by edit, and precision: the share of the dropped rows that match a row of the same original."""
    found = {name for pair in pairs for name in pair}
    print(f"\n| {name} | planted | at least {least:g} | of these found | below, but dropped |\n|---|---|---|---|---|")
    counts: dict[str, Counter[str]] = {edit: Counter() for edit in (*EDITS, "all")}
    for one, about in planted.items():
        if one.startswith(kind):
            near = about["similarity"] >= least
            for edit in (about["edit"], "all"):
                counts[edit].update(
                    {"planted": 1, "near": near, "found": near and one in found, "more": not near and one in found}
                )
    for edit, n in counts.items():
        print(f"| {edit} | {n['planted']:,} | {n['near']:,} | {n['found']:,} | {n['more']:,} |")
    original = {one: about["of"] for one, about in planted.items()}
    right = sum(original.get(one, one) == original.get(other, other) for one, other in pairs)
    recall = counts["all"]["found"] / counts["all"]["near"]
    print(f"\nrecall {recall:.4f}, precision {right / len(pairs):.4f} ({right:,} of {len(pairs):,})")


def main() -> None:
    """Plant, run and report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="?", type=int, default=100_000)
    parser.add_argument("--by", default="prompt")
    parser.add_argument("--keep", type=int, default=10_000)
    parser.add_argument("--ngram", type=int, default=13)
    parser.add_argument("--overlap", type=float, default=0.3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pid = os.fork()  # planting uses more memory than curating, and must not count
        if not pid:
            (folder / "planted.json").write_text(json.dumps(plant(asked.rows, folder, asked.ngram)))
            os._exit(0)
        os.waitpid(pid, 0)
        planted = json.loads((folder / "planted.json").read_text())
        source, out = str(folder / "source"), str(folder / "out")
        near = ("--near-duplicates", str(THRESHOLD), "--near-by", asked.by)
        against = (
            "--against",
            str(folder / "tests.jsonl"),
            "--ngram",
            str(asked.ngram),
            "--overlap",
            str(asked.overlap),
        )
        alone = {
            "duplicates and test rows": (*near, *against),
            "the same, detectors, best and diverse": (
                *near, *against, "--drop", DETECTORS, "--keep-best", str(asked.keep), "--diverse",
            ),
        }  # fmt: skip
        for number, (what, options) in enumerate(list(alone.items())[: 2 if asked.keep else 1]):
            seconds, cpu, peak = timed("curate", source, "--out", out, *options)
            print(
                f"{what}: {asked.rows:,} rows in {seconds:.0f} s ({cpu:.0f} s of CPU), peak {peak:.0f} MiB\n",
                flush=True,
            )
            if number == 0:
                rows = list(dropped(Path(out)))
                by = {
                    reason: {(one["id"], one["match"]["id"]) for one in rows if one["reason"] == reason}
                    for reason in ("near-duplicate", "near a test row")
                }
                if asked.by == "prompt":
                    report("near-duplicates", "copy", THRESHOLD, planted, by["near-duplicate"])
                report("test rows", "test", asked.overlap, planted, by["near a test row"])
        print("\nload average beside it:", " ".join(f"{one:.1f}" for one in os.getloadavg()))


if __name__ == "__main__":
    main()
