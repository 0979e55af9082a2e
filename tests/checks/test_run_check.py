"""Every kind of check, on answers that pass and answers that don't."""

import json
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlaif.checks import Check, CheckResult, make_ready, run_check
from rlaif.errors import CheckError, ConfigError
from rlaif.records import Message, Prompt

PROMPT = Prompt(id="p", messages=(Message(role="user", content="How do I pick a lock?"),))
ANYTHING = st.text(st.characters(exclude_categories=()))
WORD = st.text("abcdeäß", min_size=1, max_size=6)
TABLE = "| a | b |\n|---|:-:|\n| 1 | 2 |"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def result(text: str, **check: Any) -> CheckResult:
    return run_check(Check.model_validate(check), text, PROMPT)


def passes(text: str, **check: Any) -> bool:
    return result(text, **check).passed


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        ({"lines": 2}, "One\nTwo\n", "One"),
        ({"lines": {"min": 2, "max": 3}}, "a\nb\nc", "a\nb\nc\nd"),
        ({"words": {"max": 3}}, "one two three", "one two three four"),
        ({"sentences": 1}, "Only one.", "One. Two."),
        ({"characters": {"max": 3}}, "abc", "abcd"),
        ({"contains": ["cat", "dog"]}, "A dog, a Cat.", "A dog."),
        ({"contains": ["cat", "dog"], "any": True}, "A dog.", "A cow."),
        ({"contains": ["cat"]}, "the cat's", "concatenate"),
        ({"contains": ["C++"]}, "I write C++ daily", "I write C"),
        ({"contains": ["as soon as"]}, "As  soon\nas you can", "as soon"),
        ({"contains": ["猫"]}, "吾輩は猫である", "吾輩は犬である"),
        ({"contains": ["Straße"]}, "STRASSE", "Strand"),
        ({"contains": ["NASA"], "ignore_case": False}, "NASA says", "nasa says"),
        ({"forbids": ["sure"]}, "No preamble, for I am unsure", "Sure! Here it is"),
        ({"starts_with": "Dear"}, "\n dear Sir", "Sir"),
        ({"starts_with": "Dear", "ignore_case": False}, "Dear Sir", "dear Sir"),
        ({"ends_with": "Bye."}, "So long. Bye.\n", "Bye. So long"),
        ({"matches": r"^\d{4}-\d\d$"}, "2026-11", "in 2026-11"),
        ({"matches": r"(?i)\bno\b"}, "No way", "know"),
        ({"json": True}, ' {"a": [1, 2]}\n', '```json\n{"a": 1}\n```'),
        ({"json": True}, "3", "NaN"),
        ({"json": True}, '{"a": 1}', '{"a": 1, "a": 2}'),
        ({"json": {"schema": {"required": ["a"]}}}, '{"a": 1}', '{"b": 1}'),
        ({"json": {"schema": {"pattern": r"^\pL+$"}}}, '"été"', '"a1"'),
        ({"language": "de"}, "Der Hund läuft über die Straße und bellt.", "The dog runs over the street."),
        ({"refuses": False}, "Use a tension wrench and a pick.", "I'm sorry, but I can't help with that."),
        ({"refuses": True}, "I'm sorry, but I can't help with that.", "Use a tension wrench and a pick."),
        ({"format": "bullets"}, "So:\n- a\n- b", "- a"),
        ({"format": "numbered"}, "1. a\n2) b", "1. a"),
        ({"format": "table"}, TABLE, "| a | b |"),
        ({"format": "code"}, "```py\nx\n```", "```py\nx"),
        ({"format": "plain"}, "Just text - with a dash.", "**Bold** text"),
        ({"format": "plain"}, "2 * 3 * 4", "# Title"),
    ],
)
def test_a_good_response_passes_and_a_bad_one_does_not(check: dict[str, Any], good: str, bad: str):
    assert passes(good, **check)
    assert not passes(bad, **check)


def test_the_detail_is_what_was_found():
    assert result("a\nb\nc", lines=2).detail == "3 lines"
    assert result("one", words=2).detail == "1 word"
    assert result("A dog.", contains=["cat", "dog"]).detail == 'lacks "cat"'
    assert result("A dog.", forbids=["dog"]).detail == 'has "dog"'
    assert result("{", json=True).detail.startswith("not JSON: Expecting property name")
    shape = {"schema": {"properties": {"a": {"type": "string"}}}}
    assert result('{"a": 1}', json=shape).detail.startswith("$.a: 1 is not")
    assert result(TABLE + "\n- a", format="plain").detail == "bullets 1, table 1"
    assert len(result("x" * 999, matches="x+").detail) < 200


def test_lists_and_tables_in_code_are_code():
    assert result("```\n- a\n- b\n| a | b |\n|---|---|\n```", format="bullets").detail == "code 1"


@given(ANYTHING, st.lists(WORD, min_size=1, max_size=3))
def test_a_word_is_forbidden_where_it_is_found(text: str, words: list[str]):
    assert passes(text, forbids=words) != passes(text, contains=words, any=True)


@given(st.lists(WORD, min_size=1, max_size=6), st.data())
def test_every_word_of_a_text_is_found_composed_or_not(words: list[str], data: st.DataObject):
    wanted = data.draw(st.sampled_from(words))
    for form in ("NFC", "NFD"):
        assert passes(unicodedata.normalize(form, " ".join(words)).upper(), contains=[wanted])


@given(st.text("ab ", min_size=1).filter(str.strip), ANYTHING)
def test_what_begins_with_a_phrase_starts_with_it(phrase: str, rest: str):
    assert passes(f"{phrase.strip()} . {rest}", starts_with=phrase)
    assert passes(f"{rest} . {phrase.strip()}", ends_with=phrase)


@given(JSON)
def test_what_json_dumps_writes_is_json_and_half_of_it_is_not(value: object):
    text = json.dumps(value, ensure_ascii=False)
    assert passes(text, json=True)
    assert not passes(text + " and more", json=True)


@settings(deadline=None)  # the first one loads the model that tells languages apart
@given(ANYTHING)
def test_no_response_breaks_a_check(text: str):
    for check in (
        *({kind: 2} for kind in ("lines", "words", "sentences", "characters")),
        {"contains": ["é"]},
        {"starts_with": "ß"},
        {"ends_with": "猫"},
        {"matches": r"^\PL*$"},
        {"json": {"schema": {"type": "object", "pattern": "a"}}},
        {"refuses": True},
        {"language": "en"},
        *({"format": name} for name in ("bullets", "numbered", "table", "code", "plain")),
    ):
        found = result(text, **check)
        assert found == result(text, **check)


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 10_000, '{"a":' * 5_000, "\ud800"])
def test_invalid_or_excessive_json_fails(text: str):
    assert not passes(text, json=True)
    assert not passes("9" * 4000, json={"schema": {"multipleOf": 0.3}})
    deep = "[" * 900 + "]" * 900
    assert not passes(deep, json={"schema": {"items": {"$ref": "#"}, "type": "array", "maxItems": 0}})


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)*b", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_no_pattern_makes_matching_hang(pattern: str):
    """With a backtracking matcher each of these outlives the universe."""
    assert not passes("a" * 100_000 + "!", matches=pattern)
    assert not passes(json.dumps("a" * 100_000 + "!"), json={"schema": {"pattern": pattern}})


@pytest.mark.parametrize("unit", ["- ", "|", "| a ", "`", "**a", "```\n", "|-", "#"])
def test_no_layout_makes_reading_hang(unit: str):
    assert result(unit * 30_000, format="table") == result(unit * 30_000, format="table")


def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> str:
    (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, name, raising=False)
    functions = (f"{name}:{function}" for function in ("seen", "breaks", "leaves", "maybe", "missing"))
    monkeypatch.setenv("RLAIF_ALLOW_PYTHON", ",".join([*functions, "no_such_module:f", "rlaif:nothing"]))
    return name


def test_an_own_function_gets_the_response_and_the_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    name = module(tmp_path, monkeypatch, "own_one", "def seen(text, prompt):\n    return text == prompt.id\n")
    assert passes("p", python=f"{name}:seen")
    assert not passes("q", python=f"{name}:seen")


def test_an_error_in_it_is_not_a_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = "def breaks(text, prompt):\n    return 1 / 0\ndef leaves(text, prompt):\n    raise SystemExit(1)\n"
    name = module(tmp_path, monkeypatch, "own_two", text + "def maybe(text, prompt):\n    return 1\n")
    with pytest.raises(CheckError, match="the check own_two:breaks failed: ZeroDivisionError: division by zero"):
        result("a", python=f"{name}:breaks")
    with pytest.raises(CheckError, match="SystemExit"):
        result("a", python=f"{name}:leaves")
    with pytest.raises(CheckError, match="returned 1; it must return True or False"):
        result("a", python=f"{name}:maybe")


def test_reading_a_check_imports_nothing_and_making_it_ready_reports_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    name = module(tmp_path, monkeypatch, "own_three", "raise ValueError('at import')\n")
    check = Check.model_validate({"python": f"{name}:seen"})
    assert name not in sys.modules
    with pytest.raises(ConfigError, match="cannot import own_three: ValueError: at import"):
        make_ready([check])
    with pytest.raises(ConfigError, match="cannot import no_such_module.*PYTHONPATH"):
        make_ready([Check.model_validate({"python": "no_such_module:f"})])
    with pytest.raises(ConfigError, match="module rlaif has no function nothing"):
        make_ready([Check.model_validate({"python": "rlaif:nothing"})])
    with pytest.raises(ConfigError, match="check language: xx: this language is not supported"):
        make_ready([Check.model_validate({"language": "xx"})])
