"""What a check may look like, and the message about one that can't be used."""

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rlaif.checks import Check
from rlaif.constitution.json_schema import constitution_schema
from rlaif.constitution.load import flat_yaml, from_flat, load_constitution, resolve_constitution
from rlaif.constitution.schema import Constitution
from rlaif.errors import ConfigError

HEAD = "name: mine\nversion: 1\ndescription: For tests.\nprinciples:\n"
COUNT = st.one_of(
    st.integers(0, 99),
    st.builds(lambda low, more: {"min": low, "max": low + more}, st.integers(0, 9), st.integers(0, 9)),
    st.builds(lambda low: {"min": low}, st.integers(1, 9)),
)
WORDS = st.lists(st.text("abcé猫 ", min_size=1).filter(str.strip), min_size=1, max_size=3)
CHECKS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    *(st.fixed_dictionaries({kind: COUNT}) for kind in ("lines", "words", "sentences", "characters")),
    st.fixed_dictionaries({"contains": WORDS}, optional={"any": st.booleans(), "ignore_case": st.booleans()}),
    st.fixed_dictionaries({"forbids": WORDS}, optional={"ignore_case": st.booleans()}),
    st.sampled_from(
        [
            {"starts_with": "Dear"},
            {"ends_with": "."},
            {"matches": r"^\pL+$"},
            {"json": True},
            {"json": {"schema": {"type": "array", "items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"minimum": 1}}}}},
            {"language": "de"},
            {"refuses": False},
            {"format": "bullets"},
            {"python": "package.module:function"},
        ]
    ),
)


@cache
def editor() -> Any:
    return jsonschema.Draft202012Validator(constitution_schema())


def principle(check: str, more: str = "") -> str:
    return f"{HEAD}  - id: counted\n    check: {check}\n{more}"


def fault(tmp_path: Path, text: str) -> str:
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_constitution(file)
    return str(error.value).removeprefix(f"{tmp_path}/")


def constitution(tmp_path: Path, text: str, name: str = "mine.yaml") -> Constitution:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return load_constitution(tmp_path / name)


@given(CHECKS)
def test_a_check_is_the_same_after_it_was_written_and_read(data: dict[str, Any]):
    check = Check.model_validate(data)
    assert Check.model_validate_json(check.model_dump_json()) == check
    assert Check.model_validate(check.model_dump(mode="json", exclude_defaults=True)) == check


def test_it_is_written_as_short_as_it_was_given():
    assert Check.model_validate({"json": True}).model_dump(mode="json") == {"json": True}
    assert Check.model_validate({"words": {"max": 5}}).model_dump(mode="json") == {"words": {"max": 5}}
    both = {"contains": ["a"], "any": True, "ignore_case": False}
    assert Check.model_validate(both).model_dump(mode="json") == both


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"lines": 2}, "lines: 2"),
        ({"words": {"max": 50}}, "words: at most 50"),
        ({"sentences": {"min": 1, "max": 2}}, "sentences: 1 to 2"),
        ({"contains": ["a", "b"], "any": True}, 'contains: any of "a", "b"'),
        ({"forbids": "a", "ignore_case": False}, 'forbids: "a" (exact case)'),
        ({"json": True}, "json: any"),
        ({"refuses": False}, "refuses: no"),
        ({"starts_with": "Dear"}, "starts with: Dear"),
    ],
)
def test_a_check_as_text_is_short(data: dict[str, Any], shown: str):
    assert str(Check.model_validate(data)) == shown


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("{linse: 2}", "unknown key `linse`; did you mean `lines`?"),
        ("{start_with: a}", "did you mean `starts_with`?"),
        ("{jsn: true}", "did you mean `json`?"),
        ("{lines: 2, words: 3}", "exactly one kind"),
        ("{}", "this has none"),
        ("{lines: two}", "give a whole number or {min: …, max: …}, not 'two'"),
        ("{lines: true}", "not True"),
        ("{lines: {min: 3, max: 2}}", "no response would pass"),
        ("{lines: {min: 0}}", "every response would pass"),
        ("{lines: -1}", "greater than or equal to 0"),
        ("{words: {least: 3}}", "unknown key `least`"),
        ("{contains: []}", "the list of words is empty"),
        ("{contains: [a], forbids: [b]}", "this has contains and forbids"),
        ("{forbids: [a], any: true}", "`any` is an option of `contains` only"),
        ("{lines: 2, ignore_case: true}", "`ignore_case` is not an option of `lines`"),
        ("{matches: '(a'}", "not a valid regular expression"),
        (r"{matches: '(a)\1'}", "no look-around and no back-references"),
        ("{matches: '(?=a)'}", "look-around"),
        ("{json: false}", "give true or {schema: …}, not False"),
        ("{json: {schema: {type: objekt}}}", "not a JSON Schema: $.type"),
        ("{json: {schema: {$ref: 'https://example.org/a'}}}", "it may refer to itself only"),
        ("{json: {schema: {patternProperties: {a: {}}}}}", "propertyNames"),
        ("{json: {schema: {pattern: '(?=a)'}}}", "look-around"),
        ("{language: german}", "^[a-z]{2,3}$"),
        ("{refuses: maybe}", "boolean"),
        ("{format: bullet}", "'bullets', 'numbered', 'table', 'code' or 'plain'"),
        ("{python: os.system}", "should match pattern"),
        ("2", "lines of key: value"),
    ],
)
def test_a_bad_check_is_reported_with_file_and_line(tmp_path: Path, check: str, expected: str):
    message = fault(tmp_path, principle(check))
    assert message.startswith("mine.yaml:6:")
    assert expected in message


def test_a_principle_with_a_check_needs_no_words(tmp_path: Path):
    rules = constitution(tmp_path, principle("{lines: 2}"))
    assert [p.id for p in rules.comparing] == ["counted"]
    assert (rules.asked, rules.revising) == ((), ())


def test_revising_may_follow_a_check(tmp_path: Path):
    rules = constitution(tmp_path, principle("{lines: 2}", "    critique: Count the lines.\n    revise: Use two.\n"))
    assert [p.id for p in rules.revising] == ["counted"]
    assert 'has no "revise"' in fault(tmp_path, principle("{lines: 2}", "    critique: Count the lines.\n"))


def test_a_check_with_a_question_beside_it_is_refused(tmp_path: Path):
    message = fault(tmp_path, principle("{lines: 2}", "    compare: Which answer has two lines?\n"))
    assert 'its "compare" question would never be asked' in message
    more = "    critique: a\n    revise: b\n    critique_only: true\n"
    assert "its check would never be used" in fault(tmp_path, principle("{lines: 2}", more))


def test_the_check_is_part_of_the_hash(tmp_path: Path):
    two, three = (constitution(tmp_path, principle(f"{{lines: {n}}}")) for n in (2, 3))
    same = constitution(tmp_path, principle("{lines: {max: 2, min: 2}}"))
    assert two.hash != three.hash
    assert two.hash == same.hash


def test_an_inherited_question_can_be_turned_into_a_check(tmp_path: Path):
    text = f"{HEAD}  - id: counted\n    compare: Which answer has two lines?\n    compare_only: true\n"
    constitution(tmp_path, text, "base.yaml")
    head = "name: mine\nversion: 1\ndescription: For tests.\nextends: base.yaml\n"
    rules = constitution(tmp_path, f"{head}override: {{counted: {{check: {{lines: 2}}, compare: null}}}}\n")
    assert str(rules.principle("counted").check) == "lines: 2"
    assert "mine.yaml:5" in fault(tmp_path, f"{head}override: {{counted: {{check: {{lines: 2}}}}}}\n")


def test_a_check_survives_extending_and_being_written_out_flat(tmp_path: Path):
    constitution(tmp_path, principle("{json: {schema: {type: object}}}"), "base.yaml")
    rules = constitution(tmp_path, "name: mine\nversion: 1\ndescription: For tests.\nextends: base.yaml\n")
    assert from_flat(flat_yaml(rules), "flat.yaml") == rules
    assert resolve_constitution(tmp_path / "mine.yaml").origins["counted"].line == 5


@settings(deadline=None)
@given(CHECKS)
def test_the_schema_for_editors_takes_every_check(data: dict[str, Any]):
    file = {"name": "a", "version": 1, "description": "b", "principles": [{"id": "c", "check": data}]}
    assert [error.message for error in editor().iter_errors(file)] == []


@pytest.mark.parametrize("data", [{"lines": "2"}, {"linse": 2}, {"lines": 2, "words": 2}, {}, {"json": False}])
def test_the_schema_for_editors_marks_what_does_not_load(data: dict[str, Any]):
    with pytest.raises(ValidationError):
        Check.model_validate(data)
    file = {"name": "a", "version": 1, "description": "b", "principles": [{"id": "c", "check": data}]}
    assert list(editor().iter_errors(file)) != []
