"""Rules about the use of principles: tags, cases, weights, levels (C201 to C208)."""

import difflib
from collections import defaultdict
from collections.abc import Iterator

from rlaif.checks.check import case_fault, run_check
from rlaif.constitution.schema import Principle
from rlaif.lint.codes import Hit, rule
from rlaif.lint.subject import Subject
from rlaif.records import Prompt

FEWEST_CASES = 2
"""A critic passes a single case by chance half the time."""

FEWEST_LENGTHS = 8
LENGTH_SHARE = 0.9
"""Least number of cases and least share from which C205 is reported: 8 of 8 or 9 of 10 happen by chance about once in a
hundred sets."""

EXACT = {"words": 15, "sentences": 8, "characters": 30, "lines": 15}
"""Numbers from which an exact count is reported."""

NOTABLY = 1.1
"""Least ratio of lengths at which one response counts as longer."""


@rule("C201")
def tag_without_prompts(subject: Subject) -> Iterator[Hit]:
    """No prompt has a tag under `applies_to`."""
    prompts = subject.prompts
    for principle in subject.constitution.principles:
        missing = [tag for tag in principle.applies_to if tag not in prompts.tags]
        if not missing:
            continue
        near = difflib.get_close_matches(missing[0], sorted(prompts.tags), n=1, cutoff=0.8)
        hint = f"; did you mean {near[0]}?" if near else ""
        never = " (so it is never used)" if len(missing) == len(principle.applies_to) else ""
        tags = ", ".join(missing)
        message = f"none of the {prompts.prompts} prompts of {prompts.source} has the tag {tags}{never}{hint}"
        if not prompts.given:
            message += "; give your own prompts with --prompts"
        yield Hit(message, principle.id, "applies_to", note=not prompts.given)


@rule("C202")
def too_few_cases(subject: Subject) -> Iterator[Hit]:
    """Principles with fewer than two cases; one finding for all, because a new file has none."""
    asked = subject.constitution.asked
    lacking = [principle.id for principle in asked if len(principle.cases) < FEWEST_CASES]
    if lacking:
        names = ", ".join(lacking[:4]) + (", …" if len(lacking) > 4 else "")
        yield Hit(
            f"{len(lacking)} of {len(asked)} principles put to the judge have fewer than {FEWEST_CASES} cases "
            f"({names}), so it cannot be tested whether a critic understands them"
        )


@rule("C203")
def outweighs_the_rest(subject: Subject) -> Iterator[Hit]:
    """A weight above the sum of the others of its level, for levels of three or more principles."""
    for level, principles in _levels(subject).items():
        total = sum(principle.weight for principle in principles)
        for principle in principles if len(principles) > 2 else []:
            if principle.weight > total - principle.weight:
                yield Hit(
                    f"weighs {principle.weight:g}, more than the {len(principles) - 1} others of level {level} "
                    f"together ({total - principle.weight:g}): they rarely change the label that it alone would give",
                    principle.id,
                    "weight",
                )


@rule("C204")
def gap_in_the_levels(subject: Subject) -> Iterator[Hit]:
    """A priority level is skipped."""
    used = sorted(_levels(subject))
    for place, level in enumerate(used, start=1):
        if level != place:
            first = next(p for p in subject.constitution.comparing if p.priority == level)
            yield Hit(f"priority {level} is used, but {place} is not", first.id, "priority")
            return


@rule("C205")
def length_identifies(subject: Subject) -> Iterator[Hit]:
    """In nearly all cases the better response is the longer one, or the shorter one."""
    signs = [
        ratio > 1
        for principle in subject.constitution.principles
        for case in principle.cases
        if max(ratio := len(case.better) / len(case.worse), 1 / ratio) >= NOTABLY
    ]
    if len(signs) < FEWEST_LENGTHS:
        return
    longer = sum(signs)
    for count, word in ((longer, "longer"), (len(signs) - longer, "shorter")):
        if count >= LENGTH_SHARE * len(signs):
            yield Hit(
                f"the better response is the {word} one in {count} of {len(signs)} cases with responses of different "
                f"lengths: a critic that always takes the {word} one passes nearly all"
            )


@rule("C206")
def check_contradicts_case(subject: Subject) -> Iterator[Hit]:
    """A check contradicts the label of a case; `python` checks are skipped, because linting must not run code."""
    for principle in subject.constitution.principles:
        check = principle.check
        if check is None or check.kind == "python":
            continue
        for place, case in enumerate(principle.cases):
            prompt = Prompt(id=principle.id, messages=case.conversation)
            fault = case_fault(check, run_check(check, case.better, prompt), run_check(check, case.worse, prompt))
            if fault:
                yield Hit(f"case {place + 1}: {fault}", principle.id, "cases", case=place)


@rule("C207")
def runs_own_code(subject: Subject) -> Iterator[Hit]:
    """A check calls a function on what the model writes."""
    for principle in subject.constitution.principles:
        if principle.check is not None and principle.check.python is not None:
            yield Hit(f"calls {principle.check.python} on every response", principle.id, "check")


@rule("C208")
def exact_number(subject: Subject) -> Iterator[Hit]:
    """A check asks for exactly so many words, sentences or characters, and for many of them."""
    for principle in subject.constitution.principles:
        for name, least in EXACT.items():
            count = getattr(principle.check, name, None)
            if count is not None and count.min == count.max and count.min >= least:
                yield Hit(
                    f"`{name}: {count.min}` means exactly {count.min}, which hardly any response has; write "
                    f"`{name}: {{max: {count.min}}}` for at most so many",
                    principle.id,
                    "check",
                )


def _levels(subject: Subject) -> dict[int, list[Principle]]:
    levels: dict[int, list[Principle]] = defaultdict(list)
    for principle in subject.constitution.comparing:
        levels[principle.priority].append(principle)
    return levels
