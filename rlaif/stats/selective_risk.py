"""The largest set of rows with a score of at least a threshold whose share of wrong rows is shown to be small.

Input: the scores of all N rows of a finite table, and for a simple random sample of them whether the row is wrong.
Output: a threshold such that, with the wanted confidence over the draw of the sample, at most `error` of all rows at or
above it are wrong; or None. It is learn-then-test (Angelopoulos et al. 2021, arXiv:2110.01052) for the sets of a table:

- **One set.** Given how many sampled rows are in a set, they are a simple random sample of it, so that the number of
  wrong ones is hypergeometric, whatever the labels depend on. The p-value of "more than `error` are wrong" is exact
  and, because the table is finite, smaller than the binomial one (Clopper and Pearson 1934).
- **Many sets.** Up to 101 nested sets are tested from the highest threshold down by the fallback procedure (Wiens
  2003; Wiens and Dmitrienko 2005), which controls the probability of any false claim whatever the dependence: each
  test may use its own share of alpha, and what the tests directly before it used if they succeeded. With a single
  share it is fixed-sequence testing.
- **The shares** depend on the scores and the size of the sample alone (`_shares`). A sequence that starts at a very
  small set often fails at once, and one that starts at a large set cannot find that only the highest scores are
  reliable; so alpha is divided among a few starts, each expected to have three times the labels of the one before.

The guarantee needs no calibrated scores; only the choice of the starts takes them as probabilities. Sets below a region
of wrong rows are reached only from a start below it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SETS = 101
"""Most nested sets that are tested; their sizes are equally spaced."""
SPACING = 3
"""Ratio of the numbers of labels of two starts."""
LIKELY = 0.5
"""Least probability of success, if the scores are right, with which a start gets a share of alpha."""
RESERVED = 0.05
"""Share of alpha for the whole table, which may pass although its scores are low."""


@dataclass(frozen=True)
class NestedSets:
    """The sets of a table that are tested, from the smallest to the largest, before any label is known."""

    thresholds: Floats
    """(s,) lowest score in each set, decreasing."""
    rows: Ints
    """(s,) rows of the table in each set."""
    labels: Ints
    """(s,) sampled rows in each set."""
    places: Ints
    """(n,) for each sampled row, the first set that contains it; s for none."""
    too_many: Ints
    """(s,) the least number of wrong rows in the set that violates the claim."""
    shares: Floats
    """(s,) share of alpha that each test has by itself; they sum to at most 1."""
    alpha: float

    def wrong_labels(self, wrong: Bools) -> Ints:
        """Return the (s,) wrong labels in each set, from (n,) whether each sampled row is wrong."""
        counts = np.bincount(self.places[wrong], minlength=len(self.rows) + 1)[:-1]
        return np.cumsum(counts)

    def largest(self, wrong: Bools) -> int | None:
        """Return the largest set for which the claim is shown, or None; `wrong` is (n,)."""
        passed, carried = None, 0.0
        for place, p in enumerate(_at_most(self.wrong_labels(wrong), self.rows, self.too_many, self.labels)):
            available = carried + self.shares[place] * self.alpha
            succeeds = available > 0 and p <= available
            passed = place if succeeds else passed
            carried = available if succeeds else 0.0
        return passed


def nested_sets(scores: Floats, sample: Ints, error: float, alpha: float) -> NestedSets:
    """Return the sets to test.

    `scores`: (N,) of all rows, taken as probabilities that a row is right. `sample`: (n,) different positions of the
    sampled rows. `error`: largest share of wrong rows in the claim. `alpha`: 1 - confidence.
    """
    falling = -np.sort(-scores)
    ends = np.unique(np.linspace(1, len(scores), SETS).round().astype(np.int64))
    thresholds = -np.unique(-falling[ends - 1])
    rows = np.searchsorted(-falling, -thresholds, side="right")
    places = np.searchsorted(-thresholds, -scores[sample], side="left")
    labels = np.cumsum(np.bincount(places, minlength=len(rows) + 1)[:-1])
    too_many = np.floor(error * rows + 1e-9).astype(np.int64) + 1
    wrong = np.round(np.cumsum(1 - falling)[rows - 1]).astype(np.int64)
    expected = len(sample) * rows / len(scores)
    fewer = np.floor(expected - np.sqrt(expected * (1 - rows / len(scores))) + 1e-9).astype(np.int64)
    shares = _shares(rows, np.maximum(fewer, 0), too_many, wrong, alpha)
    return NestedSets(thresholds, rows, labels, places, too_many, shares, alpha)


def fewest_labels(error: float, alpha: float) -> int:
    """Return the fewest labels, none of them wrong, that show a claim about a large set: 29 for 0.1 and 0.05."""
    return int(np.ceil(np.log(alpha) / np.log1p(-error)))


def _shares(rows: Ints, labels: Ints, too_many: Ints, wrong: Ints, alpha: float) -> Floats:
    """Return the (s,) shares of alpha; all zero where no set can pass.

    `labels` and `wrong` are expected numbers of labels (a standard deviation less) and of wrong rows, not seen ones:
    shares that depended on the draw would not be fixed beforehand. The starts are the first set that passes with two
    wrong labels, and the first ones with 3, 9, … times as many labels. Starts that would rarely pass are left out; if
    all would, the set that passes most often is the only one. A small share is for the whole table.
    """
    shares = np.zeros(len(rows))
    allowed = _most_wrong(rows, labels, too_many, alpha)
    if allowed.max() < 0:
        return shares
    likely = np.where(allowed < 0, 0.0, _at_most(np.maximum(allowed, 0), rows, np.minimum(wrong, rows), labels))
    wanted = labels[np.argmax(allowed >= 2)] if allowed.max() >= 2 else labels[-1] + 1
    starts = []
    while wanted <= labels[-1]:
        starts.append(int(np.argmax(labels >= wanted)))
        wanted = labels[starts[-1]] * SPACING
    starts = [start for start in starts if likely[start] >= LIKELY] or [int(np.argmax(likely))]
    shares[starts] = 1 / len(starts)
    if allowed[-1] >= 0:
        shares *= 1 - RESERVED
        shares[-1] += RESERVED
    return shares


def _most_wrong(rows: Ints, labels: Ints, too_many: Ints, alpha: float) -> Ints:
    """Return the (s,) most wrong labels with which each set passes at alpha; -1 where none passes."""
    from scipy.stats import hypergeom  # noqa: PLC0415  (half a second)

    found = hypergeom.ppf(alpha, rows, too_many, labels).astype(np.int64)
    return np.where(_at_most(found, rows, too_many, labels) <= alpha, found, found - 1)


def _at_most(count: Ints, rows: Ints, wrong: Ints, labels: Ints) -> Floats:
    """Return P(at most `count` wrong rows in a sample of `labels` out of `rows`, of which `wrong` are wrong)."""
    from scipy.stats import hypergeom  # noqa: PLC0415

    found: Floats = hypergeom.cdf(count, rows, wrong, labels)
    return found
