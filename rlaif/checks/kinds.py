"""The kinds of checks, one class each; `Check` (check.py) has one field for each kind.

All are pure functions of the texts, except `python:`, which calls a function of the user's own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rlaif.checks import counting
from rlaif.checks.json_shape import JsonShape, fault_in, read_json
from rlaif.checks.layout import Format, is_laid_out
from rlaif.checks.matching import contains_phrase, plain, search
from rlaif.checks.own_functions import imported
from rlaif.errors import CheckError, ConfigError
from rlaif.text.language import known_languages, language_of
from rlaif.text.refusal import refusal_signs


class Turn(Protocol):
    """One turn of a conversation."""

    @property
    def content(self) -> str: ...


class Asked(Protocol):
    """The prompt of a response: a `rlaif.records.Prompt`, whose last turn is the user's."""

    @property
    def messages(self) -> Sequence[Turn]: ...


class Options(Protocol):
    """The options that several kinds share: `any` (one phrase is enough), and whether case is ignored."""

    @property
    def any(self) -> bool: ...

    @property
    def folds_case(self) -> bool: ...


class Kind(ABC):
    """One kind of check."""

    @abstractmethod
    def __call__(self, setting: Any, text: str, options: Options, prompt: Asked) -> tuple[bool, str]:  # noqa: ANN401
        """Return (whether a response passes, short description of what was found); `setting` is the key's value."""

    def prepare(self, setting: Any) -> None:  # noqa: ANN401, B027
        """Raise ConfigError for a setting that cannot be used on this machine; called once, before any request."""


class Counted(Kind):
    """The number of lines, words, sentences or characters is within limits."""

    def __init__(self, things: str, count: Callable[[str], int]) -> None:
        self._things, self._count = things, count

    def __call__(self, setting: counting.Count, text: str, options: Options, prompt: Asked) -> tuple[bool, str]:
        number = self._count(text)
        return setting.allows(number), f"{number} {self._things if number != 1 else self._things[:-1]}"


class Contains(Kind):
    """All of the phrases are found as whole words; with `any`, one of them."""

    def __call__(self, setting: tuple[str, ...], text: str, options: Options, prompt: Asked) -> tuple[bool, str]:
        present = _present(setting, text, options)
        missing = [phrase for phrase in setting if phrase not in present]
        if options.any:
            return bool(present), f"has {_listed(present)}" if present else f"has none of {_listed(missing)}"
        return not missing, f"lacks {_listed(missing)}" if missing else f"has {_listed(present)}"


class Forbids(Kind):
    """None of the phrases is found as whole words."""

    def __call__(self, setting: tuple[str, ...], text: str, options: Options, prompt: Asked) -> tuple[bool, str]:
        present = _present(setting, text, options)
        return not present, f"has {_listed(present)}" if present else "has none of them"


class StartsWith(Kind):
    """The response begins with the phrase."""

    def __call__(self, setting: str, text: str, options: Options, prompt: Asked) -> tuple[bool, str]:
        inside, wanted = (plain(part, fold_case=options.folds_case) for part in (text, setting))
        return inside.startswith(wanted), f"starts {inside[: len(wanted) + 20]!r}"


class EndsWith(Kind):
    """The response ends with the phrase."""

    def __call__(self, setting: str, text: str, options: Options, prompt: Asked) -> tuple[bool, str]:
        inside, wanted = (plain(part, fold_case=options.folds_case) for part in (text, setting))
        return inside.endswith(wanted), f"ends {inside[-len(wanted) - 20 :]!r}"


class Matches(Kind):
    """A regular expression matches somewhere in the response."""

    def __call__(self, setting: str, text: str, options: Options, prompt: Asked) -> tuple[bool, str]:
        match = search(setting, text)
        return match is not None, "no match" if match is None else f"matches {match[:80]!r}"


class IsJson(Kind):
    """The whole response is one JSON value of the given shape."""

    def __call__(self, setting: JsonShape, text: str, options: Options, prompt: Asked) -> tuple[bool, str]:
        try:
            value = read_json(text)
        except ValueError as error:  # the detail of a failed check
            return False, str(error)
        fault = None if setting.schema_ is None else fault_in(value, setting.schema_)
        return fault is None, fault or "JSON"


class InLanguage(Kind):
    """The most likely language of the response (`rlaif.text.language`).

    It is often wrong for short and mixed texts and for code: give other checks more weight there.
    """

    def __call__(self, setting: str, text: str, options: Options, prompt: Asked) -> tuple[bool, str]:
        code = language_of(text)
        return code == setting, f"language {code}"

    def prepare(self, setting: str) -> None:
        """Raise ConfigError for a language that the classifier does not know."""
        known = known_languages()
        if setting not in known:
            codes = ", ".join(sorted(code for code in known if len(code) == 2))
            raise ConfigError(f"check language: {setting}: this language is not supported; choose one of {codes}")


class Refuses(Kind):
    """The response refuses the request, in whole or in part; with `false`, it does not."""

    def __call__(self, setting: bool, text: str, options: Options, prompt: Asked) -> tuple[bool, str]:
        signs = refusal_signs(prompt.messages[-1].content, text)
        return bool(signs) == setting, ", ".join(sorted(signs)) or "no sign of a refusal"


class HasFormat(Kind):
    """The response has the Markdown layout."""

    def __call__(self, setting: Format, text: str, options: Options, prompt: Asked) -> tuple[bool, str]:
        return is_laid_out(text, setting)


class OwnFunction(Kind):
    """`module:function`, a function(text, prompt) -> bool of the user's own; `prompt` is a `rlaif.records.Prompt`.

    It must be allowed by name (own_functions.py), and runs with all rights of this process, in threads, possibly in
    several at once. When it raises an exception or returns something other than True or False, a CheckError fails this
    prompt.
    """

    def __call__(self, setting: str, text: str, options: Options, prompt: Asked) -> tuple[bool, str]:
        function = imported(setting)
        try:
            passed = function(text, prompt)
        except (Exception, SystemExit) as error:
            raise CheckError(f"the check {setting} failed: {type(error).__name__}: {error}") from error
        if not isinstance(passed, bool):
            raise CheckError(f"the check {setting} returned {passed!r:.60}; it must return True or False")
        return passed, str(passed)

    def prepare(self, setting: str) -> None:
        """Raise ConfigError where the function is not allowed, or cannot be imported."""
        imported(setting)


def _present(phrases: Sequence[str], text: str, options: Options) -> list[str]:
    return [phrase for phrase in phrases if contains_phrase(text, phrase, fold_case=options.folds_case)]


def _listed(phrases: list[str]) -> str:
    return ", ".join(f'"{phrase}"' for phrase in phrases)
