"""Which principles a critic understands, from its verdicts on labelled cases.

A case is *right* or *wrong* when both orders, the critic's constant position bias taken out, name the same response. A
verdict that changes with the order, a tie and an unreadable one are neither: they are counted apart, and accuracy is
measured on the rest. Its interval is Wilson's; where it holds one half, guessing would explain the verdicts as well.
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
"""Fewest verdicts, all right, that guessing gives in less than one try of forty (1 in 64)."""


class CaseResult(Record):
    """A critic's result on one case."""

    principle: str
    number: int = Field(ge=1)
    """Its place among the principle's cases."""
    outcome: Outcome
    p_better: float | None = None
    """Probability given to the response labelled better, from both orders; None where it can't be read."""
    position_bias: float | None = None
    """Log-odds for being shown first."""
    orders_agree: bool | None = None
    """Whether both orders name the same response, without any correction."""
    label_mass: float | None = None
    """Mean probability of the two labels over both orders."""
    verdicts: tuple[Verdict, ...] = ()
    checks: tuple[Checked, ...] = ()
    """The program's results, where it decides in place of the critic."""
    error: str | None = None


class Score(Record):
    """Results counted: of one principle, or of all."""

    cases: int
    outcomes: dict[Outcome, int]
    """Those that occurred; they add up to `cases`."""
    accuracy: Estimate
    """Right ones among right and wrong ones."""
    order_agreement: float | None
    label_mass: float | None
    p_better: float | None
    """Mean over the readable ones."""

    def count(self, outcome: Outcome) -> int:
        """Return how many cases have this outcome."""
        return self.outcomes.get(outcome, 0)

    @property
    def unanswered(self) -> int:
        """Cases that are neither right nor wrong."""
        return sum(self.count(outcome) for outcome in UNANSWERED)


class PrincipleScore(Record):
    """How a critic did on one principle, and the conclusion in words."""

    principle: str
    score: Score
    understood: bool | None
    """None where the cases don't show it."""
    verdict: str


class CaseReport(Record):
    """How a critic did on a constitution's cases."""

    constitution: str
    version: int
    hash: str
    critic: str
    """Its served name."""
    overall: Score
    """Of all principles the critic was asked about, without those that programs decide."""
    programs: Score
    """Of those that a program decides."""
    position_bias: PositionBias
    principles: tuple[PrincipleScore, ...]
    untested: tuple[str, ...]
    """Principles that are put to the judge and have no cases."""
    findings: tuple[str, ...]
    """What a person should know before this critic judges by this constitution."""
    results: tuple[CaseResult, ...]


def decide_case(
    principle: str, number: int, matchup: Matchup | None, error: str | None, judging: JudgingConfig, bias: PositionBias
) -> CaseResult:
    """Return the result of one matchup of `better` against `worse`; `failed` where there is none."""
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
    """Return the scores of all principles, and what they show."""
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
    """Count some results."""
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
    """Return the mean of those that are known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _principle(principle: Principle, results: Sequence[CaseResult]) -> PrincipleScore:
    counted = score(results)
    understood, verdict = (_verdict if principle.check is None else _verdict_on_program)(counted)
    return PrincipleScore(principle=principle.id, score=counted, understood=understood, verdict=verdict)


def _verdict_on_program(counted: Score) -> tuple[bool | None, str]:
    """Return whether a program decides as its cases are labelled: it is deterministic, so that one case shows it."""
    if broke := counted.count("failed"):
        return None, f"a program, which broke in {broke} of {_cases(counted.cases)}"
    if counted.count("right") == counted.cases:
        return True, "a program, right"
    words: dict[Outcome, str] = {"right": "right", "wrong": "wrong", "tie": "not told apart"}
    parts = [f"{count} {word}" for outcome, word in words.items() if (count := counted.count(outcome))]
    return False, f"a program: {', '.join(parts)} of {_cases(counted.cases)}"


def _case_faults(constitution: Constitution, results: Sequence[CaseResult]) -> list[str]:
    """Return the cases that their checks don't decide as labelled, with the checks' results."""
    found = []
    for one in results:
        check = constitution.principle(one.principle).check
        for seen in one.checks if check is not None else ():
            assert check is not None
            if fault := case_fault(check, seen.a, seen.b):
                found.append(f"{one.principle}, case {one.number}: {fault}: change the case or the check")
    return found


def _verdict(counted: Score) -> tuple[bool | None, str]:
    """Return whether the principle is understood, and why in words."""
    right, wrong, n = counted.count("right"), counted.count("wrong"), counted.cases
    accuracy, answered = counted.accuracy, right + wrong
    mostly = next((outcome for outcome in UNANSWERED if 2 * counted.count(outcome) > n), None)
    if mostly is not None:
        mass = f": label mass {counted.label_mass:.0%}" if counted.label_mass is not None else ""
        words = {"by position": "answers by position", "tie": "sees no difference", "failed": "could not be asked"}
        return (None if mostly == "failed" else False), words.get(mostly, f"can't answer{mass}")
    if wrong and not right:
        doubt = "" if answered >= FEWEST_FOR_PROOF else ", could be chance"
        return False, f"gets it wrong in both orders ({wrong} of {n}{doubt})"
    if accuracy.high is not None and accuracy.high < 0.5:
        return False, f"gets it wrong in both orders ({wrong} of {n})"
    if accuracy.low is not None and accuracy.low > 0.5 and answered >= FEWEST_FOR_PROOF:
        return True, "understands it" + (f", where it answers ({answered} of {n})" if answered < n else "")
    if right and not wrong:
        return None, f"nothing wrong, but {_cases(answered)} can't tell understanding from luck"
    return None, f"{right} right, {wrong} wrong: guessing could do as well"


def _cases(n: int) -> str:
    return f"{n} case" + ("s" if n != 1 else "")


def _findings(overall: Score, principles: Sequence[PrincipleScore], bias: PositionBias) -> list[str]:
    lost = [one.principle for one in principles if one.understood is False]
    found = [f"not understood, or not answered: {', '.join(lost)}"] if lost else []
    accuracy = overall.accuracy
    if accuracy.n >= FEWEST_FOR_PROOF and accuracy.low is not None and accuracy.low <= 0.5:
        right = overall.count("right")
        found.append(f"over all principles {right} of {accuracy.n:g} answers are right: guessing could do as well")
    if overall.label_mass is not None and overall.label_mass < UNFIT_LABEL_MASS:
        found.append(
            f"only {overall.label_mass:.0%} of the critic's probability falls on the two labels "
            "(a thinking model answers only after thinking)"
        )
    if bias.turned is not None and bias.turned > UNFIT_TURNED:
        found.append(
            f"with {bias.turned:.0%} of the questions, the critic named another winner when the answers changed places"
        )
    if _is_mute(overall):
        found.append("this says nothing about the rules: this critic can't judge by any; ask another one")
    return found


def _is_mute(overall: Score) -> bool:
    """Whether a critic gave so few readable verdicts that they show nothing about the rules."""
    mute = overall.label_mass is not None and overall.label_mass < UNFIT_LABEL_MASS
    answered = overall.count("right") + overall.count("wrong")
    return overall.count("failed") < overall.cases and (mute or not answered)
