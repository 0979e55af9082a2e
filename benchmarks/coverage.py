"""How often the 95 % intervals that the program prints contain the true value, by the number of prompts.

Each prompt has 1 to 8 matchups (or responses), which depend on one another: half of the variance of what they are made
of is their prompt's. The true value is that of the same estimator on 200,000 prompts. Rows with an asterisk have one
value per prompt, as in the commands that print them.

python benchmarks/coverage.py [--rounds 1000] [--kinds NAME ...] [--prompts 3 5 8 12 30 100 400] [--fewest 5]
"""

import argparse
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from rlaif.compare.metrics import beyond_noise
from rlaif.evaluate.policy.gains_and_losses import SIDES, Measure, Unit, function_line, paired_tallies, ratio_line
from rlaif.preferences.contributions import correlation_of
from rlaif.stats import estimates, jackknife
from rlaif.stats.estimates import Estimate, Tallies, Tally, kappa_of, median_interval, wilson
from rlaif.stats.log_odds import sigmoid
from rlaif.stats.regression import coefficient, linear, logistic

Array = npt.NDArray[np.float64]
Rng = np.random.Generator
PROMPTS = (3, 5, 8, 12, 30, 100, 400)
MANY = 200_000


class World:
    """Prompts with one to eight matchups each, or with one."""

    def __init__(self, rng: Rng, prompts: int, most: int = 8) -> None:
        self.rng = rng
        self.prompts = prompts
        self.places = np.repeat(np.arange(prompts), rng.integers(1, most + 1, prompts))

    def normal(self, shared: float = 0.5) -> Array:
        """Return a standard normal value of each matchup, of whose variance `shared` is the prompt's."""
        common = self.rng.normal(size=self.prompts)[self.places]
        return shared**0.5 * common + (1 - shared) ** 0.5 * self.rng.normal(size=len(self.places))

    def events(self, share: float, shared: float = 0.5) -> Array:
        """Return 1 for a share of the matchups, else 0."""
        return (self.normal(shared) < ndtri(share)).astype(float)

    def tallies(self, **values: Array) -> list[Tally]:
        """Return the sums of each prompt."""
        sums = {name: np.bincount(self.places, of, self.prompts).tolist() for name, of in values.items()}
        return [Tally(zip(sums, row, strict=True)) for row in zip(*sums.values(), strict=True)]

    def ratio(self, values: Array, *, share: bool = False) -> Estimate:
        """Return the mean of values."""
        return Tallies(self.tallies(x=values, n=np.ones(len(values)))).ratio("x", "n", share=share)


def share_of(share: float) -> Callable[[World], Estimate]:
    return lambda world: world.ratio(world.events(share), share=True)


def probability(world: World) -> Estimate:
    return world.ratio(sigmoid_of(0.5 + 2 * world.normal()))


def label_mass(world: World) -> Estimate:
    return world.ratio(sigmoid_of(4 + 2 * world.normal()))


def squared_error(world: World) -> Estimate:
    logit = 1 + 2 * world.normal()
    return world.ratio((1 - sigmoid_of(logit)) ** 2)


def words(world: World) -> Estimate:
    return world.ratio(np.exp(5 + 0.6 * world.normal()))


def hedges(world: World) -> Estimate:
    """Hedges per 100 words; three quarters of the responses have none."""
    found = np.maximum(0, world.normal() - ndtri(0.75)) * 3
    length = np.exp(0.4 * world.normal())
    return Tallies(world.tallies(x=found, n=length)).ratio("x", "n", share=False)


def log_odds(world: World) -> Estimate:
    """The mean of values with heavier tails than normal ones (Student's t with 5 degrees of freedom)."""
    heavy = world.normal() / np.sqrt(world.rng.chisquare(5, len(world.places)) / 5)
    return world.ratio(0.3 + heavy)


def rank_correlation(world: World) -> Estimate:
    """Kendall's tau of three or four candidates: multiples of a third, one value per prompt."""
    return world.ratio(np.round(np.clip(0.6 + 0.6 * world.normal(), -1, 1) * 3) / 3)


def difference(above: Callable[[World], tuple[Array, Array]], unit: Unit = "share") -> Callable[[World], Estimate]:
    """Return the line of two models; their values of one prompt depend on one another."""

    def estimate(world: World) -> Estimate:
        values, ones = above(world), np.ones(len(world.places))
        each = [world.tallies(x=of, n=ones) for of in values]
        tallies = [dict(zip(SIDES, both, strict=True)) for both in zip(*each, strict=True)]
        line = ratio_line(paired_tallies(tallies), Measure("x", "manner", "x", "lower", unit), "x", "n")
        return line.difference

    return estimate


def two_shares(one: float, other: float) -> Callable[[World], tuple[Array, Array]]:
    def events(world: World) -> tuple[Array, Array]:
        prompt = world.rng.normal(size=world.prompts)[world.places]
        base, tuned = (0.7 * prompt + 0.7 * world.normal() for _ in SIDES)
        return (base < ndtri(one)) * 1.0, (tuned < ndtri(other)) * 1.0

    return events


def two_lengths(world: World) -> tuple[Array, Array]:
    prompt = world.rng.normal(size=world.prompts)[world.places]
    return np.exp(5 + 0.4 * prompt + 0.4 * world.normal()), np.exp(5.2 + 0.4 * prompt + 0.4 * world.normal())


def perplexities(world: World) -> Estimate:
    def tallies(mean: float) -> list[Tally]:
        tokens = np.round(np.exp(4 + 0.5 * world.normal())) + 1
        return world.tallies(nats=tokens * np.exp(mean + 0.2 * world.normal()), tokens=tokens)

    pairs = [dict(zip(SIDES, both, strict=True)) for both in zip(tallies(1.0), tallies(1.1), strict=True)]
    measure = Measure("x", "drift", "x", "lower", "number")

    def exp(totals: Array) -> Array:
        return np.asarray(np.exp(totals[0] / totals[1]))

    return function_line(paired_tallies(pairs), measure, exp, ["nats", "tokens"], of="tokens").difference


def kappa(world: World) -> Estimate:
    first, flips = world.events(0.4), world.events(0.25)
    second = np.abs(first - flips)
    cells = {f"{a}{b}": ((first == a) & (second == b)).astype(float) for a in (1, 0) for b in (1, 0)}
    found = Tallies(world.tallies(n=np.ones(len(first)), **cells))
    return found.function(kappa_of, list(cells), of=["n"], scale="correlation")


def correlation(world: World) -> Estimate:
    x = 2 * world.normal()
    y = 0.6 * x + 1.6 * world.normal()
    found = Tallies(world.tallies(n=np.ones(len(x)), x=x, y=y, xx=x * x, yy=y * y, xy=x * y))
    return found.function(correlation_of, ["n", "x", "y", "xx", "yy", "xy"], of=["n"], scale="correlation")


def flips_beyond_noise(world: World) -> Estimate:
    """Two rule sets that label 80 and 50 % of the matchups `a`, each twice."""
    shared, ones = world.normal(), np.ones(len(world.places))
    labels = [(shared + 0.7 * world.normal() < limit) * 1.0 for limit in (0.8, 0.8, 0.0, 0.0)]
    flips = {
        "across": (np.abs(labels[0] - labels[3]) + np.abs(labels[1] - labels[2])),
        "one": np.abs(labels[0] - labels[1]),
        "other": np.abs(labels[2] - labels[3]),
    }
    found = Tallies(world.tallies(n=ones, nn=2 * ones, **flips))
    return beyond_noise(found, ["across", "nn", "one", "n", "other", "n"])


def median(world: World) -> Estimate:
    return median_interval(0.3 + world.normal() + 0.5 * np.abs(world.normal()), world.places)


def length_effect(world: World) -> Estimate:
    x = 0.4 * world.normal()
    return coefficient(linear, x[:, None], 0.7 * x + 1.5 * world.normal(), world.places.tolist())


def length_choice(world: World) -> Estimate:
    x = 0.4 * world.normal()
    p = sigmoid_of(0.7 * x + 1.5 * world.normal())
    return coefficient(logistic, x[:, None], p, world.places.tolist())


def length_at_label(world: World) -> Estimate:
    x = 0.1 + 0.4 * world.normal()
    both = np.column_stack([x, np.ones(len(x))])
    return coefficient(linear, both, 0.7 * x + 1 + 1.5 * world.normal(), world.places.tolist())


def temperature_slope(world: World) -> Estimate:
    logit = 2 * world.normal()
    right = world.rng.random(len(logit)) < sigmoid_of(0.6 * logit)
    return recalibrate_slope(np.where(right, logit, -logit), world)


def recalibrate_slope(logits: Array, world: World) -> Estimate:
    return coefficient(logistic, logits[:, None], np.ones(len(logits)), world.places.tolist())


def win_rate(world: World) -> Estimate:
    return world.ratio((world.rng.random(len(world.places)) < 0.6) * 1.0, share=True)


def equal_length(world: World) -> Estimate:
    x = 0.4 + 0.3 * world.normal()
    won = (world.rng.random(len(x)) < sigmoid_of(0.3 + 2 * x)) * 1.0
    found = coefficient(logistic, np.column_stack([np.ones(len(x)), x]), won, world.places.tolist())
    ends = {end: None if value is None else sigmoid(value) for end, value in vars(found).items() if end in ENDS}
    return found.model_copy(update=ends)


ENDS = ("value", "low", "high")


def wilsons(world: World) -> Estimate:
    return wilson(int((world.rng.random(world.prompts) < 0.8).sum()), world.prompts)


def sigmoid_of(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def one_value(estimate: Callable[[World], Estimate]) -> Callable[[World], Estimate]:
    """Return the estimate with one value per prompt."""
    return lambda world: estimate(World(world.rng, world.prompts, most=1))


KINDS: dict[str, Callable[[World], Estimate]] = {
    "share of 50 %": share_of(0.5),
    "share of 80 %": share_of(0.8),
    "share of 10 %": share_of(0.1),
    "share of 3 %": share_of(0.03),
    "share of 97 %": share_of(0.97),
    "win rate*": one_value(win_rate),
    "share by Wilson* (exact below 5)": wilsons,
    "mean probability": probability,
    "label mass": label_mass,
    "Brier score": squared_error,
    "words": words,
    "hedges per 100 words": hedges,
    "mean log-odds": log_odds,
    "rank correlation*": one_value(rank_correlation),
    "difference of shares, 30 and 40 %": difference(two_shares(0.3, 0.4)),
    "difference of shares, 5 and 10 %": difference(two_shares(0.05, 0.1)),
    "difference of shares, 3 and 3 %": difference(two_shares(0.03, 0.03)),
    "difference of words": difference(two_lengths, "number"),
    "difference of perplexities*": one_value(perplexities),
    "kappa": kappa,
    "correlation of log-odds": correlation,
    "flips beyond noise": flips_beyond_noise,
    "median position bias": median,
    "length effect, linear": length_effect,
    "length effect, logistic": length_choice,
    "length effect at a fixed label*": one_value(length_at_label),
    "slope of the log-odds*": one_value(temperature_slope),
    "win rate at equal length*": one_value(equal_length),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--prompts", nargs="*", type=int, default=list(PROMPTS))
    parser.add_argument(
        "--fewest", type=int, default=jackknife.FEWEST, help="Fewest prompts for an interval; 4 or more."
    )
    given = parser.parse_args()
    jackknife.FEWEST = estimates.FEWEST = given.fewest
    print("| estimate | " + " | ".join(map(str, given.prompts)) + " |")
    print("|---" * (len(given.prompts) + 1) + "|")
    for kind in given.kinds:
        truth = KINDS[kind](World(np.random.default_rng(0), MANY)).value or 0.0
        cells = [coverage(kind, prompts, truth, given.rounds) for prompts in given.prompts]
        print(f"| {kind} | " + " | ".join(cells) + " |", flush=True)


def coverage(kind: str, prompts: int, truth: float, rounds: int) -> str:
    """Return the share of the intervals that contain the truth; in brackets, how many rounds gave none."""
    found = [KINDS[kind](World(np.random.default_rng([1, prompts, turn]), prompts)) for turn in range(rounds)]
    known = [estimate for estimate in found if estimate.low is not None and estimate.high is not None]
    if not known:
        return "none"
    text = f"{100 * sum(estimate.holds(truth) for estimate in known) / len(known):.1f}"
    missing = rounds - len(known)
    return text + (f" (none in {100 * missing / rounds:.0f} %)" if missing else "")


if __name__ == "__main__":
    main()
