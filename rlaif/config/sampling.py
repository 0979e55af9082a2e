"""Sampling of responses: the settings of a run, and those of each policy where there are several."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from rlaif.base import Section
from rlaif.models.backend import ChatRequest
from rlaif.models.config import ModelConfig, model_from_text
from rlaif.yaml_file import explain_validation

OPTIONAL = ("top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "response_format")
"""Settings of the sampling that are sent only where they are set."""
SET_ELSEWHERE = {
    *ChatRequest.model_fields,
    *OPTIONAL,
    *("model", "stream", "stream_options", "tool_choice", "max_completion_tokens"),
    *("prompt_logprobs", "echo", "use_beam_search", "best_of"),
}
"""Fields of a request that `extra_body` must not contain."""


class SamplingConfig(Section):
    """The sampling of responses from the policy."""

    n: int = Field(default=4, ge=1, le=64)
    """Responses to each prompt, in one request."""
    temperature: float = Field(default=1.0, ge=0, le=5)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1)
    """Sample among the `top_k` most likely tokens, 0 or -1 for all (vLLM and others; not in OpenAI's API)."""
    min_p: float | None = Field(default=None, ge=0, le=1)
    """Leave out tokens less likely than this share of the most likely one (vLLM and others)."""
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    repetition_penalty: float | None = Field(default=None, gt=0)
    """Above 1, tokens that were written before are less likely (vLLM and others)."""
    max_tokens: int = Field(default=512, ge=1)
    stop: tuple[str, ...] = ()
    """Texts that end a response; they are not part of it. A single one needs no list."""
    response_format: dict[str, Any] = Field(default_factory=dict)
    """Form of the responses, as OpenAI's API takes it, such as {type: json_object}."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further fields of the request, as the server takes them."""

    @field_validator("stop", mode="before")
    @classmethod
    def _one_text_is_enough(cls, stop: object) -> object:
        return (stop,) if isinstance(stop, str) else stop

    @field_validator("extra_body")
    @classmethod
    def _only_further_fields(cls, extra: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(extra.keys() & SET_ELSEWHERE):
            raise ValueError(f"`{taken[0]}` is set by rlaif or by a setting of its own; leave it out of extra_body")
        return extra

    @field_validator("extra_body", "response_format")
    @classmethod
    def _is_json(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"cannot be sent as JSON: {error}") from None
        return value

    @field_validator("stop")
    @classmethod
    def _stops_at_something(cls, stop: tuple[str, ...]) -> tuple[str, ...]:
        if "" in stop:
            raise ValueError("an empty text would end every response; leave it out")
        return stop

    @property
    def extra(self) -> dict[str, Any]:
        """The fields of the request that are set here and that only sampling uses."""
        own = {name: getattr(self, name) for name in OPTIONAL}
        return {name: value for name, value in own.items() if value not in (None, {})} | self.extra_body

    def questions(self) -> dict[str, Any]:
        """Return the settings, without optional ones that are not set: a request without them is the same as before."""
        settings = self.model_dump(mode="json")
        return {
            key: value
            for key, value in settings.items()
            if key not in {*OPTIONAL, "extra_body"} or value not in (None, {})
        }

    @model_validator(mode="after")
    def _several_responses_differ(self) -> Self:
        if self.n > 1 and self.temperature == 0:
            raise ValueError("temperature 0 gives the same response every time; set n to 1 or raise temperature")
        return self


CONSTITUTION = "constitution"


class PolicyConfig(Section):
    """One of several policies."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:-]*$")
    """By default the model's name."""
    model: ModelConfig
    n: int | None = Field(default=None, ge=1, le=64)
    """Its responses to each prompt; by default `sampling.n`."""
    share: float | None = Field(default=None, gt=0)
    """Its share of the `sampling.n` responses to each prompt, relative to the other policies' shares."""
    system: str | None = None
    """A system prompt, or `constitution` for the rules of the constitution with their reasons. It stands before the
    prompt's own system message. It is not part of the dataset's prompts, and the judges do not see it."""
    sampling: SamplingConfig | None = None
    """Settings of its sampling; for those that are not set, the run's."""

    @model_validator(mode="before")
    @classmethod
    def _a_model_is_enough(cls, data: object) -> object:
        data = {"model": data} if isinstance(data, str) else data
        if not isinstance(data, dict) or "model" not in data:
            return data
        model = model_from_text(data["model"]) if isinstance(data["model"], str) else data["model"]
        named = model.get("model") if isinstance(model, dict) else None
        return ({"name": named} if named else {}) | data | {"model": model}

    @model_validator(mode="after")
    def _one_number(self) -> Self:
        if self.n is not None and self.share is not None:
            raise ValueError("give `n` or `share`, not both")
        return self

    @field_validator("sampling", mode="before")
    @classmethod
    def _number_is_not_its_part(cls, sampling: object) -> object:
        """Refuse `n`; 1 stands in for it, with which every temperature is valid."""
        if not isinstance(sampling, dict):
            return sampling
        if "n" in sampling:
            raise ValueError("give the number of responses as `n` of the policy, not of its sampling")
        return {"n": 1} | sampling

    @field_serializer("sampling", mode="wrap")
    def _only_what_is_set(self, sampling: SamplingConfig | None, _: SerializerFunctionWrapHandler) -> Any:  # noqa: ANN401
        return None if sampling is None else sampling.model_dump(mode="json", exclude_unset=True, exclude={"n"})


@dataclass(frozen=True)
class PolicySampling:
    """What one policy is asked for each prompt."""

    name: str | None
    """None for the only policy of a run."""
    model: ModelConfig
    sampling: SamplingConfig
    system: str | None = None

    def questions(self) -> dict[str, Any]:
        """Return what its requests depend on."""
        kwargs = self.model.chat_template_kwargs
        return {"system": self.system, "sampling": self.sampling.questions(), "chat_template_kwargs": kwargs}


def samplings_of(policies: Sequence[PolicyConfig], sampling: SamplingConfig) -> list[PolicySampling]:
    """Return what each of several policies is asked. Raises ValueError where one gets no response."""
    numbers = _numbers(policies, sampling.n)
    if empty := [policy.name for policy, n in zip(policies, numbers, strict=True) if n == 0]:
        raise ValueError(f"sampling.n {sampling.n} is too small: policy {empty[0]} would write no response")
    return [
        PolicySampling(policy.name, policy.model, _merged(policy, sampling, n), policy.system)
        for policy, n in zip(policies, numbers, strict=True)
    ]


def refuse_same_questions(policies: Sequence[PolicySampling]) -> None:
    """Raise ValueError for two policies that are asked the same: every response of one would be that of the other."""
    for one, other in combinations(policies, 2):
        asked = [policy.questions() | {"model": policy.model} for policy in (one, other)]
        for question in asked:
            question["sampling"].pop("n")
        if asked[0] == asked[1]:
            raise ValueError(
                f"policies {one.name} and {other.name} have the same model, system prompt and sampling, so they would "
                "write the same responses; change one of them or leave it out"
            )


def _merged(policy: PolicyConfig, sampling: SamplingConfig, n: int) -> SamplingConfig:
    own = policy.sampling or SamplingConfig()
    given = {name: getattr(own, name) for name in own.model_fields_set}
    try:
        return SamplingConfig.model_validate(sampling.model_dump() | given | {"n": n})
    except ValidationError as error:
        raise ValueError(f"policy {policy.name}: {explain_validation(error, SamplingConfig)}") from None


def _numbers(policies: Sequence[PolicyConfig], n: int) -> list[int]:
    """Return the responses of each policy; shares are rounded by the largest remainder (Hamilton's method)."""
    total = sum(policy.share or 0.0 for policy in policies)
    exact = [n * (policy.share or 0.0) / total if total else 0.0 for policy in policies]
    whole = [int(one) for one in exact]
    by_remainder = sorted(range(len(policies)), key=lambda place: (whole[place] - exact[place], place))
    for place in by_remainder[: n - sum(whole)] if total else []:
        whole[place] += 1
    return [
        share if policy.share is not None else (policy.n or n) for policy, share in zip(policies, whole, strict=True)
    ]
