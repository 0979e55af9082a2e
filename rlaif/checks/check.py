"""A check as data (one key that names its kind, for some kinds with options), and its application to a response.

    check: {lines: 2}                      check: {matches: "^Dear "}
    check: {words: {max: 50}}              check: {json: {schema: {type: object}}}
    check: {contains: [cat, dog], any: true}

All errors in a check are found when it is read, before any request.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    StrictBool,
    StringConstraints,
    field_validator,
    model_serializer,
    model_validator,
)

from rlaif.base import Record
from rlaif.checks import counting, kinds
from rlaif.checks.counting import Count
from rlaif.checks.json_shape import JsonShape
from rlaif.checks.layout import Format
from rlaif.checks.matching import compiled

Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
LanguageCode = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
Entry = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")]

LONGEST_DETAIL = 160
"""Maximum characters of a result's detail."""


class Check(Record):
    """A condition on a response that a program decides: exactly one kind, and its settings."""

    lines: Annotated[Count | None, kinds.Counted("lines", lambda text: len(counting.lines(text)))] = None
    """Number of lines with a visible character; empty lines do not count."""
    words: Annotated[Count | None, kinds.Counted("words", lambda text: len(counting.words(text)))] = None
    """Number of words: runs of letters and digits; an apostrophe or hyphen inside belongs to its word."""
    sentences: Annotated[Count | None, kinds.Counted("sentences", lambda text: len(counting.sentences(text)))] = None
    """Number of sentences: texts with a letter that end with a full stop, question mark or similar mark, or with the
    line."""
    characters: Annotated[Count | None, kinds.Counted("characters", counting.characters)] = None
    """Number of Unicode characters (code points after NFC), without white space around the response."""
    contains: Annotated[tuple[Phrase, ...] | None, kinds.Contains()] = None
    """Words or phrases, all of which must be in the response as whole words; with `any`, one of them."""
    forbids: Annotated[tuple[Phrase, ...] | None, kinds.Forbids()] = None
    """Words or phrases, none of which may be in the response as whole words."""
    starts_with: Annotated[Phrase | None, kinds.StartsWith()] = None
    """Text with which the response must begin, after white space."""
    ends_with: Annotated[Phrase | None, kinds.EndsWith()] = None
    """Text with which the response must end, before white space."""
    matches: Annotated[Pattern | None, kinds.Matches()] = None
    """A regular expression (RE2 syntax) that must match somewhere in the response; `^` and `$` are the ends of the
    response."""
    json_: Annotated[JsonShape | None, kinds.IsJson()] = Field(default=None, alias="json")
    """The whole response must be one JSON value; with `{schema: …}`, a value that the schema accepts."""
    language: Annotated[LanguageCode | None, kinds.InLanguage()] = None
    """ISO 639-1 code of the language that the response must be in (the most likely one)."""
    refuses: Annotated[StrictBool | None, kinds.Refuses()] = None
    """Whether the response must decline what was asked, in whole or in part (English only); false: it must not."""
    format: Annotated[Format | None, kinds.HasFormat()] = None
    """Markdown layout that the response must have; `plain`: no Markdown."""
    python: Annotated[Entry | None, kinds.OwnFunction()] = None
    """`module:function` of the user's own: function(text, prompt) returns True or False."""
    any: StrictBool = False
    """With `contains`: one of the words is enough."""
    ignore_case: StrictBool | None = None
    """With `contains`, `forbids`, `starts_with` and `ends_with`: whether case is ignored; true by default."""

    @field_validator("contains", "forbids", mode="before")
    @classmethod
    def _one_word_is_enough(cls, words: object) -> object:
        return [words] if isinstance(words, str) else words

    @field_validator("contains", "forbids")
    @classmethod
    def _there_are_words(cls, words: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if words is not None and not words:
            raise ValueError("the list of words is empty")
        return words

    @field_validator("matches")
    @classmethod
    def _is_a_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            compiled(pattern)
        return pattern

    @model_validator(mode="after")
    def _is_one_check(self) -> Self:
        given = self._given()
        if len(given) != 1:
            found = f"this has {' and '.join(given)}" if given else "this has none"
            raise ValueError(f"a check has exactly one kind ({', '.join(KINDS)}); {found}")
        if self.any and self.contains is None:
            raise ValueError("`any` is an option of `contains` only")
        if self.ignore_case is not None and given[0] not in {"contains", "forbids", "starts_with", "ends_with"}:
            raise ValueError(f"`ignore_case` is not an option of `{given[0]}`")
        return self

    @model_serializer(mode="wrap")
    def _short(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Return the keys that were given and their values, without defaults."""
        values = {name: value for name, value in handler(self).items() if name not in {"json", "json_"}}
        if self.json_ is not None:
            values["json"] = True if self.json_.schema_ is None else {"schema": self.json_.schema_}
        for kind in ("lines", "words", "sentences", "characters"):
            if values.get(kind) is not None:
                values[kind] = {limit: number for limit, number in values[kind].items() if number is not None}
        return {name: value for name, value in values.items() if value is not None and (name != "any" or value)}

    @property
    def kind(self) -> str:
        """The key that names its kind."""
        return self._given()[0]

    @property
    def setting(self) -> Any:  # noqa: ANN401  (each kind has its own)
        """The value under that key."""
        return self.json_ if self.kind == "json" else getattr(self, self.kind)

    @property
    def folds_case(self) -> bool:
        """Whether case is ignored."""
        return self.ignore_case is not False

    def __str__(self) -> str:
        """Return a short description of the check."""
        match setting := self.setting:
            case tuple():
                how = "any of " if self.any else ""
                shown = how + ", ".join(f'"{word}"' for word in setting)
            case JsonShape():
                shown = "any" if setting.schema_ is None else "of a given schema"
            case bool():
                shown = "yes" if setting else "no"
            case _:
                shown = str(setting)
        return f"{self.kind.replace('_', ' ')}: {shown}" + (" (exact case)" if self.ignore_case is False else "")

    def _given(self) -> list[str]:
        return [kind for kind in KINDS if getattr(self, "json_" if kind == "json" else kind) is not None]


KINDS: Mapping[str, kinds.Kind] = {
    field.alias or name: kind
    for name, field in Check.model_fields.items()
    for kind in field.metadata
    if isinstance(kind, kinds.Kind)
}
"""All kinds of checks, by the key that names them."""


class NamedCheck(Record):
    """A check and its id."""

    id: str
    """A principle's id, or `check:NAME` for a check of a prompt."""
    check: Check


class CheckResult(Record):
    """The result of a check on one response."""

    passed: bool
    detail: str
    """Short description of what was found, such as "3 lines"."""


def make_ready(checks: Iterable[Check]) -> None:
    """Import the modules that these checks need, before any request. Raises ConfigError."""
    for check in checks:
        KINDS[check.kind].prepare(check.setting)


def functions_called(checks: Iterable[Check]) -> tuple[str, ...]:
    """Return the functions of the user's own that these checks call, without repetition, sorted."""
    return tuple(sorted({check.python for check in checks if check.python is not None}))


def run_check(check: Check, text: str, prompt: kinds.Asked) -> CheckResult:
    """Return the result of a check on a response. Raises CheckError when a function of the user's own fails."""
    passed, detail = KINDS[check.kind](check.setting, text, check, prompt)
    return CheckResult(passed=passed, detail=detail if len(detail) <= LONGEST_DETAIL else detail[:LONGEST_DETAIL] + "…")


def case_fault(check: Check, better: CheckResult, worse: CheckResult) -> str | None:
    """Return how a check contradicts a labelled case; None where only the better response passes."""
    outcomes = {
        (False, True): "the better response fails and the worse one passes",
        (True, True): "both responses pass",
        (False, False): "both responses fail",
    }
    outcome = outcomes.get((better.passed, worse.passed))
    return outcome and f"{outcome} (better: {better.detail}; worse: {worse.detail}; the check: {check})"
