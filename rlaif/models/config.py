"""The configuration of a model: the section of a run file for `policy`, `critic` and a judge's own critic."""

import os
import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from rlaif.base import Section
from rlaif.errors import ConfigError

_URL = re.compile(r"([a-z0-9-]+\+)?https?://")
"""The beginning of a URL, with an optional name of a backend (`BACKENDS` in client.py)."""
_SECRET = re.compile(r"//[^/?#\s]*@|\?[^,\s]*")
"""User and password, or the query, of a URL."""
BASE_URL = "OPENAI_BASE_URL"
"""Environment variable with the URL of a server; MODEL@OPENAI_BASE_URL is a model there."""


class ModelConfig(Section):
    """A model and its server: one that is running (`url`), or one that this program starts (a managed server)."""

    model: str | None = None
    """A hub id, a folder, `smollm2`, or the served name; optional with the `url` of a server with one model only."""
    url: tuple[str, ...] = ()
    """Base URLs (ending in /v1) of servers that all serve this model; requests go to the least busy one. `base_url` is
    another name of this setting."""
    api_key_env: str | None = None
    """Environment variable that contains the API key; by default RLAIF_API_KEY, then OPENAI_API_KEY."""
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Passed to the chat template, such as {enable_thinking: false}."""
    top_logprobs: int | None = Field(default=None, ge=2, le=1000)
    """Number of likely tokens whose log-probabilities are requested with each verdict, where a server does not report
    named tokens; with a label that is not among them, the verdict is bounded or unreadable. By default 100 for a
    managed server and 20 for others, vLLM's limit unless it is started with --max-logprobs."""
    concurrency: Annotated[int, Field(ge=1, le=4096)] | Literal["auto"] = "auto"
    """Maximum number of requests in flight at each URL; `auto` finds out how many keep the server full."""
    timeout_s: float = Field(default=600, gt=0, allow_inf_nan=False)
    """Maximum seconds of one attempt at a request."""
    retries: int = Field(default=6, ge=0, le=20)
    """Further attempts after a temporary fault."""
    vllm_args: tuple[str, ...] = ()
    """Arguments added to the command line of a managed server."""
    max_model_len: int | None = Field(default=None, ge=256)
    """Context length of a managed server, in tokens."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Data type of a managed server's computation. By default the fastest on a CPU (bfloat16 only if the processor has
    instructions for it), and the dtype of the model's files on a GPU. Part of the model's identity: stored replies of
    one dtype are never used for another."""
    eager: bool = False
    """Start a managed server without compilation: it starts faster and runs slower."""
    start_timeout_s: float = Field(default=1800, gt=0, allow_inf_nan=False)
    """Maximum seconds that a managed server may take to start (the first start may download the model)."""

    @model_validator(mode="before")
    @classmethod
    def _base_url(cls, data: object) -> object:
        if not isinstance(data, dict) or "base_url" not in data:
            return data
        if data.get("url"):
            raise ValueError("`url` and `base_url` are the same setting; give one")
        return {key: value for key, value in data.items() if key != "base_url"} | {"url": data["base_url"]}

    @field_validator("url", mode="before")
    @classmethod
    def _one_url_is_enough(cls, url: object) -> object:
        return (url,) if isinstance(url, str) else url

    @field_validator("url")
    @classmethod
    def _urls_are_http(cls, url: tuple[str, ...]) -> tuple[str, ...]:
        for address in url:
            if not _URL.match(address) or not address.partition("://")[2].strip("/"):
                raise ValueError(f"{address!r} is not a URL; it must start with http:// or https:// and name a host")
            if _SECRET.search(address):
                raise ValueError(
                    "a URL must have no user, password or query, which would be written into the run; put the key into "
                    "the environment variable RLAIF_API_KEY, or name another one with api_key_env"
                )
        return tuple(address.rstrip("/") for address in url)

    @model_validator(mode="after")
    def _names_a_model(self) -> Self:
        if self.model is not None and not self.model.strip():
            raise ValueError("the model's name is empty")
        if self.model is not None and "://" in self.model:
            raise ValueError(f"{self.model!r} is not a URL; it must start with http:// or https:// and name a host")
        if self.model is None and not self.url:
            raise ValueError("give `model` (to start a server), `url` (of a running server), or both")
        return self

    @property
    def managed(self) -> bool:
        """Whether this program starts a server for the model."""
        return not self.url


def without_secrets(text: str) -> str:
    """Return a URL, or several, as they may be shown: without user, password and query."""
    return _SECRET.sub(lambda found: "//…@" if found.group().startswith("//") else "?…", text)


def model_from_text(text: str) -> dict[str, Any]:
    """Return the settings of a model's short form: MODEL, URL or MODEL@URL, with commas between several URLs.

    OPENAI_BASE_URL stands for the URL in that environment variable. Raises ConfigError where it is not set.
    """
    name, at, url = text.partition("@")
    if at and url == BASE_URL:
        url = os.environ.get(BASE_URL, "")
        if not url:
            raise ConfigError(f"{text}: the environment variable {BASE_URL} is not set")
    if at and _URL.match(url):
        return {"model": name, "url": url.split(",")}
    if _URL.match(text):
        return {"url": text.split(",")}
    return {"model": text}
