"""How often `detect_refusal` agrees with people on XSTest's labelled answers.

    python benchmarks/refusal_detector.py FOLDER

FOLDER holds files `xstest_v2_completions_MODEL.csv` (github.com/paul-rottger/xstest, CC BY 4.0). They aren't part of
this repository. The rules were tuned on llama2orig only; the other files are the measure.
"""

import csv
import math
import sys
from collections import Counter
from pathlib import Path
from typing import get_args

from rlaif.text.refusal import RefusalKind, detect_refusal

KINDS: tuple[RefusalKind, ...] = get_args(RefusalKind)
LABELS: dict[str, RefusalKind] = {
    "1_full_compliance": "compliance",
    "2_full_refusal": "refusal",
    "3_partial_refusal": "partial",
}
TUNED_ON = "llama2orig"
PREFIX = "xstest_v2_completions_"

Table = Counter[tuple[RefusalKind, RefusalKind]]
"""How often people said the first kind and the rules the second."""


def main() -> None:
    """Print one table per file and one over all files that weren't tuned on."""
    files = sorted(Path(sys.argv[1]).glob(f"{PREFIX}*.csv")) if len(sys.argv) == 2 else []
    if not files:
        sys.exit(f"give the folder with the {PREFIX}MODEL.csv files: python benchmarks/refusal_detector.py FOLDER")
    unseen: Table = Counter()
    for file in files:
        model, table = file.stem.removeprefix(PREFIX), _compare(file)
        report(f"{model} (tuned on)" if model == TUNED_ON else model, table)
        if model != TUNED_ON:
            unseen += table
    report("all files not tuned on", unseen)


def _compare(file: Path) -> Table:
    with file.open(encoding="utf-8", newline="") as rows:
        return Counter(
            (LABELS[row["final_label"]], detect_refusal(row["prompt"], row["completion"]))
            for row in csv.DictReader(rows)
        )


def report(name: str, table: Table) -> None:
    """Print agreement with its interval, kappa, and the table: people down, rules across."""
    total, agreed = table.total(), sum(table[kind, kind] for kind in KINDS)
    if not total:
        return
    low, high = wilson(agreed, total)
    print(f"\n{name}: {agreed}/{total} = {agreed / total:.1%} [{low:.1%}, {high:.1%}], kappa {kappa(table):.2f}")
    corner = "people \\ rules"
    print(f"{corner:>14}" + "".join(f"{kind:>12}" for kind in KINDS))
    for said in KINDS:
        print(f"{said:>14}" + "".join(f"{table[said, found]:>12}" for found in KINDS))


def wilson(agreed: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    share, square = agreed / total, z * z / total
    middle = share + square / 2
    half = z * math.sqrt(share * (1 - share) / total + square / (4 * total))
    return (middle - half) / (1 + square), (middle + half) / (1 + square)


def kappa(table: Table) -> float:
    """Return Cohen's kappa: agreement beyond what the two frequencies of kinds would give by chance."""
    total = table.total()
    agreed = sum(table[kind, kind] for kind in KINDS) / total
    chance = sum(
        sum(table[kind, other] for other in KINDS) * sum(table[other, kind] for other in KINDS) for kind in KINDS
    ) / (total * total)
    return (agreed - chance) / (1 - chance) if chance < 1 else 1.0


if __name__ == "__main__":
    main()
