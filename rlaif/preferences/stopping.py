"""When a matchup needs no more verdicts: what is left could change its label with too small a probability.

A question is one judge under one principle, in both orders, because an order alone contains the position bias. The
log-odds y of all questions of a matchup have zero mean (which response is `a` is drawn at random) and a covariance that
was measured on prompts where everything was asked. The log-odds of the whole matchup are their weighted mean L, so L
has, given the questions asked so far, a Student t distribution:

    L | y_S  ~  t(nu + |S|; a_S y_S + a_R C_RS C_SS^-1 y_S, scale)       S asked, R left, C the covariance, a the shares

with heavy tails (nu = 5), because matchups differ in how far apart their responses are. A matchup stops where the label
that it has is that of L with probability 1 - flip: a, b, or none because p is too close to one half. Questions are
asked in the order in which each takes most off the variance of L; that order does not depend on the replies.

Only the thresholds at which the run was made are promised. That a distribution fits is not taken on trust: `factor`
widens it until the promise holds on the prompts where everything was asked (`stopping_fit.py`).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rlaif.preferences.judgement import Decision, PrincipleJudgement, Rule, decide, judge_matchup
from rlaif.preferences.position import PositionBias
from rlaif.records import Matchup, Record
from rlaif.stats.estimates import Array

Question = tuple[str, str]
"""(judge, principle), asked in both orders."""

TAILS = 5
"""Degrees of freedom of the distribution of log-odds over matchups."""
BATCH = 4
"""One question is asked at a time, or a quarter of those that were asked: fewer rounds of waiting where many are
needed."""


class SizeNoise(Record):
    """Variance of the noise of a mean of n questions, `shared + own / n`, in squared logits."""

    shared: float
    """Error that all questions about a matchup have in common."""
    own: float
    whole: float
    """n of a matchup of which everything was asked."""

    def relative(self, n: float) -> float:
        """Return the variance for n questions, in multiples of that of a whole matchup."""
        whole = self.shared + self.own / self.whole
        return (self.shared + self.own / n) / whole if whole > 0 else 1.0


class Stopping(Record):
    """What was measured on the prompts of which everything was asked."""

    flip: float
    """The promise: largest probability that what is left would change a label."""
    min_margin: float
    """The threshold for which it holds."""
    factor: float | None
    """Multiple of the scale of L with which the promise holds on these prompts; None where it does with none, so that
    everything is asked."""
    questions: tuple[Question, ...]
    covariance: tuple[tuple[float, ...], ...]
    """Of the questions, in squared logits, shrunk towards equal correlations."""
    variance: float
    """Of a question that is not among them."""
    correlation: float
    """Of two questions of which one is not among them."""
    bias: PositionBias
    noise: SizeNoise
    prompts: int
    """Number of the prompts."""
    labels: int
    """Their matchups."""
    changed: int
    """How many of their labels the rule would have changed, each prompt under a rule fitted on the other half."""
    asked: int
    """Verdicts that the rule would have asked for them."""
    verdicts: int
    """Verdicts that were asked."""


@dataclass(frozen=True)
class Stopper:
    """Decides what a matchup is asked next, by a fitted `Stopping` and the run's rule."""

    stopping: Stopping
    rule: Rule
    judges: Sequence[str]
    """Names of the judges."""
    _known: dict[object, "_Given"] = field(default_factory=dict)
    _orders: dict[object, tuple[Question, ...]] = field(default_factory=dict)

    def next_questions(self, matchup: Matchup, principles: Sequence[str], rule: Rule | None = None) -> list[Question]:
        """Return the questions to ask next of a matchup with the verdicts so far; empty where it may stop.

        `rule` is the run's rule for the prompt, if it differs.
        """
        rule = rule or self.rule
        asked = {(verdict.judge, verdict.principle) for verdict in matchup.verdicts}
        parts = judge_matchup(matchup, rule).principles
        doubt = 0.0
        for level in levels_of(rule, [*principles, *(part.principle for part in parts)]):
            named = [name for name in principles if level is None or rule.priorities.get(name, 1) == level]
            questions = [(judge, name) for name in named for judge in self.judges]
            of_level = [part for part in parts if level is None or rule.priorities.get(part.principle, 1) == level]
            decision = decide(of_level, rule)
            if any(question not in asked for question in questions):
                doubt += self.doubt(matchup, rule, questions, asked, of_level, decision)
                if doubt >= self.stopping.flip:
                    left = [one for one in self.order(tuple(questions), rule) if one not in asked]
                    return left[: max(1, (len(questions) - len(left)) // BATCH)]
            if decision.abstention is None:
                break
        return []

    def doubt(
        self,
        matchup: Matchup,
        rule: Rule,
        questions: Sequence[Question],
        asked: set[Question],
        parts: Sequence[PrincipleJudgement],
        decision: Decision,
    ) -> float:
        """Return the probability that the label of one level would be another one if everything were asked."""
        if self.stopping.factor is None or decision.abstention in {"unreadable", "order noise", "conflict"}:
            return 1.0
        logits = {(one.judge, name): one.logit for name, found in rule.read(matchup).items() for one in found}
        read = tuple(one for one in questions if one in asked and one in logits)
        if not read:
            return 1.0
        left = tuple(one for one in questions if one not in asked)
        fixed = [part for part in parts if not part.silent and part.principle not in {name for _, name in questions}]
        shares, constant = _shares(rule, (*read, *left), fixed)
        given = self._given(read, left, shares)
        y = np.array([logits[one] for one in read])
        mean = constant + float(given.weights @ y)
        freedom = TAILS + len(read)
        spread = math.sqrt(given.variance * (TAILS - 2 + float(y @ given.inverse @ y)) / freedom)
        edge = math.log((0.5 + self.stopping.min_margin) / (0.5 - self.stopping.min_margin))
        return 1 - _probability(decision.label, mean, spread * self.stopping.factor, freedom, edge)

    def order(self, questions: tuple[Question, ...], rule: Rule) -> tuple[Question, ...]:
        """Return the questions of one level in the order in which each takes most off the variance of their mean."""
        key = (questions, tuple(rule.weight(name) for _, name in questions))
        if key not in self._orders:
            shares, _ = _shares(rule, questions, ())
            self._orders[key] = greedy_order(questions, self.covariance(questions), shares)
        return self._orders[key]

    def covariance(self, questions: Sequence[Question]) -> Array:
        """Return the (Q, Q) covariance of the log-odds of some questions, in squared logits."""
        s = self.stopping
        place = {one: number for number, one in enumerate(s.questions)}
        known = np.array([place.get(one, -1) for one in questions])
        measured = np.array(s.covariance).reshape(len(s.questions), len(s.questions))
        own = np.array([measured[n, n] if n >= 0 else s.variance for n in known])
        found = s.correlation * np.sqrt(np.outer(own, own))
        np.fill_diagonal(found, own)
        both = np.ix_(known >= 0, known >= 0)
        found[both] = measured[np.ix_(known[known >= 0], known[known >= 0])]
        result: Array = found
        return result

    def _given(self, read: tuple[Question, ...], left: tuple[Question, ...], shares: Array) -> "_Given":
        key = (read, left, shares.tobytes())
        if key not in self._known:
            self._known[key] = _Given.of(self.covariance((*read, *left)), len(read), shares)
        return self._known[key]


@dataclass(frozen=True)
class _Given:
    """The distribution of a mean L, given the log-odds of the questions that were read."""

    weights: Array
    """(S,) so that E[L] = weights @ y."""
    variance: float
    """Of L, in squared logits."""
    inverse: Array
    """(S, S) of their covariance."""

    @classmethod
    def of(cls, covariance: Array, read: int, shares: Array) -> "_Given":
        """Return it for the first `read` questions of a covariance; `shares` are those of L."""
        inverse = np.asarray(np.linalg.inv(covariance[:read, :read]), dtype=np.float64)
        on_read = covariance[read:, :read] @ inverse
        rest = covariance[read:, read:] - on_read @ covariance[:read, read:]
        left = shares[read:]
        weights: Array = shares[:read] + left @ on_read
        return cls(weights, max(0.0, float(left @ rest @ left)), inverse)


def greedy_order(questions: Sequence[Question], covariance: Array, shares: Array) -> tuple[Question, ...]:
    """Return the questions so that each takes most off what the ones before leave of the variance of their mean."""
    left, order = covariance.copy(), list[Question]()
    open_ones = list(range(len(questions)))
    while open_ones:
        gains = [(left[one] @ shares) ** 2 / max(left[one, one], 1e-12) for one in open_ones]
        best = open_ones[int(np.argmax(np.array(gains) > max(gains) * (1 - 1e-9)))]
        order.append(questions[best])
        open_ones.remove(best)
        left -= np.outer(left[:, best], left[best]) / max(left[best, best], 1e-12)
    return tuple(order)


def with_stopping(rule: Rule, stopping: Stopping | None) -> Rule:
    """Return a rule that knows how the noise of a matchup depends on the number of its questions."""
    if stopping is None:
        return rule

    def variance_of(parts: Sequence[PrincipleJudgement]) -> float:
        return stopping.noise.relative(1 / sum(share**2 for share in shares_of(rule, parts)))

    return replace(rule, variance_of=variance_of)


def levels_of(rule: Rule, principles: Iterable[str]) -> Sequence[int | None]:
    """Return the levels of some principles, the one that decides first before the others; [None] without levels."""
    if rule.strategy == "weighted":
        return [None]
    return sorted({rule.priorities.get(name, 1) for name in principles})


def shares_of(rule: Rule, parts: Iterable[PrincipleJudgement]) -> list[float]:
    """Return the share of each question in the mean of some parts; they add up to 1."""
    shares: list[float] = []
    for part in parts:
        judges = [rule.judge_weights.get(one.judge, 1.0) for one in part.by_judge] or [1.0]
        shares += [rule.weight(part.principle) * one / sum(judges) for one in judges]
    return [share / sum(shares) for share in shares]


def _shares(rule: Rule, questions: Sequence[Question], fixed: Sequence[PrincipleJudgement]) -> tuple[Array, float]:
    """Return the (Q,) shares of the questions in the mean, and what fixed parts, such as checks, add to it."""
    of_judge = [rule.judge_weights.get(judge, 1.0) for judge, _ in questions]
    together: dict[str, float] = {}
    for (_, name), weight in zip(questions, of_judge, strict=True):
        together[name] = together.get(name, 0.0) + weight
    total = sum(rule.weight(name) for name in together) + sum(rule.weight(part.principle) for part in fixed)
    shares = [
        rule.weight(name) * weight / together[name] / total
        for (_, name), weight in zip(questions, of_judge, strict=True)
    ]
    return np.array(shares), sum(rule.weight(part.principle) * part.logit for part in fixed) / total


def _probability(label: str | None, mean: float, spread: float, freedom: int, edge: float) -> float:
    """Return the probability that L is where a label is given: above the edge, below minus it, or between the two."""
    above, below = (
        _upper((edge - mean) / max(spread, 1e-12), freedom),
        _upper((edge + mean) / max(spread, 1e-12), freedom),
    )
    return above if label == "a" else below if label == "b" else max(0.0, 1 - above - below)


def _upper(x: float, freedom: int) -> float:
    from scipy.special import stdtr  # noqa: PLC0415  (imports for a tenth of a second)

    return float(stdtr(freedom, -x))


def verdicts_of(matchup: Matchup, questions: Iterable[Question]) -> Matchup:
    """Return a matchup with only the verdicts on some questions."""
    wanted = set(questions)
    return matchup.model_copy(
        update={"verdicts": tuple(one for one in matchup.verdicts if (one.judge, one.principle) in wanted)}
    )


def stopped(matchup: Matchup, stopper: Stopper, principles: Sequence[str], rule: Rule | None = None) -> Matchup:
    """Return a matchup of which everything was asked as the rule would have left it."""
    asked: set[Question] = set()
    while wanted := stopper.next_questions(found := verdicts_of(matchup, asked), principles, rule):
        asked.update(wanted)
    return found


def label_of(matchup: Matchup, rule: Rule) -> str | None:
    """Return the label of a matchup: its better response, or None."""
    judgement = judge_matchup(matchup, rule)
    if judgement.abstention is not None or judgement.logit is None:
        return None
    return matchup.a if judgement.logit > 0 else matchup.b
