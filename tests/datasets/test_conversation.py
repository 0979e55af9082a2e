"""Conversations with tools, several parts and other roles: what goes in comes out, or its line is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from rlaif.api import generate
from rlaif.config.run import PromptsConfig
from rlaif.datasets.export import export
from rlaif.datasets.prompts import read_prompts
from rlaif.errors import PromptsError
from rlaif.models.backend import ChatRequest
from rlaif.runs.reader import Run
from rlaif.templates import prompt_text
from rlaif.testing import SimulatedServer
from tests.command import serving
from tests.conftest import CONSTITUTION, configs_in

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "day": {"type": "integer"}}},
    },
}
TIME = {"type": "function", "function": {"name": "local_time", "parameters": {"type": "object", "properties": {}}}}


def call(number: int, name: str, arguments: Any) -> dict[str, Any]:
    return {"id": f"c{number}", "type": "function", "function": {"name": name, "arguments": arguments}}


TURNS = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "Is it raining in Bergen?"}, {"type": "text", "text": "And?"}],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [call(1, "weather", '{"city": "Bergen", "day": 0}'), call(2, "local_time", {})],
    },
    {"role": "tool", "tool_call_id": "c1", "content": '{"rain": true}'},
    {"role": "tool", "tool_call_id": "c2", "name": "local_time", "content": "14:05"},
]
TEMPLATE = (
    "{% for t in tools or [] %}TOOL {{ t | tojson }}\n{% endfor %}{% for m in messages %}<{{ m.role }}>"
    "{{ m.content or '' }}{% for c in m.tool_calls or [] %}CALL {{ c.function.name }} "
    "{{ c.function.arguments | tojson }}{% endfor %}</{{ m.role }}>\n{% endfor %}"
)
AS_TEMPLATES_READ = [
    TURNS[0],
    {"role": "user", "content": "Is it raining in Bergen?\nAnd?"},
    TURNS[2] | {"tool_calls": [call(1, "weather", {"city": "Bergen", "day": 0}), call(2, "local_time", {})]},
    *TURNS[3:],
]


def read(folder: Path, *rows: dict[str, Any]) -> list[Any]:
    file = folder / "prompts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_prompts(PromptsConfig(path=str(file))).prompts


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedServer]:
    with serving(SimulatedServer()) as running:
        yield running


@pytest.fixture(scope="module")
def run(server: SimulatedServer, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run over a conversation with tools and plain ones."""
    folder = tmp_path_factory.mktemp("tools")
    (folder / "rules.yaml").write_text(CONSTITUTION, encoding="utf-8")
    plain = [{"id": f"plain{n}", "prompt": f"Question {n}?"} for n in range(5)]
    read(folder, {"id": "tools", "messages": TURNS, "tools": [WEATHER, TIME["function"]]}, *plain)
    config = configs_in(folder, folder / "rules.yaml")(server, pairs={"test_fraction": 0})
    return generate(config.model_copy(update={"prompts": PromptsConfig(path=str(folder / "prompts.jsonl"))}))


def test_the_critic_reads_tools_calls_and_results(tmp_path: Path) -> None:
    (prompt,) = read(tmp_path, {"messages": TURNS, "tools": json.dumps([WEATHER, TIME])})
    text = prompt_text(prompt)
    assert text.startswith("[tools that the assistant can call]\nweather: Weather of a city.\n")
    assert '[assistant]\ncalls weather with {"city": "Bergen", "day": 0}\ncalls local_time with {}\n' in text
    assert text.endswith('[tool weather]\n{"rain": true}\n\n[tool local_time]\n14:05')


def test_the_policy_gets_messages_and_tools_as_openai_defines_them(tmp_path: Path) -> None:
    (prompt,) = read(tmp_path, {"messages": TURNS, "tools": [WEATHER, TIME]})
    body = json.loads(ChatRequest(messages=prompt.messages, tools=prompt.tools, max_tokens=9).body)
    assert (body["tools"], body["tool_choice"]) == ([WEATHER, TIME], "none")
    assert list(body["tools"][0]["function"]) == ["name", "description", "parameters"]  # as they were written
    calls = body["messages"][2]["tool_calls"]
    assert json.loads(calls[0]["function"]["arguments"]) == {"city": "Bergen", "day": 0}
    assert body["messages"][3] == TURNS[3]


@pytest.mark.parametrize("name", ["trl", "jsonl"])
def test_a_dataset_renders_as_the_conversation_that_went_in(run: Run, tmp_path: Path, name: str) -> None:
    folder = export(run, name, tmp_path / "out") / "preference"
    (file,) = folder.iterdir()
    kind = {".parquet": "parquet", ".jsonl": "json"}[file.suffix]
    rows = datasets.load_dataset(kind, data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    row = next(row for row in rows if row["prompt_id"] == "tools")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))

    def rendered(turns: list[Any], tools: list[Any]) -> str:
        return str(tokenizer.apply_chat_template(turns, tools=tools, chat_template=TEMPLATE, tokenize=False))

    assert rendered(row["prompt"], json.loads(row["tools"])) == rendered(AS_TEMPLATES_READ, [WEATHER, TIME])
    plain = next(row for row in rows if row["prompt_id"] == "plain0")
    assert rendered(plain["prompt"], []) == "<user>Question 0?</user>\n"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "a message in `messages` has a part of type 'image_url'; only text can be carried",
        ),
        (
            {"messages": [{"role": "assistant", "content": "", "function_call": {"name": "f"}}]},
            "a message in `messages` has `function_call`, which cannot be carried; write it as `tool_calls`",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]},
            "one of the `tool_calls` has no function with a name",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [call(1, "f", "city")]}]},
            "the arguments of a tool call are a text, but not JSON",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [call(1, "f", "[1]")]}]},
            "the arguments of 'f' must be an object",
        ),
        ({"prompt": "a", "tools": "weather"}, "the tools are a text, but not JSON"),
        ({"prompt": "a", "tools": {"name": "weather"}}, "`tools` must be a list of functions, found dict"),
        (
            {"prompt": "a", "tools": ["weather"]},
            'tool 1 must be an object such as {"type": "function", "function": {"name": …}}',
        ),
    ],
)
def test_what_cannot_be_carried_is_refused_with_its_line(tmp_path: Path, row: dict[str, Any], says: str) -> None:
    with pytest.raises(PromptsError) as refused:
        read(tmp_path, {"prompt": "fine"}, row)
    assert str(refused.value) == f"{tmp_path}/prompts.jsonl:2: {says}"


def test_conversations_that_differ_in_their_tools_are_different_prompts(tmp_path: Path) -> None:
    one, other = read(tmp_path, {"prompt": "a", "tools": [TIME]}, {"prompt": "a", "tools": [WEATHER]})
    assert one.id != other.id
