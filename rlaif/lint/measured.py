"""Rules about what a finished run measured (C301 to C305).

Each speaks only where the whole 95 % interval over prompts supports it; a run of few prompts says nothing. Where most
principles are concerned, it is the critic and not their wording, and it is said once.
"""

from collections.abc import Callable, Iterator
from itertools import combinations

from rlaif.lint.measure import Measurement
from rlaif.lint.subject import Hit, Subject
from rlaif.stats.estimates import Estimate

NEVER = 0.05
"""`Never` and `always` mean all but at most so large a share, with 95 % confidence."""

NEVER_DECIDES = 0.01
"""Of a principle that decides nothing, also the measured share itself is at most so large: with sixteen principles, a
few per cent each is what all of them decide."""

MOSTLY = 0.5
MOST_PRINCIPLES = 0.5


def never_decides(subject: Subject) -> Iterator[Hit]:
    """C301."""

    def finding(name: str, measured: Measurement) -> str | None:
        estimate = measured.decisive(name)
        if not _below(estimate, NEVER) or (estimate.value or 0) > NEVER_DECIDES:
            return None
        level = subject.constitution.principle(name).priority
        lower = f"; at level {level} it only decides where higher levels abstain" if level > 1 else ""
        return f"decides {_told(estimate, 'labels')}: without it, all the others stay as they are{lower}"

    return _each(subject, finding)


def always_agrees(subject: Subject) -> Iterator[Hit]:
    """C302: told at the later of the two."""

    def finding(name: str, measured: Measurement) -> str | None:
        partners = [(other, estimate) for other, estimate in _agreements(subject, name) if _above(estimate, 1 - NEVER)]
        if not partners:
            return None
        first, estimate = partners[0]
        also = f"; as good as always with {', '.join(other for other, _ in partners[1:4])}, too" if partners[1:] else ""
        return f'names the same winner as "{first}" in {_told(estimate, "matchups")}{also}'

    return _each(subject, finding)


def always_contradicts(subject: Subject) -> Iterator[Hit]:
    """C303: told at the later of the two. One of a lower level takes nothing away from a higher one."""
    for name in _names(subject):
        for other, estimate in _agreements(subject, name):
            levels = {subject.constitution.principle(each).priority for each in (name, other)}
            if _below(estimate, NEVER) and len(levels) == 1:
                yield Hit(
                    f'names the same winner as "{other}" in only {_told(estimate, "matchups")}: the two cancel out',
                    name,
                    "compare",
                )


def answered_by_position(subject: Subject) -> Iterator[Hit]:
    """C304."""

    def finding(name: str, measured: Measurement) -> str | None:
        estimate = measured.turned(name)
        told = f"the winner changes with the order of the answers in {_told(estimate, 'matchups')}"
        return told if _above(estimate, MOSTLY) else None

    return _each(subject, finding)


def not_answered(subject: Subject) -> Iterator[Hit]:
    """C305."""

    def finding(name: str, measured: Measurement) -> str | None:
        estimate = measured.faint(name)
        told = f"the two labels together get less than half of the probability in {_told(estimate, 'verdicts')}"
        return told if _above(estimate, MOSTLY) else None

    return _each(subject, finding)


def _each(subject: Subject, finding: Callable[[str, Measurement], str | None]) -> Iterator[Hit]:
    """Yield a hit for every principle with a finding, or one for all where it concerns most of them."""
    measured = subject.measured
    names = _names(subject)
    if measured is None:
        return
    found = {name: told for name in names if (told := finding(name, measured))}
    if len(found) > MOST_PRINCIPLES * len(names) and len(names) > 2:
        worst = next(iter(found))
        yield Hit(
            f"{len(found)} of {len(names)} principles, which is rather the critic's doing than theirs; for one, "
            f'"{worst}": {found[worst]}'
        )
        return
    for name, told in found.items():
        yield Hit(told, name, "compare")


def _agreements(subject: Subject, name: str) -> Iterator[tuple[str, Estimate]]:
    """Yield how often a principle names the same winner as each of those before it."""
    if subject.measured is not None:
        for other, later in combinations(_names(subject), 2):
            if later == name:
                yield other, subject.measured.agreement(other, name)


def _names(subject: Subject) -> list[str]:
    return [principle.id for principle in subject.constitution.comparing]


def _below(estimate: Estimate, share: float) -> bool:
    return estimate.high is not None and estimate.high < share


def _above(estimate: Estimate, share: float) -> bool:
    return estimate.low is not None and estimate.low > share


def _told(estimate: Estimate, things: str) -> str:
    return (
        f"{estimate.value or 0:.1%} of {estimate.n:,.0f} {things} (95 % interval {estimate.low or 0:.1%} to "
        f"{estimate.high or 0:.1%}, {estimate.prompts} prompts)"
    )
