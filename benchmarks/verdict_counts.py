"""Does `rlaif evaluate verdicts` say what a plain count says?

    python benchmarks/verdict_counts.py verdicts_both_orders.jsonl.gz

The file (LLMBar's published verdicts of six judges in both orders, github.com/princeton-nlp/LLMBar, MIT) isn't part of
this repository. The count here shares no code with the project: it runs the command and holds its JSON against loops.
"""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SHARES = {
    "order_agreement": lambda rows: ratio(row["winner_original"] == row["winner_swapped"] for row in rows if both(row)),
    "accuracy_original": lambda rows: ratio(right(row, "winner_original") for row in rows if row["winner_original"]),
    "accuracy_swapped": lambda rows: ratio(right(row, "winner_swapped") for row in rows if row["winner_swapped"]),
    "accuracy": lambda rows: ratio(
        right(row, order) for row in rows for order in ("winner_original", "winner_swapped") if row[order]
    ),
    "accuracy_agreed": lambda rows: ratio(right(row, "winner_original") for row in rows if agreed(row)),
    "agreed": lambda rows: ratio(agreed(row) for row in rows),
    "first": lambda rows: ratio(
        row[order] == shown_first
        for row in rows
        for order, shown_first in (("winner_original", "1"), ("winner_swapped", "2"))
        if row[order]
    ),
    "unreadable": lambda rows: ratio(
        row[order] is None for row in rows for order in ("winner_original", "winner_swapped")
    ),
}


def main() -> None:
    """Print how many figures are equal, and every one that is not."""
    file = Path(sys.argv[1])
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        rows = [json.loads(line) for line in lines]
    groups = equal = 0
    for by in ([], ["subset"]):
        for group in figures(file, by):
            groups += 1
            mine = [row for row in rows if of(row, group)]
            assert len(mine) == group["rows"], (group["judge"], group["strategy"], group["by"])
            for name, count in SHARES.items():
                plain, found = count(mine), group[name]["value"]
                if plain is None or found is None or abs(plain - found) > 1e-12:
                    print(f"{group['judge']} {group['strategy']} {group['by']}: {name} is {found}, counted {plain}")
                else:
                    equal += 1
    print(f"{len(rows):,} rows, {groups} groups: {equal} of {groups * len(SHARES)} figures equal a plain count")
    sys.exit(equal != groups * len(SHARES))


def figures(file: Path, by: list[str]) -> list[dict[str, Any]]:
    """Return what the command says of every group."""
    flags = [flag for column in by for flag in ("--by", column)]
    command = [sys.executable, "-m", "rlaif", "evaluate", "verdicts", str(file), *flags, "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["groups"]


def of(row: dict[str, Any], group: dict[str, Any]) -> bool:
    return (row["judge"], row["strategy"]) == (group["judge"], group["strategy"]) and all(
        row[column] == value for column, value in group["by"].items()
    )


def both(row: dict[str, Any]) -> bool:
    return row["winner_original"] is not None and row["winner_swapped"] is not None


def agreed(row: dict[str, Any]) -> bool:
    return both(row) and row["winner_original"] == row["winner_swapped"]


def right(row: dict[str, Any], order: str) -> bool:
    return row[order] == str(row["label"])


def ratio(hits: Iterable[bool]) -> float | None:
    hits = list(hits)
    return sum(hits) / len(hits) if hits else None


if __name__ == "__main__":
    main()
