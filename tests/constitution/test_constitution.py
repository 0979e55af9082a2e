from pathlib import Path

import pytest

from rlaif.constitution.load import load_constitution
from rlaif.constitution.schema import Constitution
from rlaif.errors import ConfigError, UsageError
from rlaif.shipped import constitution_names

GOOD = """\
name: mine
version: 1
description: Rules of my own.
principles:
  - id: kind
    critique: Point out what is unkind.
    revise: Say it kindly.
    compare: Which answer is kinder?
    weight: 2
  - id: only-judged
    compare: Which answer is shorter?
    compare_only: true
  - id: only-revised
    critique: Point out slang.
    revise: Leave it out.
    critique_only: true
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def fault(folder: Path, text: str) -> str:
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load_constitution(path)
    return str(caught.value).replace(str(path), "mine.yaml")


@pytest.mark.parametrize("name", constitution_names())
def test_every_shipped_constitution_loads_under_its_own_name(name: str):
    constitution = load_constitution(name)
    assert constitution.name == name
    assert constitution.comparing
    assert constitution.revising


def test_the_three_shipped_constitutions_are_there():
    assert {"directness", "harmlessness", "honesty"} <= set(constitution_names())


def test_a_principle_is_used_for_what_it_is_marked_for(tmp_path: Path):
    constitution = load_constitution(write(tmp_path, GOOD))
    assert [p.id for p in constitution.comparing] == ["kind", "only-judged"]
    assert [p.id for p in constitution.revising] == ["kind", "only-revised"]
    assert constitution.principle("kind").weight == 2
    assert constitution.principle("only-judged").weight == 1


def test_the_hash_ignores_comments_and_layout(tmp_path: Path):
    first = load_constitution(write(tmp_path, GOOD)).hash
    second = load_constitution(write(tmp_path, "# a remark\n" + GOOD.replace("weight: 2", "weight:   2.0"))).hash
    assert first == second
    assert len(first) == 12


@pytest.mark.parametrize(
    ("was", "now"), [("weight: 2", "weight: 3"), ("kinder", "kindest"), ("version: 1", "version: 2")]
)
def test_the_hash_changes_with_the_content(tmp_path: Path, was: str, now: str):
    assert (
        load_constitution(write(tmp_path, GOOD)).hash != load_constitution(write(tmp_path, GOOD.replace(was, now))).hash
    )


def test_the_order_of_the_principles_is_content(tmp_path: Path):
    constitution = load_constitution(write(tmp_path, GOOD))
    turned = constitution.model_copy(update={"principles": constitution.principles[::-1]})
    assert turned.hash != constitution.hash


def test_a_principle_without_a_compare_question_is_reported_with_its_line_and_a_fix(tmp_path: Path):
    text = GOOD.replace("    compare: Which answer is kinder?\n", "")
    assert fault(tmp_path, text) == (
        'mine.yaml:5: principles.0: principle "kind" has no "compare" question, so it cannot compare responses; '
        "add one or a check, or mark it critique_only"
    )


@pytest.mark.parametrize("part", ["critique: Point out what is unkind.", "revise: Say it kindly."])
def test_a_principle_without_an_instruction_is_reported_with_a_fix(tmp_path: Path, part: str):
    message = fault(tmp_path, GOOD.replace(f"    {part}\n", ""))
    assert message.startswith('mine.yaml:5: principles.0: principle "kind" has no ')
    assert message.endswith("add one, or mark it compare_only")


def test_an_unused_principle_is_refused(tmp_path: Path):
    message = fault(tmp_path, GOOD.replace("    compare_only: true", "    compare_only: true\n    critique_only: true"))
    assert message.startswith("mine.yaml:10: ")
    assert "is never used" in message


def test_a_repeated_id_is_named(tmp_path: Path):
    message = fault(tmp_path, GOOD.replace("id: only-revised", "id: kind"))
    assert message == 'mine.yaml:4: principles: principle id "kind" is used twice'


def test_a_misspelt_key_of_a_principle_is_reported_with_its_line(tmp_path: Path):
    assert fault(tmp_path, GOOD.replace("weight: 2", "wieght: 2")) == (
        "mine.yaml:9: unknown key `wieght`; did you mean `weight`?"
    )


@pytest.mark.parametrize("weight", ["0", "-1", ".nan", ".inf", "1001", "heavy"])
def test_a_weight_is_a_positive_number(tmp_path: Path, weight: str):
    assert fault(tmp_path, GOOD.replace("weight: 2", f"weight: {weight}")).startswith(
        "mine.yaml:9: principles.0.weight: "
    )


@pytest.mark.parametrize("slug", ["Kind", "kind_one", "-kind", "kind-", "two words", "''", "k" * 65])
def test_an_id_is_a_slug(tmp_path: Path, slug: str):
    assert fault(tmp_path, GOOD.replace("id: kind", f"id: {slug}")).startswith("mine.yaml:5: principles.0.id: ")


def test_text_of_white_space_only_is_refused(tmp_path: Path):
    assert fault(tmp_path, GOOD.replace("Say it kindly.", "'  '")).startswith("mine.yaml:7: principles.0.revise: ")


def test_a_constitution_has_at_least_one_principle(tmp_path: Path):
    assert fault(tmp_path, "name: mine\nversion: 1\ndescription: d\nprinciples: []\n").startswith(
        "mine.yaml:4: principles: "
    )


def test_text_is_taken_without_the_white_space_around_it(tmp_path: Path):
    text = GOOD.replace("revise: Say it kindly.", "revise: >\n      Say it\n      kindly.\n")
    assert load_constitution(write(tmp_path, text)).principle("kind").revise == "Say it kindly."


def test_an_unknown_name_lists_the_shipped_ones():
    with pytest.raises(UsageError) as caught:
        load_constitution("honestly")
    assert "'honestly'" in str(caught.value)
    assert all(name in str(caught.value) for name in constitution_names())


def test_a_folder_is_not_a_constitution(tmp_path: Path):
    with pytest.raises(UsageError, match="is a folder; a constitution is one YAML file"):
        load_constitution(tmp_path)


def test_a_constitution_survives_its_own_json(tmp_path: Path):
    constitution = load_constitution(write(tmp_path, GOOD))
    assert Constitution.model_validate_json(constitution.model_dump_json()) == constitution


@pytest.mark.parametrize("name", constitution_names())
def test_every_shipped_principle_has_two_cases_whose_better_response_is_not_identified_by_its_length(name: str) -> None:
    cases = {principle.id: principle.cases for principle in load_constitution(name).comparing}
    assert [principle for principle, found in cases.items() if len(found) < 2] == []
    longer = [len(case.better) > len(case.worse) for found in cases.values() for case in found]
    assert 0.4 <= sum(longer) / len(longer) <= 0.6


def test_the_shipped_constitutions_are_seven_and_one_is_a_single_line() -> None:
    assert len(constitution_names()) >= 7
    assert len(load_constitution("minimal").principles) == 1
    groups = {principle.group for principle in load_constitution("helpful-honest-harmless").principles}
    assert groups == {"helpful", "honest", "harmless"}


def test_a_case_among_the_worked_examples_is_reported_to_belong_under_cases(tmp_path: Path):
    text = GOOD.replace("    weight: 2\n", "    examples:\n      - {prompt: Hi, better: Hello., worse: Eh.}\n")
    assert fault(tmp_path, text) == (
        "mine.yaml:10: this looks like a case (it has better and worse); put it under `cases:`"
    )
