"""Gold labels in: every layout, and what is refused with its line."""

import json
from pathlib import Path
from typing import Any

import pytest

from rlaif.errors import RlaifError
from rlaif.evaluate.gold import read_gold
from tests.label.rows import BAD, FAIR, LAYOUTS
from tests.label.rows import GOOD as GOOD_TEXT

GOOD = {"prompt": "Why?", "chosen": "Because.", "rejected": "No."}


def written(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "gold.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_chosen_and_rejected(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hi"}]
    gold = read_gold(written(tmp_path, GOOD | {"id": 7, "subset": "s"}, GOOD | {"prompt": None, "messages": turns}))
    first, second = gold.items
    assert (first.id, first.subset, first.chosen, first.rejected) == ("7", "s", "Because.", "No.")
    assert (second.id, second.subset, second.prompt.messages[0].content) == ("row 2", None, "Hi")
    assert first.chosen_first is None


def test_two_outputs_and_a_label(tmp_path: Path) -> None:
    row = {"input": "Why?", "output_1": "x", "output_2": "y"}
    one, two = read_gold(written(tmp_path, row | {"label": 1}, row | {"label": "2"})).items
    assert (one.chosen, one.rejected, one.chosen_first) == ("x", "y", True)
    assert (two.chosen, two.rejected, two.chosen_first) == ("y", "x", False)
    assert one.conversation == two.conversation


def test_messages_as_preference_datasets_have_them(tmp_path: Path) -> None:
    asked = {"role": "user", "content": "Why?"}
    said = [[{"role": "assistant", "content": text}] for text in ("Because.", "No.")]
    apart = {"prompt": [asked], "chosen": said[0], "rejected": said[1]}
    whole = {"chosen": [asked, *said[0]], "rejected": [asked, *said[1]]}
    both = {"prompt": "Why?", **whole}
    longer = {"prompt": "Why?", **{name: [{"role": "system", "content": "Be brief."}, *whole[name]] for name in whole}}
    *alike, last = read_gold(written(tmp_path, apart, whole, both, longer)).items
    assert [turn.content for turn in last.prompt.messages] == ["Be brief.", "Why?"]
    for item in alike:
        assert (item.chosen, item.rejected) == ("Because.", "No.")
        assert [turn.content for turn in item.prompt.messages] == ["Why?"]


NAMES = {"rewardbench": "7-Why?"}


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "responses"])
def test_every_layout_that_label_reads_is_a_gold_file_too(tmp_path: Path, name: str) -> None:
    items = read_gold(written(tmp_path, LAYOUTS[name][1]("Why?"))).items
    several = {"ultrafeedback": [(GOOD_TEXT, BAD), (FAIR, BAD)], "rewardbench": [(GOOD_TEXT, FAIR), (GOOD_TEXT, BAD)]}
    assert [(item.chosen, item.rejected) for item in items] == several.get(name, [(GOOD_TEXT, BAD)])
    given = NAMES.get(name, "row 1")
    assert [item.id for item in items] == ([f"{given}/1", f"{given}/2"] if name in several else [given])
    assert {item.prompt.messages[-1].content for item in items} == {"Why?"}


def test_other_column_names_and_a_limit(tmp_path: Path) -> None:
    row = {"question": "Why?", "good": "x", "bad": "y"}
    columns = {"prompt": "question", "chosen": "good", "rejected": "bad"}
    gold = read_gold(written(tmp_path, row, row, "no row at all"), columns, limit=2)
    assert [item.chosen for item in gold.items] == ["x", "x"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (GOOD | {"chosen": "No. "}, ":2: both responses are the same"),
        (GOOD | {"chosen": " "}, ":2: a response is empty"),
        (GOOD | {"rejected": 3}, ":2: `rejected` must be a text or messages, found 3"),
        (
            GOOD | {"chosen": None},
            r":2: needs `chosen` and `rejected` .*prompt, chosen \(empty\), rej",
        ),
        (
            GOOD | {"chosen": [{"role": "user", "content": "x"}]},
            ":2: the last message of `chosen` must be the assistant's",
        ),
        (
            {"chosen": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "rejected": "z"},
            ":2: the responses belong to different conversations",
        ),
        (GOOD | {"chosen": "\ud800"}, ":2: `chosen` contains half a surrogate"),
        (GOOD | {"prompt": ""}, ":2: the prompt has no text"),
        ({"chosen": "x", "rejected": "y"}, ":2: has neither `prompt` nor `messages`"),
        ({"prompt": "x", "chosen": "y"}, r":2: needs `chosen` and `rejected` \(it has prompt, chosen\)"),
        ({"input": "x", "output_1": "a", "output_2": "b", "label": 0}, ":2: label is 0; must be 1, 2 or tie"),
        ({"input": "x", "output_1": "a", "output_2": "b", "label": "tie"}, ":2: label is 'tie'; gold labels must name"),
        ({"prompt": "x", "responses": ["a", "b"]}, ":2: has no label of which response is better"),
        (GOOD | {"id": "a"}, ":2: id 'a' is already used at .*:1"),
        ("text", ":2: must be an object"),
    ],
)
def test_a_row_that_cannot_be_used_is_said_with_its_line(tmp_path: Path, row: Any, words: str) -> None:
    with pytest.raises(RlaifError, match=words):
        read_gold(written(tmp_path, GOOD | {"id": "a"}, row))
