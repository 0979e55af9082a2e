"""What a check is, as data: one key that names its kind, and for some kinds a word on how.

    check: {lines: 2}                      check: {matches: "^Dear "}
    check: {words: {max: 50}}              check: {json: {schema: {type: object}}}
    check: {contains: [cat, dog], any: true}

Whatever can be wrong with it is said when it is read: nothing here looks at an answer.
"""

from typing import Annotated, Any, Literal, Self

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
from rlaif.checks.patterns import compiled
from rlaif.checks.settings import Count, JsonShape

Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
Format = Literal["bullets", "numbered", "table", "code", "plain"]

KINDS = (
    *("lines", "words", "sentences", "characters", "contains", "forbids", "starts_with", "ends_with", "matches"),
    *("json", "language", "refuses", "format", "python"),
)
"""The keys that name a kind of check; a check has exactly one."""


class Check(Record):
    """One thing that a program finds out about an answer: exactly one kind, and its settings."""

    lines: Count | None = None
    """Lines with something visible in them; empty lines do not count."""
    words: Count | None = None
    """Runs of letters and digits; an apostrophe or hyphen inside belongs to its word."""
    sentences: Count | None = None
    """Stretches with a letter in them, up to a full stop, question mark or their like, or the end of a line."""
    characters: Count | None = None
    """Unicode characters (code points after NFC), white space around the answer left out."""
    contains: tuple[Phrase, ...] | None = None
    """Words or phrases, all of which must stand in the answer as whole words; with `any`, one of them."""
    forbids: tuple[Phrase, ...] | None = None
    """Words or phrases, none of which may stand in the answer as whole words."""
    starts_with: Phrase | None = None
    """What the answer begins with, white space before it left out."""
    ends_with: Phrase | None = None
    """What the answer ends with, white space after it left out."""
    matches: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = None
    """A regular expression (RE2's syntax) found somewhere in the answer: `^` and `$` stand for its two ends."""
    json_: JsonShape | None = Field(default=None, alias="json")
    """The whole answer is one JSON value; with `{schema: …}`, of this shape."""
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")] | None = None
    """ISO 639-1 code of the language that the answer is most likely in."""
    refuses: StrictBool | None = None
    """Whether the answer is to decline what was asked (English only); false: it must not."""
    format: Format | None = None
    """How the answer is laid out in Markdown; `plain`: not at all."""
    python: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")] | None = None
    """`module:function` of one's own: function(text, prompt) returns True or False."""
    any: StrictBool = False
    """With `contains`: one of the words is enough."""
    ignore_case: StrictBool | None = None
    """With `contains`, `forbids`, `starts_with` and `ends_with`: whether CAPITALS are the same; they are by default."""

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
        given = [kind for kind in KINDS if self._setting(kind) is not None]
        if len(given) != 1:
            found = f"this has {' and '.join(given)}" if given else "this has none"
            raise ValueError(f"a check has exactly one kind ({', '.join(KINDS)}); {found}")
        if self.any and self.contains is None:
            raise ValueError("`any` goes with `contains` only")
        if self.ignore_case is not None and given[0] not in {"contains", "forbids", "starts_with", "ends_with"}:
            raise ValueError(f"`ignore_case` does not go with `{given[0]}`")
        return self

    @model_serializer(mode="wrap")
    def _short(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write what was given, under the names it is given by."""
        found = {name: value for name, value in handler(self).items() if name not in {"json", "json_"}}
        if self.json_ is not None:
            found["json"] = True if self.json_.schema_ is None else {"schema": self.json_.schema_}
        for kind in ("lines", "words", "sentences", "characters"):
            if found.get(kind) is not None:
                found[kind] = {limit: number for limit, number in found[kind].items() if number is not None}
        return {name: value for name, value in found.items() if value is not None and (name != "any" or value)}

    @property
    def kind(self) -> str:
        """The key it was given by."""
        return next(kind for kind in KINDS if self._setting(kind) is not None)

    @property
    def folds_case(self) -> bool:
        """Whether capitals are the same as small letters."""
        return self.ignore_case is not False

    def __str__(self) -> str:
        """Return the check in a few words, for people."""
        setting = self._setting(self.kind)
        match setting:
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

    def _setting(self, kind: str) -> Any:  # noqa: ANN401  (each kind has its own)
        return self.json_ if kind == "json" else getattr(self, kind)


class NamedCheck(Record):
    """A check and the name under which its results are kept."""

    id: str
    """A principle's id, or `check:NAME` for one that belongs to a prompt."""
    check: Check


class CheckResult(Record):
    """What a program found in one answer."""

    passed: bool
    detail: str
    """What was found, in a few words: "3 lines"."""
