"""Rules about measurements of a finished run (C301 to C305).

A rule reports a share only if its whole 95 % interval over prompts is beyond the limit. A finding about most principles
is reported once, because its cause is the critic and not their wording.
"""

from collections.abc import Callable, Iterator
from itertools import takewhile

from rlaif.lint.codes import Hit, Rule, rule
from rlaif.lint.subject import Measurement, Subject
from rlaif.stats.estimates import Estimate

NEVER = 0.05
"""`Never` and `always` mean: exceptions are below this share, with 95 % confidence."""

NEVER_DECIDES = 0.01
"""Limit of the measured share itself: of sixteen principles, each normally decides a few per cent."""

MOSTLY = 0.5
MOST_PRINCIPLES = 0.5


PrincipleRule = Callable[[Subject, str, Measurement], str | None]


def measured_rule(code: str) -> Callable[[PrincipleRule], Rule]:
    """Register a function that returns the message about a principle, or None.

    A finding about most of the principles is reported once.
    """

    def register(finding_of: PrincipleRule) -> Rule:
        @rule(code)
        def hits(subject: Subject) -> Iterator[Hit]:
            measured, names = subject.measured, _names(subject)
            found = {name: text for name in names if measured and (text := finding_of(subject, name, measured))}
            if len(found) > MOST_PRINCIPLES * len(names) and len(names) > 2:
                first, text = next(iter(found.items()))
                concerned = f"{len(found)} of {len(names)} principles"
                example = f'for one, "{first}": {text}'
                yield Hit(f"{concerned}, so the cause is probably the critic and not their wording; {example}")
            else:
                yield from (Hit(text, name, "compare") for name, text in found.items())

        return hits

    return register


@measured_rule("C301")
def never_decides(subject: Subject, name: str, measured: Measurement) -> str | None:
    """Nearly all labels stay the same without the principle."""
    estimate = measured.decisive(name)
    if not _below(estimate, NEVER) or (estimate.value or 0) > NEVER_DECIDES:
        return None
    level = subject.constitution.principle(name).priority
    lower = f"; at level {level} it only decides where higher levels abstain" if level > 1 else ""
    return f"decides {_shown(estimate, 'labels')}: without it, all other labels stay the same{lower}"


@measured_rule("C302")
def always_agrees(subject: Subject, name: str, measured: Measurement) -> str | None:
    """Two principles name the same winner; reported at the later of the two."""
    agreements = _agreements(subject, name, measured)
    partners = [(other, estimate) for other, estimate in agreements if _above(estimate, 1 - NEVER)]
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
    if not _above(estimate := measured.order_dependent(name), MOSTLY):
        return None
    return f"the winner changes with the order of the responses in {_shown(estimate, 'matchups')}"


@measured_rule("C305")
def not_answered(_: Subject, name: str, measured: Measurement) -> str | None:
    """The label mass is low."""
    if not _above(estimate := measured.low_label_mass(name), MOSTLY):
        return None
    return f"the two labels together get less than half of the probability in {_shown(estimate, 'verdicts')}"


def _agreements(subject: Subject, name: str, measured: Measurement) -> Iterator[tuple[str, Estimate]]:
    """Yield (other principle, share of matchups with the same winner) for each principle earlier in the file."""
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
