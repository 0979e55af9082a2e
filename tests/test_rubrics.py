"""A prompt's rubric: asked of single responses beside the principles, essential items first, results in the row."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from rlaif.runs.reader import Run
from rlaif.testing import SimulatedModel, SimulatedServer
from tests.command import Rlaif, commands, serving

RUBRIC = ["that it is good", {"text": "that it names the sea", "weight": 2, "essential": True}]
RULES = """name: r
version: 1
description: d
principles:
  - {id: better, compare: "Which is better?", compare_only: true}
"""
CHECKS = RULES.replace('compare: "Which is better?"', "check: {words: {min: 40}}")


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedServer]:
    with serving(SimulatedServer(SimulatedModel(yes_bias=1.0))) as running:
        yield running


@pytest.fixture
def generate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, server: SimulatedServer
) -> Rlaif:
    monkeypatch.chdir(tmp_path)
    Path("rules.yaml").write_text(RULES, encoding="utf-8")
    given = ("--constitution", "rules.yaml", "--prompts", "p.jsonl", "--policy", server.url, "--rounds", "0")
    return commands(monkeypatch, capsys, "generate", *given, "--out", "run")


def write_prompts(*rubrics: object) -> None:
    rows = [{"prompt": f"Question {n}?", "rubric": rubric} for n, rubric in enumerate(rubrics)]
    Path("p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_items_are_asked_of_responses_and_their_results_are_in_the_row(
    generate: Rlaif, server: SimulatedServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_prompts(*[RUBRIC] * 20, None)
    assert generate().code == 0
    assert "names the sea" not in json.dumps(server.latest["sample"])
    run = Run("run")
    rows = {row.prompt_id: row for row in run.preference_rows()}
    with_rubric = [row for row in rows.values() if row.rubric]
    assert len(with_rubric) == len(rows) - 1 >= 15
    model = SimulatedModel()
    for row in with_rubric:
        p = 1 / (1 + 2.718281828 ** -model.quality(row.chosen[0].content))
        assert [(one.text, one.essential) for one in row.rubric] == [
            ("that it is good", False),
            ("that it names the sea", True),
        ]
        assert [one.p_chosen for one in row.rubric] == pytest.approx([p, p], abs=1e-6)
        assert row.rubric[0].p_rejected < row.rubric[0].p_chosen
        assert {one.id for one in row.principles} == {"better", "rubric:1", "rubric:2"}
        assert row.p_chosen_from == "matchup"  # an item's error belongs to a response: nothing is known of its size
    frame = pd.read_parquet("run/dataset/preference/train.parquet")
    assert frame.iloc[0].rubric[1]["essential"]
    shown = commands(monkeypatch, capsys)("show", "run", with_rubric[0].prompt_id)
    assert "rubric:2 (weight 2, essential)  that it names the sea" in shown.out
    assert "decided by    rubric:2" in shown.out
    # The same settings go on; another rubric is another run.
    assert generate().code == 0
    write_prompts(*[["that it is short"]] * 20, None)
    assert generate("--set", "prompts.path=p.jsonl").complains(2, "prompts")


def test_an_essential_item_decides_before_the_principles(generate: Rlaif) -> None:
    Path("rules.yaml").write_text(CHECKS, encoding="utf-8")
    write_prompts(*[[{"text": "that it is good", "essential": True}]] * 20)
    assert generate().code == 0
    model = SimulatedModel()
    gains = [
        model.quality(r.chosen[0].content) - model.quality(r.rejected[0].content) for r in Run("run").preference_rows()
    ]
    # Where the item is too close to call, the check decides, as one level after another does.
    close = 2 * 4 * 0.1
    assert sum(gain > close for gain in gains) >= 8
    assert min(gains) > -close


def test_an_item_that_the_critic_does_not_answer_is_empty_in_the_row_and_decides_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], generate: Rlaif
) -> None:
    Path("rules.yaml").write_text(CHECKS, encoding="utf-8")
    write_prompts(*[RUBRIC] * 6)
    with serving(SimulatedServer(SimulatedModel(label_mass=0.1))) as mumbling:
        assert generate("--critic", mumbling.url).code == 0
    rows = list(Run("run").preference_rows())
    assert rows
    for row in rows:
        assert {(one.p_chosen, one.p_rejected) for one in row.rubric or ()} == {(None, None)}
        assert [one.id for one in row.principles] == ["better"]


def test_existing_responses_have_rubrics_and_a_comparison_of_rule_sets_refuses_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], generate: Rlaif, server: SimulatedServer
) -> None:
    responses = [f"An answer of the sea (quality {quality:+.4f})." for quality in (1.5, -1.5)]
    row = {"prompt": "Which sea?", "responses": responses, "rubric": RUBRIC}
    Path("r.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    rlaif = commands(monkeypatch, capsys)
    given = ("--constitution", "rules.yaml", "--critic", server.url)
    assert rlaif("label", "r.jsonl", *given, "--out", "labelled").code == 0
    (labelled,) = Run("labelled").preference_rows()
    assert labelled.chosen[0].content == responses[0]
    assert [one.text for one in labelled.rubric or ()] == ["that it is good", "that it names the sea"]
    write_prompts(RUBRIC)
    Path("other.yaml").write_text(RULES.replace("name: r", "name: other"), encoding="utf-8")
    compared = rlaif(
        "compare", "rules.yaml", "other.yaml", "--prompts", "p.jsonl", "--policy", server.url, "--out", "c"
    )
    assert compared.complains(2, "has a rubric, which belongs to no rule set")
    assert not Path("c").exists()


@pytest.mark.parametrize(
    ("rubric", "says"),
    [
        ("be good", "`rubric` is a text, but not a JSON list of rubric"),
        ({"text": "x"}, "p.jsonl:1: a rubric must be a list"),
        ([""], "item 1 of the rubric: text: string should have at least 1 character"),
        (
            ["x", {"text": "y", "weigth": 2}],
            "item 2 of the rubric: weigth: unknown key `weigth`; did you mean `weight`?",
        ),
        ([{"weight": 2}], "item 1 of the rubric: text: key `text` is missing"),
    ],
)
def test_a_bad_rubric_is_one_line(generate: Rlaif, rubric: object, says: str) -> None:
    write_prompts(rubric)
    assert generate().complains(2, says)
