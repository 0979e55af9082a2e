"""One check, one answer: whether it passed, and what was found."""

from collections.abc import Callable, Mapping

from rlaif.checks import counting
from rlaif.checks.check import Check, CheckResult
from rlaif.checks.language import language_of
from rlaif.checks.layout import is_laid_out
from rlaif.checks.own import Asked, ask
from rlaif.checks.patterns import found
from rlaif.checks.phrases import plain, stands_in
from rlaif.checks.schemas import fault_in, read_json
from rlaif.checks.settings import Count
from rlaif.text import detect_refusal

LONGEST_SHOWN = 160
"""Characters of what was found that are kept."""


def run_check(check: Check, text: str, prompt: Asked) -> CheckResult:
    """Return whether an answer passes. Raises CheckError when a function of the user's own breaks."""
    passed, detail = _RUN[check.kind](check, text, prompt)
    return CheckResult(passed=passed, detail=detail if len(detail) <= LONGEST_SHOWN else detail[:LONGEST_SHOWN] + "…")


_Found = tuple[bool, str]


def _counted(kind: str, count: Callable[[str], int]) -> Callable[[Check, str, Asked], _Found]:
    def run(check: Check, text: str, _: Asked) -> _Found:
        limit: Count = getattr(check, kind)
        number = count(text)
        return limit.allows(number), f"{number} {kind if number != 1 else kind[:-1]}"

    return run


def _contains(check: Check, text: str, _: Asked) -> _Found:
    wanted = check.contains or ()
    there = [word for word in wanted if stands_in(word, text, fold_case=check.folds_case)]
    missing = [word for word in wanted if word not in there]
    if check.any:
        return bool(there), f"has {_listed(there)}" if there else f"has none of {_listed(missing)}"
    return not missing, f"lacks {_listed(missing)}" if missing else f"has {_listed(there)}"


def _forbids(check: Check, text: str, _: Asked) -> _Found:
    there = [word for word in check.forbids or () if stands_in(word, text, fold_case=check.folds_case)]
    return not there, f"has {_listed(there)}" if there else "has none of them"


def _starts_with(check: Check, text: str, _: Asked) -> _Found:
    inside, wanted = (plain(part, fold_case=check.folds_case) for part in (text, check.starts_with or ""))
    return inside.startswith(wanted), f"starts {inside[: len(wanted) + 20]!r}"


def _ends_with(check: Check, text: str, _: Asked) -> _Found:
    inside, wanted = (plain(part, fold_case=check.folds_case) for part in (text, check.ends_with or ""))
    return inside.endswith(wanted), f"ends {inside[-len(wanted) - 20 :]!r}"


def _matches(check: Check, text: str, _: Asked) -> _Found:
    match = found(check.matches or "", text)
    return match is not None, "no match" if match is None else f"matches {match[:80]!r}"


def _json(check: Check, text: str, _: Asked) -> _Found:
    try:
        value = read_json(text)
    except ValueError as error:  # the detail of a failed check, not a fault of ours
        return False, str(error)
    fault = fault_in(value, check.json_.schema_) if check.json_ and check.json_.schema_ is not None else None
    return fault is None, fault or "JSON"


def _language(check: Check, text: str, _: Asked) -> _Found:
    code = language_of(text)
    return code == check.language, f"language {code}"


def _refuses(check: Check, text: str, prompt: Asked) -> _Found:
    kind = detect_refusal(prompt.messages[-1].content, text)
    return (kind == "refusal") == check.refuses, kind


def _format(check: Check, text: str, _: Asked) -> _Found:
    return is_laid_out(text, check.format or "plain")


def _python(check: Check, text: str, prompt: Asked) -> _Found:
    said = ask(check.python or "", text, prompt)
    return said, "True" if said else "False"


def _listed(words: list[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


_RUN: Mapping[str, Callable[[Check, str, Asked], _Found]] = {
    "lines": _counted("lines", lambda text: len(counting.lines(text))),
    "words": _counted("words", lambda text: len(counting.words(text))),
    "sentences": _counted("sentences", lambda text: len(counting.sentences(text))),
    "characters": _counted("characters", counting.characters),
    "contains": _contains,
    "forbids": _forbids,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "matches": _matches,
    "json": _json,
    "language": _language,
    "refuses": _refuses,
    "format": _format,
    "python": _python,
}
