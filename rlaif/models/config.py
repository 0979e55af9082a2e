"""How a model is reached: the section of a run file for `policy`, `critic` and a judge's own critic."""

import re
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from rlaif.base import Section

_URL = re.compile(r"([a-z0-9-]+\+)?https?://")
"""What a URL begins with; the name of a backend may stand before it (`BACKENDS` in client.py)."""


class ModelConfig(Section):
    """A model and how to reach it: a server that is running (`url`), or one that is started here (a managed server)."""

    model: str | None = None
    """A hub id, a folder, `smollm2`, or the served name; may be left out when a server serves one model only."""
    url: tuple[str, ...] = ()
    """Base URLs (ending in /v1) of servers that all serve this model; requests go to the least busy one."""
    api_key_env: str | None = None
    """Environment variable that holds the API key; RLAIF_API_KEY, then OPENAI_API_KEY by default."""
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Passed to the chat template, such as {enable_thinking: false}."""
    top_logprobs: int | None = Field(default=None, ge=2, le=1000)
    """Tokens reported with each verdict; a label that is not among them leaves it bounded or unreadable. By default
    100 from a server started here and 20 elsewhere, which is what vLLM allows unless started with --max-logprobs."""
    concurrency: int = Field(default=64, ge=1, le=4096)
    """Requests in flight at each URL."""
    timeout_s: float = Field(default=600, gt=0)
    """Seconds one attempt at a request may take."""
    retries: int = Field(default=6, ge=0, le=20)
    """Further attempts after a temporary fault."""
    vllm_args: tuple[str, ...] = ()
    """Arguments added to the command line of a managed server."""
    max_model_len: int | None = Field(default=None, ge=256)
    """Context length of a managed server, in tokens."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """What a managed server computes in. By default the fastest on a CPU (bfloat16 only where the processor has
    instructions for it), and on a GPU the dtype of the model's files. Part of the model's identity: kept replies of one
    dtype are never used for another."""
    eager: bool = False
    """Start a managed server without compilation: it starts sooner and runs slower."""
    start_timeout_s: float = Field(default=1800, gt=0)
    """Seconds a managed server may take to start (a first start may download the model)."""

    @field_validator("url", mode="before")
    @classmethod
    def _one_url_is_enough(cls, url: object) -> object:
        return (url,) if isinstance(url, str) else url

    @field_validator("url")
    @classmethod
    def _urls_are_http(cls, url: tuple[str, ...]) -> tuple[str, ...]:
        for one in url:
            if not _URL.match(one) or not one.partition("://")[2].strip("/"):
                raise ValueError(f"{one!r} is not a URL; it must start with http:// or https:// and name a host")
        return tuple(one.rstrip("/") for one in url)

    @model_validator(mode="after")
    def _is_something(self) -> Self:
        if self.model is not None and not self.model.strip():
            raise ValueError("the model's name is empty")
        if self.model is not None and "://" in self.model:
            raise ValueError(f"{self.model!r} is not a URL; it must start with http:// or https:// and name a host")
        if self.model is None and not self.url:
            raise ValueError("give a model to start, a url to ask, or both")
        return self

    @property
    def managed(self) -> bool:
        """Whether a server is started for this model."""
        return not self.url


def model_from_text(text: str) -> dict[str, Any]:
    """Read the short form of a model: MODEL, URL or MODEL@URL (several URLs: comma between them)."""
    name, at, url = text.partition("@")
    if at and _URL.match(url):
        return {"model": name, "url": url.split(",")}
    if _URL.match(text):
        return {"url": text.split(",")}
    return {"model": text}
