"""How responses are sampled: the `sampling` section of a run file.

The settings have the names of OpenAI's and vLLM's APIs. Those that are not set are not sent, so the server's own
defaults hold, and are left out of what is stored, so that reply keys and manifests stay as they were without them.
"""

import json
from typing import Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from rlaif.base import Section
from rlaif.models.backend import ChatRequest

OPTIONAL = (
    *("top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"),
    *("response_format", "extra_body"),
)
"""Settings that are sent and stored only where they are set."""

_OWN = {name: f"sampling.{name}" for name in ("temperature", "top_p", "max_tokens", "stop", *OPTIONAL)} | {
    "max_completion_tokens": "sampling.max_tokens",
    "n": "sampling.n",
    "seed": "seed",
    "model": "policy",
    "messages": "prompts",
    "tools": "the prompts' column `tools`",
    "chat_template_kwargs": "policy.chat_template_kwargs",
}
"""Fields of a request that other settings determine, and the name of that setting."""
_CONTROLLED = {
    *ChatRequest.model_fields,
    *("stream", "stream_options", "tool_choice", "prompt_logprobs", "echo", "use_beam_search", "best_of"),
} - _OWN.keys()
"""Fields of a request that this program sets, or on which the reading of its reply depends."""


class SamplingConfig(Section):
    """The sampling of responses from the policy."""

    n: int = Field(default=4, ge=1, le=64)
    """Responses to each prompt, in one request."""
    temperature: float = Field(default=1.0, ge=0, le=5)
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Sample from the most likely tokens that together have this probability."""
    max_tokens: int = Field(default=512, ge=1)
    stop: tuple[str, ...] = ()
    """One text or several: the response ends before the first of them."""
    top_k: int | None = Field(default=None, ge=-1)
    """Sample from this number of most likely tokens; 0 or -1 for all (vLLM)."""
    min_p: float | None = Field(default=None, ge=0, le=1)
    """Leave out tokens below this share of the most likely token's probability (vLLM)."""
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Subtracted from the logit of each token that the response already contains."""
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Subtracted from a token's logit for each time that the response contains it."""
    repetition_penalty: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Above 1, tokens of the prompt and the response become less likely; 1 changes nothing (vLLM)."""
    response_format: dict[str, Any] | None = None
    """As in OpenAI's API, such as {type: json_schema, json_schema: {name: answer, schema: {…}}}."""
    extra_body: dict[str, Any] | None = None
    """Further fields of the request, such as {min_tokens: 16} for vLLM; none that other settings determine."""

    @model_serializer(mode="wrap")
    def _without_unset(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if name not in OPTIONAL or value is not None}

    @field_validator("stop", mode="before")
    @classmethod
    def _one_text_is_enough(cls, stop: object) -> object:
        return (stop,) if isinstance(stop, str) else stop

    @field_validator("stop")
    @classmethod
    def _stop_at_something(cls, stop: tuple[str, ...]) -> tuple[str, ...]:
        if "" in stop:
            raise ValueError("an empty text in `stop` would end every response at once")
        return stop

    @field_validator("response_format", "extra_body")
    @classmethod
    def _is_json(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"cannot be sent as JSON: {error}") from None
        return value or None

    @field_validator("response_format")
    @classmethod
    def _names_a_format(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is None:
            return None
        if not str(value.get("type") or ""):
            raise ValueError("needs a `type`: text, json_object or json_schema")
        inner = value.get("json_schema")
        if value["type"] == "json_schema" and not (isinstance(inner, dict) and isinstance(inner.get("schema"), dict)):
            raise ValueError("type json_schema needs `json_schema: {name: …, schema: {…}}`")
        return value

    @field_validator("extra_body")
    @classmethod
    def _overrides_nothing(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        for name in value or ():
            if name in _OWN:
                raise ValueError(f"`{name}` cannot be set here; it is determined by {_OWN[name]}")
            if name in _CONTROLLED:
                raise ValueError(f"`{name}` cannot be set here: this program sets it, or relies on its default")
        return value

    @model_validator(mode="after")
    def _several_responses_differ(self) -> Self:
        if self.n > 1 and self.temperature == 0:
            raise ValueError("temperature 0 gives the same response every time; set n to 1 or raise temperature")
        return self

    def request(self) -> dict[str, Any]:
        """Return the fields of a `ChatRequest` that these settings determine."""
        settings = {name: getattr(self, name) for name in ("n", "temperature", "top_p", "max_tokens", "stop")}
        ordered = {name: value for name in ("response_format", "extra_body") if (value := getattr(self, name))}
        # A server may read a schema's properties in their order, so it is sent as text, which keeps the order.
        texts = {name: json.dumps(value, ensure_ascii=False) for name, value in ordered.items()}
        numbers = {
            name: value for name in OPTIONAL if name not in ordered and (value := getattr(self, name)) is not None
        }
        return settings | numbers | texts

    def questions(self) -> dict[str, Any]:
        """Return the settings as a manifest keeps them: what has an order that matters is text."""
        texts = {name: value for name, value in self.request().items() if isinstance(value, str)}
        return self.model_dump(mode="json") | texts

    @property
    def more_words(self) -> str:
        """What is set beside `n`, `temperature`, `top_p` and `max_tokens`, as `top_k 20, min_p 0.05`; else empty."""
        stop = {"stop": list(self.stop)} if self.stop else {}
        optional = {name: value for name, value in self.request().items() if name in OPTIONAL}
        return ", ".join(f"{name} {value}" for name, value in (stop | optional).items())
