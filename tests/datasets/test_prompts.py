import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from rlaif.config.run import PromptsConfig
from rlaif.datasets.prompts import read_prompts
from rlaif.errors import PromptsError
from rlaif.records import Message, PromptSet

Write = Callable[..., PromptsConfig]
USER = {"role": "user", "content": "Why?"}
DIALOGUE = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, USER]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a prompts file and returns the settings that read it."""

    def make(name: str, content: str | bytes, **settings: Any) -> PromptsConfig:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return PromptsConfig(path=str(path), **settings)

    return make


def fault(config: PromptsConfig) -> str:
    """Return what is said about a file, without its folder."""
    with pytest.raises(PromptsError) as caught:
        read_prompts(config)
    return str(caught.value).replace(f"{Path(config.path).parent}/", "")


def texts(prompts: PromptSet) -> list[str]:
    return [prompt.messages[-1].content for prompt in prompts.prompts]


def lines(*rows: object) -> str:
    return "\n".join(json.dumps(row) for row in rows)


def test_the_seed_prompts_load_with_unique_ids():
    read = read_prompts(PromptsConfig(path="seed"))
    assert len(read.prompts) == 240
    assert len({prompt.id for prompt in read.prompts}) == 240
    assert read.duplicates == 0
    assert sum("multi-turn" in prompt.tags for prompt in read.prompts) == 27
    assert all((len(prompt.messages) > 1) == ("multi-turn" in prompt.tags) for prompt in read.prompts)


def test_jsonl_holds_objects_or_bare_texts(write: Write):
    read = read_prompts(write("p.jsonl", lines({"prompt": "One", "id": 7, "tags": ["x", "y"]}, "Two")))
    assert texts(read) == ["One", "Two"]
    assert read.prompts[0].id == "7"
    assert read.prompts[0].tags == ("x", "y")
    assert read.prompts[0].messages == (Message(role="user", content="One"),)


def test_json_is_a_list(write: Write):
    assert texts(read_prompts(write("p.json", '[{"prompt": "One"}, "Two"]'))) == ["One", "Two"]
    assert fault(write("p.json", '{"prompt": "One"}')).startswith("p.json: must be a list of rows")


def test_csv_has_a_header_and_may_hold_conversations_as_json(write: Write):
    cell = json.dumps(DIALOGUE).replace('"', '""')
    read = read_prompts(write("p.csv", f'id,prompt,messages,tags\na,"One, two",,"x, y"\nb,,"{cell}",\n'))
    assert texts(read) == ["One, two", "Why?"]
    assert [len(prompt.messages) for prompt in read.prompts] == [1, 3]
    assert read.prompts[0].tags == ("x", "y")


def test_parquet_holds_texts_or_conversations(tmp_path: Path):
    table = pyarrow.table({"id": [1, 2], "messages": [[USER], DIALOGUE], "tags": [["x"], None]})
    pyarrow.parquet.write_table(table, tmp_path / "p.parquet")
    read = read_prompts(PromptsConfig(path=str(tmp_path / "p.parquet")))
    assert [prompt.id for prompt in read.prompts] == ["1", "2"]
    assert [prompt.tags for prompt in read.prompts] == [("x",), ()]
    assert read.prompts[1].messages[1] == Message(role="assistant", content="Hello")


def test_a_row_of_parquet_is_named_by_its_number(tmp_path: Path):
    pyarrow.parquet.write_table(
        pyarrow.table({"prompt": ["x"] * 1 + [f"{n}" for n in range(1500)] + [" "]}), tmp_path / "p.parquet"
    )
    assert fault(PromptsConfig(path=str(tmp_path / "p.parquet"))) == "p.parquet: row 1502: the prompt has no text"


def test_all_formats_make_the_same_prompts(write: Write, tmp_path: Path):
    rows = [{"id": "a", "prompt": "One", "tags": "x"}, {"id": "b", "prompt": "Two\nlines", "tags": "y"}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "p.parquet")
    hashes = {
        read_prompts(config).hash
        for config in (
            write("p.jsonl", lines(*rows)),
            write("p.json", json.dumps(rows)),
            write("p.csv", 'id,prompt,tags\na,One,x\nb,"Two\nlines",y\n'),
            PromptsConfig(path=str(tmp_path / "p.parquet")),
        )
    }
    assert len(hashes) == 1


def test_columns_of_another_name_are_mapped(write: Write):
    config = write(
        "p.jsonl", lines({"q": "One", "n": 5, "topic": "x"}), columns={"prompt": "q", "id": "n", "tags": "topic"}
    )
    (prompt,) = read_prompts(config).prompts
    assert (prompt.id, prompt.messages[0].content, prompt.tags) == ("5", "One", ("x",))


def test_a_mapped_column_that_is_missing_is_said_with_those_that_are_there(write: Write):
    config = write("p.jsonl", lines({"q": "One"}, {"query": "Two", "n": 1}), columns={"prompt": "q"})
    assert fault(config) == "p.jsonl:2: has no column 'q'; it has query, n"


def test_a_mapped_csv_column_may_be_empty_in_a_row(write: Write):
    read = read_prompts(write("p.csv", "prompt,topic\nOne,x\nTwo,\n", columns={"tags": "topic"}))
    assert [prompt.tags for prompt in read.prompts] == [("x",), ()]


def test_a_column_mapped_to_the_prompt_wins_over_a_messages_column(write: Write):
    row = {"question": "One", "messages": [USER, {"role": "assistant", "content": "Because."}]}
    assert texts(read_prompts(write("p.jsonl", lines(row), columns={"prompt": "question"}))) == ["One"]


def test_a_byte_order_mark_is_no_part_of_the_first_line(write: Write):
    assert texts(read_prompts(write("p.jsonl", b'\xef\xbb\xbf{"prompt": "One"}'))) == ["One"]
    assert texts(read_prompts(write("p.csv", b"\xef\xbb\xbfprompt\nOne\n"))) == ["One"]


def test_blank_lines_are_skipped_but_counted(write: Write):
    assert texts(read_prompts(write("p.jsonl", '\n"One"\n\n  \n"Two"\n\n'))) == ["One", "Two"]
    assert fault(write("p.jsonl", '\n"One"\n\n  \n{"prompt"\n')).startswith("p.jsonl:5: is not JSON: ")


def test_lines_may_end_as_on_windows(write: Write):
    assert texts(read_prompts(write("p.jsonl", '"One"\r\n"Two"\r\n'))) == ["One", "Two"]


def test_only_line_feeds_end_a_line_of_jsonl(write: Write):
    assert texts(read_prompts(write("p.jsonl", '"a\u2028b\x85c"\n"Two"'))) == ["a\u2028b\x85c", "Two"]


def test_only_line_ends_end_a_row_of_csv(write: Write):
    assert texts(read_prompts(write("p.csv", "prompt,id\nhello\u2028world,a\n"))) == ["hello\u2028world"]


def test_a_csv_row_with_more_cells_than_the_header_is_an_error(write: Write):
    assert fault(write("p.csv", "prompt\nHello, how are you?\n")).startswith("p.csv:2: ")


def test_broken_json_is_said_with_its_line(write: Write):
    assert fault(write("p.json", '[\n"One",\n}]')).startswith("p.json:3: is not JSON: ")
    assert fault(write("p.jsonl", "[" * 100_000)).startswith("p.jsonl:1: is not JSON: ")
    assert fault(write("p.json", "[" * 100_000)).startswith("p.json:1: is not JSON: ")


def test_a_number_too_long_for_python_is_a_fault_of_the_file(write: Write):
    assert fault(write("p.jsonl", '{"prompt": "x", "id": ' + "9" * 5000 + "}")).startswith("p.jsonl:1: ")
    assert fault(write("p.json", '[{"prompt": "x", "id": ' + "9" * 5000 + "}]")).startswith("p.json")


def test_a_cell_nested_too_deeply_is_a_fault_of_its_line(write: Write):
    assert fault(write("p.csv", "messages\n" + "[" * 50_000 + "\n")).startswith("p.csv:2: ")


def test_broken_csv_is_said_with_its_line(write: Write):
    assert fault(write("p.csv", 'prompt\nOne\n"Two\n')).startswith("p.csv:3: is not CSV: ")


def test_a_cell_of_several_lines_counts_as_several(write: Write):
    assert fault(write("p.csv", 'prompt\n"One\nTwo"\n" "\n')) == "p.csv:4: the prompt has no text"


def test_what_only_calls_itself_parquet_is_said(write: Write):
    assert fault(write("p.parquet", "no")).startswith("p.parquet: is not a Parquet file: ")


def test_a_file_that_is_not_utf8_is_reported_with_the_place(write: Write):
    assert fault(write("p.jsonl", '"é"'.encode("latin-1"))).startswith("p.jsonl: is not UTF-8 text (")
    assert fault(write("p.jsonl", '"One"'.encode("utf-16"))).startswith("p.jsonl: is not UTF-8 text (")


@pytest.mark.parametrize("name", ["p.jsonl", "p.json", "p.csv"])
def test_an_empty_file_is_said_to_be_empty(write: Write, name: str):
    assert fault(write(name, " \n\n")) == f"{name}: the file is empty"


@pytest.mark.parametrize(("name", "content"), [("p.json", "[]"), ("p.csv", "prompt\n")])
def test_a_file_without_prompts_is_said_to_have_none(write: Write, name: str, content: str):
    assert fault(write(name, content)) == f"{name}: contains no prompt"


def test_the_end_of_the_name_decides_the_format_in_any_case(write: Write):
    assert texts(read_prompts(write("P.JSONL", '"One"'))) == ["One"]
    assert fault(write("p.txt", "One")) == "p.txt: cannot read .txt; use JSONL, JSON, CSV or Parquet"
    assert "a file without suffix" in fault(write("p", "One"))


@pytest.mark.parametrize("path", ["nowhere.jsonl", "/nowhere/p", "./org/name", "a/b/c", "nowhere"])
def test_a_missing_file_is_said_without_asking_the_hub(path: str):
    with pytest.raises(PromptsError, match="no such file"):
        read_prompts(PromptsConfig(path=path))


def test_a_folder_is_no_prompts_file(tmp_path: Path):
    with pytest.raises(PromptsError, match="is a folder"):
        read_prompts(PromptsConfig(path=str(tmp_path)))


def test_the_same_conversation_twice_is_dropped_and_counted(write: Write):
    read = read_prompts(
        write(
            "p.jsonl",
            lines("One", {"prompt": "One", "id": "x"}, {"messages": [{"role": "user", "content": "One"}]}, "Two"),
        )
    )
    assert texts(read) == ["One", "Two"]
    assert read.duplicates == 2


def test_one_id_for_two_prompts_is_an_error_that_names_both_places(write: Write):
    config = write("p.jsonl", lines({"id": "x", "prompt": "One"}, "Two", {"id": "x", "prompt": "Three"}))
    folder = Path(config.path).parent
    assert (
        fault(config).replace(f"{folder}/", "") == "p.jsonl:3: id 'x' is already used by another prompt, at p.jsonl:1"
    )


def test_a_prompt_without_an_id_is_named_by_its_content(write: Write):
    first = read_prompts(write("p.jsonl", lines("One", "Two"))).prompts
    second = read_prompts(write("p.csv", "prompt,id\nTwo,\nOne,\n")).prompts
    assert [p.id for p in first] == [p.id for p in second][::-1]
    assert first[0].id != first[1].id


def test_who_speaks_is_part_of_the_content(write: Write):
    as_system = [{"role": "system", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, USER]
    read = read_prompts(write("p.jsonl", lines({"messages": DIALOGUE}, {"messages": as_system})))
    assert len({p.id for p in read.prompts}) == 2
    assert read.duplicates == 0


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (None, "must be an object with `prompt` or `messages`, found NoneType"),
        ([1], "must be an object with `prompt` or `messages`, found list"),
        ({"text": "One"}, "has neither `prompt` nor `messages` (it has text); map one with --column prompt=NAME"),
        ({}, "has neither `prompt` nor `messages` (it has nothing); map one with --column prompt=NAME"),
        ({"prompt": 5}, "`prompt` must be a text or a list of messages"),
        ({"prompt": " \n"}, "the prompt has no text"),
        ({"prompt": ""}, "the prompt has no text"),
        ({"messages": []}, "the prompt's last message must be the user's or a tool's"),
        ({"messages": DIALOGUE[:2]}, "the prompt's last message must be the user's or a tool's"),
        (
            {"messages": [{"role": "system", "content": "s"}]},
            "the prompt's last message must be the user's or a tool's",
        ),
        ({"messages": [{"role": "user", "content": " "}]}, "the prompt has no text"),
        ({"messages": "One"}, "`messages` is a text, but not a JSON list of messages"),
        (
            {"messages": ["One"]},
            "the shape of a message in `messages` is wrong: Input should be a valid dictionary or instance of Message",
        ),
        (
            {"messages": [{"role": "user"}]},
            "the content of a message in `messages` is wrong: Input should be a valid string",
        ),
        (
            {"messages": [{"role": "human", "content": "x"}]},
            "the role of a message in `messages` is wrong: "
            "Input should be 'system', 'developer', 'user', 'assistant' or 'tool'",
        ),
        ({"prompt": "\ud800"}, "the text contains an unpaired surrogate, which no server accepts"),
    ],
)
def test_a_row_that_is_no_prompt_is_said_with_its_line(write: Write, row: object, says: str):
    assert fault(write("p.jsonl", lines("One", row))) == f"p.jsonl:2: {says}"


@pytest.mark.parametrize("row", [{"prompt": "One", "id": "\ud800"}, {"prompt": "One", "tags": ["\ud800"]}])
def test_half_a_surrogate_pair_in_an_id_or_tag_is_a_fault_of_its_line(write: Write, row: object):
    assert fault(write("p.jsonl", lines(row))).startswith("p.jsonl:1: ")


def test_a_whole_surrogate_pair_is_one_character(write: Write):
    assert texts(read_prompts(write("p.jsonl", '"\\ud83d\\ude00"'))) == ["😀"]


def test_other_keys_of_a_message_are_left_out(write: Write):
    read = read_prompts(write("p.jsonl", lines({"messages": [USER | {"weight": 0, "id": "m1"}]})))
    assert read.prompts[0].messages == (Message(role="user", content="Why?"),)


def test_a_limit_takes_the_first_different_prompts(write: Write):
    read = read_prompts(write("p.jsonl", lines("a", "a", "b", "c", "d"), limit=3))
    assert texts(read) == ["a", "b", "c"]
    assert read.duplicates == 1


def test_what_stands_behind_the_limit_is_not_read(write: Write):
    assert texts(read_prompts(write("p.jsonl", '"a"\n"b"\nbroken', limit=2))) == ["a", "b"]


def test_shuffling_depends_on_the_seed_alone_and_comes_before_the_limit(write: Write):
    names = [f"q{n}" for n in range(50)]
    everything = write("p.jsonl", lines(*names), shuffle=True)
    shuffled = texts(read_prompts(everything, run_seed=3))
    assert sorted(shuffled) == sorted(names)
    assert shuffled != names
    assert shuffled == texts(read_prompts(everything, run_seed=3))
    assert shuffled != texts(read_prompts(everything, run_seed=4))
    limited = write("p.jsonl", lines(*names), shuffle=True, limit=5)
    assert texts(read_prompts(limited, run_seed=3)) == shuffled[:5]


def test_the_hash_of_a_set_knows_order_ids_and_tags(write: Write):
    rows = [{"id": "a", "prompt": "One"}, {"id": "b", "prompt": "Two"}]
    variants = [rows, rows[::-1], [rows[0] | {"id": "c"}, rows[1]], [rows[0] | {"tags": "x"}, rows[1]]]
    assert len({read_prompts(write("p.jsonl", lines(*variant))).hash for variant in variants}) == 4


def test_personal_data_is_dropped_or_masked_before_it_is_a_prompt(tmp_path: Path) -> None:
    rows = [
        {"prompt": "Write to ann@example.org, please."},
        {"messages": [{"role": "user", "content": "My number is 555-0199."}], "tags": ["phone"]},
        {"prompt": "My passport is X1234567."},
    ]
    file = tmp_path / "p.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    mask = [r"[\w.]+@[\w.]+\w", r"\b\d{3}-\d{4}\b"]
    found = read_prompts(PromptsConfig(path=str(file), drop=r"passport", mask=mask))
    assert [prompt.messages[0].content for prompt in found.prompts] == [
        "Write to [masked], please.",
        "My number is [masked].",
    ]
    assert found.dropped == 1
    with pytest.raises(PromptsError, match="no prompt beside 3 that are dropped"):
        read_prompts(PromptsConfig(path=str(file), drop=["[Mm]y", "Write"]))


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="pattern"):
        PromptsConfig(path="p.jsonl", drop=["("])
