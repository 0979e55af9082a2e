"""Files of responses: their layouts, what is refused and by which name, and that no row is lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from rlaif.config.run import ResponsesConfig
from rlaif.datasets.responses import GivenResponses, read_responses
from rlaif.errors import PromptsError
from rlaif.steps.given import given_responses
from tests.label.rows import BAD, FAIR, GOOD, LAYOUTS, assistant, user


def written(tmp_path: Path, *rows: Any) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return file


def read(tmp_path: Path, *rows: Any, **settings: Any) -> GivenResponses:
    return read_responses(ResponsesConfig(path=str(written(tmp_path, *rows)), **settings))


EXPECTED = {
    "ultrafeedback": [(GOOD, "alpaca-7b", "score", 4.5), (BAD, "gpt-4", "score", 2.0), (FAIR, "falcon", "score", 4.5)],
    "binarized": [(GOOD, None, "chosen", 1), (BAD, None, "chosen", 0)],
    "hh": [(GOOD, None, "chosen", 1), (BAD, None, "chosen", 0)],
    "rewardbench": [(GOOD, None, "chosen", 1), (FAIR, None, "chosen", 0), (BAD, None, "chosen", 0)],
    "judgebench": [(BAD, "gpt-4o", "label", 0), (GOOD, "gpt-4o", "label", 1)],
    "llmbar": [(GOOD, None, "label", 1), (BAD, None, "label", 0)],
    "responses": [
        (GOOD, None, None, None),
        (BAD, None, None, None),
        (FAIR, "mine", "score", 0.5),
        ("", None, None, None),
    ],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_recognised_by_its_columns_and_read_as_it_is(tmp_path: Path, name: str) -> None:
    shape, row = LAYOUTS[name]
    found = read(tmp_path, row("Is the water clean?"), row("And here?"))
    assert found.file.shape.startswith(f"{shape} (")
    first, second = found.prompts.prompts
    assert first.messages[-1].content == "Is the water clean?"
    assert (first.row, second.row) == ("line 1", "line 2")
    assert len(first.messages) == (3 if name == "hh" else 1)
    assert [
        (one.text, one.model, one.label and one.label.by, one.label and one.label.value) for one in first.given or ()
    ] == EXPECTED[name]


@pytest.mark.parametrize("suffix", ["json", "parquet", "csv"])
def test_lists_of_responses_come_through_every_kind_of_file(tmp_path: Path, suffix: str) -> None:
    import pandas

    table = pandas.DataFrame({"prompt": ["Why?"], "responses": [[GOOD, BAD]]})
    file = tmp_path / f"rows.{suffix}"
    if suffix == "csv":
        table["responses"] = table["responses"].map(json.dumps)
        table.to_csv(file, index=False)
    else:
        (table.to_parquet if suffix == "parquet" else lambda to: table.to_json(to, orient="records"))(file)
    (prompt,) = read_responses(ResponsesConfig(path=str(file))).prompts.prompts
    assert [one.text for one in prompt.given or ()] == [GOOD, BAD]


PAIR = {"prompt": "Why?", "chosen": GOOD, "rejected": BAD}
REFUSED: list[tuple[Any, str, str]] = [
    (PAIR | {"chosen": BAD + " "}, "fewer than two different responses", "both responses are the same"),
    (PAIR | {"rejected": ""}, "empty response", "a response is empty"),
    (PAIR | {"rejected": [user("Why?"), assistant("")]}, "empty response", "a response is empty"),
    (
        {"chosen": [user("Why?"), assistant(GOOD)], "rejected": [user("Why?"), assistant("")]},
        "empty response",
        "a response is empty",
    ),
    (PAIR | {"rejected": None}, "no responses", "rejected (empty)"),
    (PAIR | {"rejected": 3}, "unreadable response", "`rejected` must be a text or messages, found 3"),
    (PAIR | {"prompt": None}, "no prompt", "neither `prompt` nor `messages`"),
    (PAIR | {"prompt": " "}, "no prompt", "the prompt has no text"),
    (
        PAIR | {"chosen": [user("Why?"), assistant(GOOD)], "rejected": [user("How?"), assistant(BAD)]},
        "different prompts",
        "different conversations",
    ),
    (PAIR | {"chosen": [user("Why?")]}, "unreadable response", "the last message of `chosen` must be the assistant's"),
    (
        PAIR | {"prompt": [{"role": "user", "content": [{"type": "image"}]}]},
        "unreadable prompt",
        "part of type 'image'",
    ),
    (PAIR | {"score_chosen": "high"}, "unreadable label", "`score_chosen` is 'high'; must be a number"),
    ({"prompt": "Why?", "responses": [GOOD]}, "fewer than two different responses", "1 response(s), all of them alike"),
    ({"prompt": "Why?", "responses": [{"answer": GOOD}, BAD]}, "unreadable response", "response 1 must have its text"),
    ({"input": "Why?", "output_1": GOOD, "output_2": BAD, "label": 3}, "unreadable label", "label is 3; must be 1, 2"),
    (LAYOUTS["judgebench"][1]("Why?") | {"label": "A"}, "unreadable label", "label is 'A'; must be A>B"),
    (
        {"chosen": "\n\nHuman: Why?\n\nAssistant: a\n\nAssistant: b", "rejected": "\n\nHuman: Why?\n\nAssistant: c"},
        "unreadable prompt",
        "the turns of `chosen` do not alternate",
    ),
    ({"text": "something else"}, "no responses", "needs `chosen` and `rejected` (it has text)"),
    (PAIR | {"chosen_model": "\ud800"}, "unreadable response", "half a surrogate pair"),
    ("a text", "not an object", "found str"),
    ({"prompt": "First?", "chosen": GOOD, "rejected": BAD}, "repeated row", "as line 1"),
]


@pytest.mark.parametrize(("row", "reason", "words"), REFUSED)
def test_a_row_that_cannot_be_used_is_refused_by_name_and_counted(
    tmp_path: Path, row: Any, reason: str, words: str
) -> None:
    found = read(tmp_path, PAIR | {"prompt": "First?"}, row, PAIR | {"prompt": "Last?"})
    assert [prompt.row for prompt in found.prompts.prompts] == ["line 1", "line 3"]
    (refused,) = found.refused
    assert (refused.row, refused.reason) == ("line 2", reason)
    assert words in refused.detail
    assert found.file.rows == len(found.prompts.prompts) + sum(found.file.refused.values())


def test_conversations_come_through_a_csv_file(tmp_path: Path) -> None:
    import pandas

    row = {side: json.dumps([user("Why?"), assistant(text)]) for side, text in (("chosen", GOOD), ("rejected", BAD))}
    apart = {"prompt": json.dumps([user("How?")]), "chosen": GOOD, "rejected": json.dumps([{"not": "a message"}])}
    file = tmp_path / "rows.csv"
    pandas.DataFrame([row, apart]).to_csv(file, index=False)
    first, second = read_responses(ResponsesConfig(path=str(file))).prompts.prompts
    assert [message.content for message in first.messages] == ["Why?"]
    assert [one.text for one in first.given or ()] == [GOOD, BAD]
    assert [message.content for message in second.messages] == ["How?"]
    assert [one.text for one in second.given or ()] == [GOOD, '[{"not": "a message"}]']


def test_one_empty_response_of_several_leaves_the_others(tmp_path: Path) -> None:
    said = [[user("Why?"), assistant(text)] for text in (GOOD, "", BAD)]
    said[1][1]["reasoning_content"] = 5
    (prompt,) = read(tmp_path, {"responses": said}).prompts.prompts
    assert [one.text for one in prompt.given or ()] == [GOOD, "", BAD]
    assert [message.content for message in prompt.messages] == ["Why?"]


def test_the_reasoning_of_a_response_is_kept_beside_it(tmp_path: Path) -> None:
    thought = assistant(GOOD) | {"reasoning_content": "Water first."}
    row = {"chosen": [user("Why?"), thought], "rejected": [user("Why?"), assistant(BAD)]}
    (prompt,) = read(tmp_path, row).prompts.prompts
    assert [response.reasoning for response in given_responses(prompt)] == ["Water first.", None]


def test_rows_that_share_an_id_or_a_prompt_are_all_kept(tmp_path: Path) -> None:
    found = read(tmp_path, PAIR | {"id": "a"}, PAIR | {"id": "a", "chosen": FAIR}, PAIR | {"chosen": "Else."})
    one, two, three = found.prompts.prompts
    assert (one.id, two.id) == ("a", "a#2")
    assert one.conversation == two.conversation == three.conversation


def test_a_response_that_is_a_list_in_json_stays_a_text(tmp_path: Path) -> None:
    (prompt,) = read(tmp_path, PAIR | {"chosen": "[1, 2]", "rejected": '["a"]'}).prompts.prompts
    assert [one.text for one in prompt.given or ()] == ["[1, 2]", '["a"]']


@pytest.mark.parametrize(
    ("row", "settings", "words"),
    [
        ({"question": "Why?", "answer": "So."}, {}, "no shape has these columns: question, answer. Known shapes: resp"),
        (PAIR | {"responses": [GOOD, BAD]}, {}, r"columns of several shapes \(responses, pairs\).*--shape"),
        (PAIR, {"shape": "pair"}, "no shape 'pair'; choose one of responses, pairs"),
        (PAIR, {"columns": {"prompt": "question"}}, "rows.jsonl:1: has no column 'question'; it has prompt, chosen"),
        (
            PAIR | {"chosen": BAD},
            {},
            "contains no row that can be labelled, of 1 row; line 1: both responses are the same",
        ),
    ],
)
def test_a_file_that_cannot_be_used_at_all_is_one_line(
    tmp_path: Path, row: Any, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(PromptsError, match=words):
        read(tmp_path, row, **settings)


def test_the_shape_and_other_names_of_columns_can_be_given(tmp_path: Path) -> None:
    row = PAIR | {"responses": [GOOD, FAIR]}
    (prompt,) = read(tmp_path, row, shape="responses").prompts.prompts
    assert [one.text for one in prompt.given or ()] == [GOOD, FAIR]
    named = {"question": "Why?", "good": GOOD, "bad": BAD}
    (prompt,) = read(
        tmp_path, named, columns={"prompt": "question", "chosen": "good", "rejected": "bad"}
    ).prompts.prompts
    assert prompt.messages[0].content == "Why?"
