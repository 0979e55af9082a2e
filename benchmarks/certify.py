"""Does `rlaif certify` hold what it claims, how much does it keep, and are labels of a shifted sample refused?

    python -m benchmarks.certify [ROUNDS]

1. **Violations**: worlds of 5,000 pairs with labels that are right with a known probability; a random sample of them is
   labelled, and a violation is a certificate whose kept pairs have more wrong labels than it claims, counted over all
   of them. By chance alone, 5 % are allowed.
2. **Kept**: pairs kept, relative to the largest set above a threshold that the truth allows (the oracle's).
3. **Shifted samples**: how often the shift test refuses random samples, and samples of some pairs only.

The worlds are in `tests/stats/planted_samples.py`.
"""

import sys

import numpy as np

from tests.stats.planted_samples import DRAWS, WORLDS, Found, refused, study

ERRORS = (0.05, 0.1, 0.2)
LABELS = (50, 200, 1000)
MORE_LABELS = (100, 200, 400, 800, 1600, 3200)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print("| world | error | labels | violations | something certified | kept, of the oracle's |")
    print("|---|---|---|---|---|---|")
    for world in WORLDS:
        for error in ERRORS:
            for labels in LABELS:
                print(row(world, error, labels, study(world, error, labels, rounds)), flush=True)
    print("\n| kept, of the oracle's | error | drawn from | " + " | ".join(map(str, MORE_LABELS)) + " |")
    for world in ("calibrated", "coarse", "heavy tails", "overconfident"):
        for error in ERRORS:
            for focused in (False, True):
                kept = [
                    study(world, error, labels, max(1, rounds // 10), focused=focused).kept for labels in MORE_LABELS
                ]
                drawn = "those above --min-p" if focused else "all pairs"
                print(
                    f"| {world} | {error:g} | {drawn} | " + " | ".join(f"{one:.2f}" for one in kept) + " |", flush=True
                )
    print("\nrefused by the shift test")
    for name, draw in DRAWS.items():
        print(name, {labels: refused(draw, labels, rounds) for labels in LABELS}, flush=True)


def row(world: str, error: float, labels: int, found: Found) -> str:
    kept = "–" if np.isnan(found.kept) else f"{found.kept:.2f}"
    return f"| {world} | {error:g} | {labels:,} | {found.violations:.1%} | {found.certified:.0%} | {kept} |"


if __name__ == "__main__":
    main()
