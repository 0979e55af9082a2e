"""Rules about how a constitution is put to use: tags, cases, weights, levels (C201 to C206)."""

import difflib
from collections import defaultdict
from collections.abc import Iterator

from rlaif.checks import run_check
from rlaif.checks.cases import case_fault
from rlaif.constitution.schema import Principle
from rlaif.lint.subject import Hit, Subject
from rlaif.records import Prompt

FEWEST_CASES = 2
"""One case is passed by luck half the time."""

FEWEST_LENGTHS = 8
LENGTH_TELLS = 0.9
"""From so many cases on, and so large a share of them, the length gives the better answer away: by luck, 8 of 8 or 9
of 10 happen about once in a hundred sets."""

NOTABLY = 1.1
"""How many times longer one answer of a case must be to count as the longer one."""


def tag_nobody_carries(subject: Subject) -> Iterator[Hit]:
    """C201."""
    prompts = subject.prompts
    for principle in subject.constitution.principles:
        missing = [tag for tag in principle.applies_to if tag not in prompts.tags]
        if not missing:
            continue
        near = difflib.get_close_matches(missing[0], sorted(prompts.tags), n=1, cutoff=0.8)
        hint = f"; did you mean {near[0]}?" if near else ""
        never = " (so it is never used)" if len(missing) == len(principle.applies_to) else ""
        which = f"none of the {prompts.prompts} prompts of {prompts.source} carries {', '.join(missing)}{never}{hint}"
        if not prompts.given:
            which += "; say which prompts you mean with --prompts"
        yield Hit(which, principle.id, "applies_to", note=not prompts.given)


def too_few_cases(subject: Subject) -> Iterator[Hit]:
    """C202: one finding for all, since in a new file it concerns all."""
    asked = subject.constitution.asked
    lacking = [principle.id for principle in asked if len(principle.cases) < FEWEST_CASES]
    if lacking:
        names = ", ".join(lacking[:4]) + (", …" if len(lacking) > 4 else "")
        yield Hit(
            f"{len(lacking)} of {len(asked)} principles put to the judge have fewer than {FEWEST_CASES} cases "
            f"({names}), so nothing shows whether a critic understands them"
        )


def outweighs_the_rest(subject: Subject) -> Iterator[Hit]:
    """C203. Of two, one always weighs more unless both weigh the same, so levels of two don't count."""
    for level, principles in _levels(subject).items():
        total = sum(principle.weight for principle in principles)
        for principle in principles if len(principles) > 2 else []:
            if principle.weight > total - principle.weight:
                yield Hit(
                    f"weighs {principle.weight:g}, more than the {len(principles) - 1} others of level {level} "
                    f"together ({total - principle.weight:g}): they rarely change what it says",
                    principle.id,
                    "weight",
                )


def gap_in_the_levels(subject: Subject) -> Iterator[Hit]:
    """C204."""
    used = sorted(_levels(subject))
    for place, level in enumerate(used, start=1):
        if level != place:
            first = next(p for p in subject.constitution.comparing if p.priority == level)
            yield Hit(f"priority {level} is used, but {place} is not", first.id, "priority")
            return


def length_tells(subject: Subject) -> Iterator[Hit]:
    """C205."""
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
        if count >= LENGTH_TELLS * len(signs):
            yield Hit(
                f"the better answer is the {word} one in {count} of {len(signs)} cases whose answers differ in length: "
                f"a critic that always takes the {word} one passes nearly all"
            )


def check_does_not_tell(subject: Subject) -> Iterator[Hit]:
    """C206. A function of somebody's own is not run here: looking at a file should not run what it names."""
    for principle in subject.constitution.principles:
        check = principle.check
        for place, case in enumerate(principle.cases if check is not None and check.kind != "python" else ()):
            assert check is not None
            prompt = Prompt(id=principle.id, messages=case.conversation)
            fault = case_fault(check, run_check(check, case.better, prompt), run_check(check, case.worse, prompt))
            if fault:
                yield Hit(f"case {place + 1}: {fault}", principle.id, "cases", case=place)


def _levels(subject: Subject) -> dict[int, list[Principle]]:
    levels: dict[int, list[Principle]] = defaultdict(list)
    for principle in subject.constitution.comparing:
        levels[principle.priority].append(principle)
    return levels
