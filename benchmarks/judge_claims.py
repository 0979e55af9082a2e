"""What `rlaif evaluate judge` says of a judge's probabilities, where the truth is known.

    python -m benchmarks.judge_claims [SETS]

SETS (default 1,000) sets of labelled items for each row. A judge's log-odds are SCALE times the right ones: 1 is
calibrated, 2 and 3 are overconfident, 0.5 underconfident. With 4 items in a prompt, their log-odds share part of their
variance. Printed: how often the test of calibration rejects at 5 %; how often the note "its probabilities are off"
appears; the calibration error, on average and in truth; how often the interval of the confidence's AUROC contains the
true value, of the sets with an interval; and what is said of soft labels. Then how often a coin passes the gate.
"""

import sys
from statistics import fmean

import numpy as np

from rlaif.evaluate.confidence import calibration_error, confidence_auroc, spiegelhalter
from rlaif.evaluate.fitness import CALIBRATION_ERROR, SIGNIFICANT, soft_labels
from rlaif.evaluate.gate import needed
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.stats.estimates import Array

SD = 1.2
SCALES = (1.0, 2.0, 3.0, 0.5)
ITEMS = (30, 100, 400)


def sigmoid(x: Array) -> Array:
    """Return the probabilities of log-odds."""
    result: Array = 1 / (1 + np.exp(-x))
    return result


def logits_of_better(
    rng: np.random.Generator, items: int, scale: float, in_prompt: int
) -> tuple[np.ndarray, list[int]]:
    """Return log-odds of the better response, (items,), and the items' prompts."""
    prompts = np.arange(items) // in_prompt
    shared = 0.3 * (in_prompt > 1)
    difference = SD * ((1 - shared) ** 0.5 * rng.normal(size=items) + shared**0.5 * rng.normal(size=items)[prompts])
    better = rng.random(items) < sigmoid(difference)
    return scale * np.where(better, difference, -difference), prompts.tolist()


def truth_of(scale: float) -> tuple[float, float]:
    """Return the true calibration error and the true AUROC of the confidence."""
    x, _ = logits_of_better(np.random.default_rng(1), 1_000_000, scale, 1)
    size = np.abs(x)
    named = size >= TIE_LOGIT
    error = float(np.sqrt(np.mean((sigmoid(size) - sigmoid(size / scale)) ** 2)))
    right, wrong = size[named & (x > 0)], np.sort(size[named & (x < 0)])
    return error, float((np.searchsorted(wrong, right) / len(wrong)).mean())


def row(scale: float, items: int, in_prompt: int, sets: int) -> str:
    """Return one line of the table."""
    error, auroc = truth_of(scale)
    rejected, noted, errors, contained, said = [], [], [], [], []
    for seed in range(sets):
        x, prompts = logits_of_better(np.random.default_rng([seed, items, in_prompt]), items, scale, in_prompt)
        test = spiegelhalter(sigmoid(x), prompts)
        errors.append(calibration_error(sigmoid(x), prompts).value or 0.0)
        rejected.append((test.p_value or 0.0) < SIGNIFICANT)
        noted.append(rejected[-1] and errors[-1] > CALIBRATION_ERROR)
        found = confidence_auroc(x, prompts)
        said.append(soft_labels(found))
        if found.low is not None:
            contained.append(found.holds(auroc))
    covered = f"{fmean(contained):.1%} of {len(contained)}" if contained else "–"
    words = ", ".join(f"{word} {said.count(word) / sets:.0%}" for word in ("fit", "unfit", "unknown"))
    return (
        f"| {scale:g} | {items} | {in_prompt} | {fmean(rejected):.1%} | {fmean(noted):.1%} | {fmean(errors):.3f} | "
        f"{error:.3f} | {covered} | {words} |"
    )


def main() -> None:
    """Print the tables."""
    sets = int((sys.argv[1:] or ["1000"])[0])
    print(
        "| scale | items | in a prompt | rejected | noted | error, mean | error, true | AUROC contained | soft labels |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for in_prompt in (1, 4):
        for scale in SCALES:
            for items in ITEMS:
                print(row(scale, items, in_prompt, sets), flush=True)
    print("\n| labels of the gate | must be right for `accuracy: 0.65` | a coin passes |\n|---|---|---|")
    rng = np.random.default_rng(0)
    for labels in (10, 20, 32, 100):
        least = needed(0.65, labels)
        assert least is not None
        print(f"| {labels} | {least} | {np.mean(rng.binomial(labels, 0.5, 1_000_000) >= least):.3%} |")


if __name__ == "__main__":
    main()
