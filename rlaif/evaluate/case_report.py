"""Report which principles a critic understands, from its verdicts on labelled cases.

A case is *right* or *wrong* when both orders, after subtracting the critic's constant position bias, name the same
response. A verdict that changes with the order, a tie and an unreadable verdict are neither; they are counted
separately, and accuracy is measured on the rest. Its interval is Wilson's; if it contains 50 %, the critic may be
guessing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from pydantic import Field

from rlaif.checks.check import case_fault
from rlaif.config.judging import JudgingConfig
from rlaif.constitution.schema import Constitution, Principle
from rlaif.preferences.judgement import judge_matchup
from rlaif.preferences.position import UNFIT_LABEL_MASS, UNFIT_TURNED, PositionBias
from rlaif.records import Checked, Matchup, Record, Verdict
from rlaif.stats.estimates import Estimate, wilson

Outcome = Literal["right", "wrong", "by position", "tie", "unreadable", "failed"]
UNANSWERED: tuple[Outcome, ...] = ("by position", "tie", "unreadable", "failed")

FEWEST_FOR_PROOF = 6
"""Least number of verdicts that show something if all are right: guessing gets six of six right in 1 of 64 cases."""


class CaseResult(Record):
    """The result of one case."""

    principle: str
    number: int = Field(ge=1)
    """Its number among the principle's cases, from 1."""
    outcome: Outcome
    p_better: float | None = None
    """Probability of the response labelled better, from both orders; None where unreadable."""
    position_bias: float | None = None
    """Log-odds of the response shown first, averaged over both orders."""
    orders_agree: bool | None = None
    """Whether both orders name the same response, without correction."""
    label_mass: float | None = None
    """Probability of the two labels together, mean of both orders."""
    verdicts: tuple[Verdict, ...] = ()
    checks: tuple[Checked, ...] = ()
    """Results of the principle's check, where a program decides instead of the critic."""
    error: str | None = None


class Score(Record):
    """Counts of results, of one principle or of several."""

    cases: int
    outcomes: dict[Outcome, int]
    """Number of cases by outcome; they add up to `cases`."""
    accuracy: Estimate
    """right / (right + wrong)."""
    order_agreement: float | None
    label_mass: float | None
    p_better: float | None
    """Mean over the readable cases."""

    def count(self, outcome: Outcome) -> int:
        """Return the number of cases with this outcome."""
        return self.outcomes.get(outcome, 0)

    @property
    def unanswered(self) -> int:
        """Number of cases that are neither right nor wrong."""
        return sum(self.count(outcome) for outcome in UNANSWERED)


class PrincipleScore(Record):
    """A critic's score on one principle, and the conclusion."""

    principle: str
    score: Score
    understood: bool | None
    """None where the cases show neither."""
    verdict: str


class CaseReport(Record):
    """A critic's results on the cases of a constitution."""

    constitution: str
    version: int
    hash: str
    critic: str
    """Name that the critic is served under."""
    overall: Score
    """Over all principles that the critic was asked about (no checks)."""
    programs: Score
    """Over the principles that a program decides."""
    position_bias: PositionBias
    principles: tuple[PrincipleScore, ...]
    untested: tuple[str, ...]
    """Principles that the judge is asked about but that have no cases."""
    findings: tuple[str, ...]
    """Warnings for using this critic with this constitution."""
    results: tuple[CaseResult, ...]


def decide_case(
    principle: str, number: int, matchup: Matchup | None, error: str | None, judging: JudgingConfig, bias: PositionBias
) -> CaseResult:
    """Return the result of a case from its matchup of `better` against `worse`; `failed` where `matchup` is None."""
    if matchup is None:
        return CaseResult(principle=principle, number=number, outcome="failed", error=error)
    judged = judge_matchup(matchup, judging.model_copy(update={"min_margin": 0.0}).rule({principle: 1.0}, bias=bias))
    outcomes: dict[str | None, Outcome] = {"order noise": "by position", "tie": "tie", "unreadable": "unreadable"}
    decided: Outcome = "right" if (judged.logit or 0) > 0 else "wrong"
    return CaseResult(
        principle=principle,
        number=number,
        outcome=outcomes.get(judged.abstention, decided),
        p_better=judged.p_of("better"),
        position_bias=judged.position_bias,
        orders_agree=None if judged.order_agreement is None else judged.order_agreement == 1,
        label_mass=None if judged.label_mass is None else min(1.0, judged.label_mass),
        verdicts=matchup.verdicts,
        checks=matchup.checks,
    )


def case_report(
    constitution: Constitution, critic: str, results: Sequence[CaseResult], bias: PositionBias
) -> CaseReport:
    """Return the report: the scores of all principles and the findings."""
    programs = {principle.id for principle in constitution.principles if principle.check is not None}
    principles = [
        _principle(principle, [one for one in results if one.principle == principle.id])
        for principle in constitution.principles
        if principle.cases
    ]
    asked = [one for one in principles if one.principle not in programs]
    overall = score([one for one in results if one.principle not in programs])
    return CaseReport(
        constitution=constitution.name,
        version=constitution.version,
        hash=constitution.hash,
        critic=critic,
        overall=overall,
        programs=score([one for one in results if one.principle in programs]),
        position_bias=bias,
        principles=tuple(principles),
        untested=tuple(principle.id for principle in constitution.asked if not principle.cases),
        findings=(*_case_faults(constitution, results), *_findings(overall, asked, bias)),
        results=tuple(results),
    )


def score(results: Collection[CaseResult]) -> Score:
    """Return the counts of some results."""
    outcomes = Counter(one.outcome for one in results)
    return Score(
        cases=len(results),
        outcomes=dict(outcomes),
        accuracy=wilson(outcomes["right"], outcomes["right"] + outcomes["wrong"]),
        order_agreement=_mean(one.orders_agree for one in results),
        label_mass=_mean(one.label_mass for one in results),
        p_better=_mean(one.p_better for one in results),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are not None; None without any."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _principle(principle: Principle, results: Sequence[CaseResult]) -> PrincipleScore:
    counts = score(results)
    understood, verdict = (_verdict if principle.check is None else _verdict_on_program)(counts)
    return PrincipleScore(principle=principle.id, score=counts, understood=understood, verdict=verdict)


def _verdict_on_program(counts: Score) -> tuple[bool | None, str]:
    """Return (whether the check agrees with the labels of its cases, the conclusion); one wrong case shows a fault."""
    if failed := counts.count("failed"):
        return None, f"check, failed in {failed} of {_cases(counts.cases)}"
    if counts.count("right") == counts.cases:
        return True, "check, all right"
    words: dict[Outcome, str] = {"right": "right", "wrong": "wrong", "tie": "same result for both"}
    parts = [f"{count} {word}" for outcome, word in words.items() if (count := counts.count(outcome))]
    return False, f"check: {', '.join(parts)} of {_cases(counts.cases)}"


def _case_faults(constitution: Constitution, results: Sequence[CaseResult]) -> list[str]:
    """Return a line for every case whose check does not agree with its label."""
    found = []
    for one in results:
        check = constitution.principle(one.principle).check
        for seen in one.checks if check is not None else ():
            assert check is not None
            if fault := case_fault(check, seen.a, seen.b):
                found.append(f"{one.principle}, case {one.number}: {fault}: change the case or the check")
    return found


def _verdict(counts: Score) -> tuple[bool | None, str]:
    """Return (whether the principle is understood, the conclusion)."""
    right, wrong, n = counts.count("right"), counts.count("wrong"), counts.cases
    accuracy, decided = counts.accuracy, right + wrong
    mostly = next((outcome for outcome in UNANSWERED if 2 * counts.count(outcome) > n), None)
    if mostly is not None:
        mass = f": label mass {counts.label_mass:.0%}" if counts.label_mass is not None else ""
        words = {"by position": "decides by position", "tie": "sees no difference", "failed": "requests failed"}
        return (None if mostly == "failed" else False), words.get(mostly, f"unreadable{mass}")
    if wrong and not right:
        doubt = "" if decided >= FEWEST_FOR_PROOF else ", may be chance"
        return False, f"wrong in both orders ({wrong} of {n}{doubt})"
    if accuracy.high is not None and accuracy.high < 0.5:
        return False, f"wrong in both orders ({wrong} of {n})"
    if accuracy.low is not None and accuracy.low > 0.5 and decided >= FEWEST_FOR_PROOF:
        return True, "understood" + (f", where it decides ({decided} of {n})" if decided < n else "")
    if right and not wrong:
        return None, f"none wrong, but {_cases(decided)} may be right by chance"
    return None, f"{right} right, {wrong} wrong: may be chance"


def _cases(n: int) -> str:
    return f"{n} case" + ("s" if n != 1 else "")


def _findings(overall: Score, principles: Sequence[PrincipleScore], bias: PositionBias) -> list[str]:
    misjudged = [one.principle for one in principles if one.understood is False]
    found = [f"not understood, or not decided: {', '.join(misjudged)}"] if misjudged else []
    accuracy = overall.accuracy
    if accuracy.n >= FEWEST_FOR_PROOF and accuracy.low is not None and accuracy.low <= 0.5:
        right = overall.count("right")
        found.append(f"over all principles {right} of {accuracy.n:g} verdicts are right, which may be chance")
    if overall.label_mass is not None and overall.label_mass < UNFIT_LABEL_MASS:
        found.append(
            f"only {overall.label_mass:.0%} of the critic's probability falls on the two labels "
            "(a reasoning model must reason before it answers)"
        )
    if bias.turned is not None and bias.turned > UNFIT_TURNED:
        found.append(
            f"in {bias.turned:.0%} of the questions, the critic named another winner when the responses were swapped"
        )
    if _shows_nothing(overall):
        found.append("this shows nothing about the rules, because this critic cannot judge; use another critic")
    return found


def _shows_nothing(overall: Score) -> bool:
    """Whether a critic gave so few readable verdicts that they show nothing about the rules."""
    low_mass = overall.label_mass is not None and overall.label_mass < UNFIT_LABEL_MASS
    decided = overall.count("right") + overall.count("wrong")
    return overall.count("failed") < overall.cases and (low_mass or not decided)
