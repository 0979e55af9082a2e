"""Principles in the shapes in which they are published; the words here are our own."""

import json
from pathlib import Path
from typing import Any

import pytest

from rlaif.constitution.importers import Imported, import_constitution
from rlaif.constitution.load import load_constitution
from rlaif.errors import ConfigError


def imported(tmp_path: Path, data: Any, name: str | None = None) -> Imported:
    path = tmp_path / "theirs.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return import_constitution(path, name)


def entries(found: Imported) -> list[tuple[str, str | None, str | None, str | None]]:
    return [(p.id, p.critique, p.revise, p.compare) for p in found.constitution.principles]


PAIR = ("Say what is rude.", "Make it polite.")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"rude 1": {"prompt": ["\n\nCritiqueRequest: Say what is rude.\n\nCritique:"],
                     "edit_request": "\n\nRevisionRequest: Make it polite.\n\nRevision:"}}, "rude-1"),
        ({"constitutions": [{"critic": PAIR[0], "revision": PAIR[1]}], "system_chat": []}, "imported-1"),
        ([{"name": "Rude!", "critique_request": PAIR[0], "revision_request": PAIR[1]}], "rude"),
        ([{"name": "Rude!", "critiqueRequest": PAIR[0], "revisionRequest": PAIR[1], "_type": "x"}], "rude"),
        ({"principles": {"rude": {"critique": PAIR[0], "revision": PAIR[1]}}}, "rude"),
        ([{"id": "rude", "Critique": PAIR[0], "Revise": PAIR[1]}], "rude"),
        ({"critique": PAIR[0], "revision": PAIR[1]}, "imported-1"),
        ({"0": {"critique": PAIR[0], "edit": PAIR[1]}}, "imported-1"),
    ],
)  # fmt: skip
def test_a_critique_and_a_revision_in_each_published_shape(tmp_path: Path, data: Any, name: str) -> None:
    found = imported(tmp_path, data)
    assert entries(found) == [(name, *PAIR, None)]
    assert found.constitution.principles[0].critique_only
    assert found.critique_only == 1


@pytest.mark.parametrize(
    "data", [["\nWhich is politer? Options:"], {"0": "Which is politer?"}, {"constitution": ["Which is politer?"]}]
)
def test_plain_texts_are_comparisons(tmp_path: Path, data: Any) -> None:
    found = imported(tmp_path, data)
    assert entries(found) == [("imported-1", None, None, "Which is politer?")]
    assert (found.compare_only, found.critique_only, found.no_question) == (1, 0, 0)


def test_an_entry_with_all_three_is_a_whole_principle(tmp_path: Path) -> None:
    found = imported(tmp_path, [{"critique": "c", "revision": "r", "comparison": "Which?", "why": "Because."}])
    (principle,) = found.constitution.principles
    assert (principle.critique, principle.revise, principle.compare, principle.why) == ("c", "r", "Which?", "Because.")
    assert not principle.critique_only
    assert not principle.compare_only


def test_equal_names_get_numbers_and_equal_words_are_dropped_and_counted(tmp_path: Path) -> None:
    data = [
        {"name": "Constitutional Principle", "critique_request": words, "revision_request": "r"}
        for words in ("one", "two", "one", "three")
    ]
    found = imported(tmp_path, data)
    assert [(e[0], e[1]) for e in entries(found)] == [
        ("constitutional-principle", "one"),
        ("constitutional-principle-2", "two"),
        ("constitutional-principle-3", "three"),
    ]
    assert found.duplicates == 1


def test_the_yaml_loads_as_the_same_constitution_whatever_is_in_the_words(tmp_path: Path) -> None:
    words = [
        "yes",
        "1: [2",
        "# no remark",
        "two\n\nlines\n ",
        "tab\there",
        "'\"",
        "\u2028 \x85 é 🙂 \ufeff",
        "- a",
        "null",
    ]
    found = imported(tmp_path, [{"critique": text, "revise": text, "name": text} for text in words])
    path = tmp_path / "out.yaml"
    path.write_text(found.yaml, encoding="utf-8")
    assert load_constitution(path) == found.constitution
    assert [p.critique for p in found.constitution.principles] == [text.strip() for text in words]


def test_ignored_keys_and_comparisons_without_a_question_are_counted(tmp_path: Path) -> None:
    found = imported(tmp_path, {"principles": ["Be kind.", "Which is kinder?"], "system_chat": [], "version": 2})
    assert found.ignored == ("system_chat", "version")
    assert found.no_question == 1


def test_a_name_comes_from_the_file_or_the_caller(tmp_path: Path) -> None:
    assert imported(tmp_path, ["Which?"]).constitution.name == "theirs"
    assert imported(tmp_path, ["Which?"], "My Rules").constitution.name == "my-rules"
    assert imported(tmp_path, ["Which?"], "??").constitution.name == "imported"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ("", ":1: not valid JSON: Expecting value"),
        ("{", ":1: not valid JSON: "),
        ('{"a": "x",\n"b" "y"}', ":2: not valid JSON: "),
        ("[" * 100_000, ":1: not valid JSON: nested too deeply"),
        ('{"a": "x", "a": "y"}', ": key 'a' is given twice"),
        ("null", ": found nothing; expected a list or a dict of principles"),
        ("[]", ": found nothing"),
        ("{}", ": found nothing"),
        ("3", ": found int 3"),
        ('"text"', ': found str "text"'),
        ([1], ": entry 1: is int; expected a text or a dict"),
        ([["a"]], ": entry 1: is list"),
        ([{"critique": "c"}], ": entry 1: has no revise instruction and no comparison; found the keys critique"),
        ([{"a": "b"}], ": entry 1: has no critique and no revise instruction and no comparison; found the keys a"),
        ([{"critique": "c", "revise": "r"}, {}], ": entry 2: has no critique"),
        ([{"critique": 3, "revise": "r"}], ": entry 1: critique: expected a text, found 3"),
        ([{"critique": [], "revise": "r"}], ": entry 1: critique: expected a text, found []"),
        ([{"critique": "Critique:", "revise": "r"}], ": entry 1: critique: is empty"),
        (["  "], ": entry 1: is empty"),
        ({"one": {"critique": {"a": 1}, "revise": "r"}}, ': entry "one": critique: expected a text, found {"a": 1}'),
        (["\ud800"], ": "),
    ],
)
def test_an_entry_that_is_not_understood_is_reported_with_its_place(tmp_path: Path, data: Any, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        imported(tmp_path, data)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'theirs.json'}{complaint}")
    assert "\n" not in message


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        import_constitution(tmp_path / "nowhere.json")
    (tmp_path / "x.json").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        import_constitution(tmp_path / "x.json")
