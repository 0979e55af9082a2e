"""Rules about what a finished run measured (C301 to C305).

A rule reports only what the whole 95 % interval over prompts supports. Where it concerns most principles, the cause is
the critic and not their wording, and it is reported once.
"""

from collections.abc import Callable, Iterator
from itertools import takewhile

from rlaif.lint.measurement import Measurement
from rlaif.lint.subject import Hit, Rule, Subject, rule
from rlaif.stats.estimates import Estimate

NEVER = 0.05
"""`Never` and `always` allow for exceptions up to this share, with 95 % confidence."""

NEVER_DECIDES = 0.01
"""Limit of the measured share itself: with sixteen principles, each decides a few per cent."""

MOSTLY = 0.5
MOST_PRINCIPLES = 0.5


Finding = Callable[[Subject, str, Measurement], str | None]


def measured_rule(code: str) -> Callable[[Finding], Rule]:
    """Register a function that returns what was measured of a principle, or None."""

    def register(finding: Finding) -> Rule:
        @rule(code)
        def found(subject: Subject) -> Iterator[Hit]:
            yield from _hits(subject, finding)

        return found

    return register


@measured_rule("C301")
def never_decides(subject: Subject, name: str, measured: Measurement) -> str | None:
    """Nearly all labels stay the same without the principle."""
    estimate = measured.decisive(name)
    if not _below(estimate, NEVER) or (estimate.value or 0) > NEVER_DECIDES:
        return None
    level = subject.constitution.principle(name).priority
    lower = f"; at level {level} it only decides where higher levels abstain" if level > 1 else ""
    return f"decides {_shown(estimate, 'labels')}: without it, all the others stay as they are{lower}"


@measured_rule("C302")
def always_agrees(subject: Subject, name: str, measured: Measurement) -> str | None:
    """Two principles name the same winner; reported at the later of the two."""
    partners = [(other, one) for other, one in _agreements(subject, name, measured) if _above(one, 1 - NEVER)]
    if not partners:
        return None
    first, estimate = partners[0]
    also = f"; nearly always also with {', '.join(other for other, _ in partners[1:4])}" if partners[1:] else ""
    return f'names the same winner as "{first}" in {_shown(estimate, "matchups")}{also}'


@rule("C303")
def always_contradicts(subject: Subject) -> Iterator[Hit]:
    """Two principles of one level name different winners; reported at the later of the two."""
    if subject.measured is None:
        return
    for name in _names(subject):
        for other, estimate in _agreements(subject, name, subject.measured):
            levels = {subject.constitution.principle(each).priority for each in (name, other)}
            if _below(estimate, NEVER) and len(levels) == 1:
                shown = _shown(estimate, "matchups")
                yield Hit(f'names the same winner as "{other}" in only {shown}: the two cancel out', name, "compare")


@measured_rule("C304")
def answered_by_position(_: Subject, name: str, measured: Measurement) -> str | None:
    """The winner depends on the order of the responses."""
    estimate = measured.order_dependent(name)
    says = f"the winner changes with the order of the responses in {_shown(estimate, 'matchups')}"
    return says if _above(estimate, MOSTLY) else None


@measured_rule("C305")
def not_answered(_: Subject, name: str, measured: Measurement) -> str | None:
    """The label mass is low."""
    estimate = measured.low_label_mass(name)
    says = f"the two labels together get less than half of the probability in {_shown(estimate, 'verdicts')}"
    return says if _above(estimate, MOSTLY) else None


def _hits(subject: Subject, finding: Finding) -> Iterator[Hit]:
    """Yield a hit for every principle with a finding, or one for all where it concerns most of them."""
    if subject.measured is None:
        return
    names = _names(subject)
    found = {name: says for name in names if (says := finding(subject, name, subject.measured))}
    if len(found) > MOST_PRINCIPLES * len(names) and len(names) > 2:
        first, says = next(iter(found.items()))
        concerned = f"{len(found)} of {len(names)} principles"
        yield Hit(f'{concerned}, so the cause is rather the critic than their wording; for one, "{first}": {says}')
    else:
        yield from (Hit(says, name, "compare") for name, says in found.items())


def _agreements(subject: Subject, name: str, measured: Measurement) -> Iterator[tuple[str, Estimate]]:
    """Yield how often a principle names the same winner as each of those before it."""
    for other in takewhile(lambda other: other != name, _names(subject)):
        yield other, measured.agreement(other, name)


def _names(subject: Subject) -> list[str]:
    return [principle.id for principle in subject.constitution.comparing]


def _below(estimate: Estimate, share: float) -> bool:
    return estimate.high is not None and estimate.high < share


def _above(estimate: Estimate, share: float) -> bool:
    return estimate.low is not None and estimate.low > share


def _shown(estimate: Estimate, things: str) -> str:
    return (
        f"{estimate.value or 0:.1%} of {estimate.n:,.0f} {things} (95 % interval {estimate.low or 0:.1%} to "
        f"{estimate.high or 0:.1%}, {estimate.prompts} prompts)"
    )
