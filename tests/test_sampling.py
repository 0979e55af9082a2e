"""The `sampling` section as people write it: what reaches the server, what is stored, what is refused."""

import json
from typing import Any

import pytest

from rlaif.config.run import RunConfig, SamplingConfig
from rlaif.errors import ConfigError, RunDirectoryError
from rlaif.generation import generate_async
from rlaif.models.backend import ChatRequest, user
from rlaif.testing import SimulatedServer
from rlaif.testing.request_kind import kind_of
from tests.conftest import MakeConfig

SET = {
    "top_p": 0.9,
    "top_k": 20,
    "min_p": 0.0,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "repetition_penalty": 1.1,
    "stop": ["\n\n"],
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"why": {}, "answer": {}}}},
    "extra_body": {"min_tokens": 4, "bad_words": ["moreover"]},
}


class Recording(SimulatedServer):
    """A simulated server that keeps the bodies of the requests for samples."""

    def reply_to(self, body: dict[str, Any]) -> dict[str, Any]:
        if kind_of(body) == "sample":
            self.__dict__.setdefault("bodies", []).append(body)
        return super().reply_to(body)


async def test_sampling_settings_reach_the_server_under_their_own_names_and_a_run_keeps_to_them(
    make_config: MakeConfig,
) -> None:
    async with Recording() as server:
        run = await generate_async(make_config(server, prompts=1, sampling={"n": 2, **SET}))
        (body,) = server.__dict__["bodies"]
        further = SET["extra_body"]
        assert isinstance(further, dict)
        expected = {name: value for name, value in SET.items() if name != "extra_body"} | further
        assert {name: body[name] for name in expected} == expected
        assert list(body["response_format"]["json_schema"]["schema"]) == ["why", "answer"]
        assert RunConfig.load(run.path / "run.yaml").sampling == SamplingConfig.model_validate({"n": 2, **SET})
        with pytest.raises(RunDirectoryError, match="sampling.top_k 20 → 50"):
            await generate_async(make_config(server, prompts=1, sampling={"n": 2, **SET, "top_k": 50}))
        other_order = {"json_schema": {"schema": {"answer": {}, "why": {}}, "name": "a"}, "type": "json_schema"}
        with pytest.raises(RunDirectoryError, match="sampling.response_format"):
            changed = {"n": 2, **SET, "response_format": other_order}
            await generate_async(make_config(server, prompts=1, sampling=changed))


def test_settings_that_are_not_set_are_neither_sent_nor_stored() -> None:
    plain = SamplingConfig()
    assert set(plain.questions()) == {"n", "temperature", "top_p", "max_tokens", "stop"}
    body = json.loads(ChatRequest(messages=(user("Why?"),), **plain.request()).body)
    assert set(body) == {"messages", "n", "temperature", "top_p", "max_tokens"}


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        ({"extra_body": {"n": 8}}, "sampling.extra_body: `n` cannot be set here; it is determined by sampling.n"),
        ({"extra_body": {"top_k": 8}}, "sampling.top_k"),
        ({"extra_body": {"messages": []}}, "prompts"),
        ({"extra_body": {"stream": True}}, "`stream` cannot be set here: this program"),
        ({"extra_body": {"logprobs": True}}, "`logprobs` cannot be set here"),
        ({"extra_body": {"x": float("nan")}}, "cannot be sent as JSON"),
        ({"response_format": {"type": "json_schema"}}, "sampling.response_format: type json_schema needs"),
        ({"stop": ""}, "would end every response at once"),
        ({"repetition_penalty": 0}, "sampling.repetition_penalty: input should be greater than 0, not 0"),
        ({"topk": 8}, "unknown key `topk`; did you mean `top_k`?"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_in_one_line(sampling: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        RunConfig.check(
            {"constitution": "minimal", "prompts": "seed", "policy": "smollm2", "out": "x", "sampling": sampling}
        )
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_one_stop_text_needs_no_list() -> None:
    assert SamplingConfig.model_validate({"stop": "END"}).stop == ("END",)
