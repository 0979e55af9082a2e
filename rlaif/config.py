"""A run's configuration: the only shape of a run file, and of what the command line's flags add up to.

Which fields change what a model is asked, and which only change how fast or what is concluded, is decided in
`RunConfig.questions`; everything about reuse and resuming follows from it.
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from rlaif.errors import ConfigError
from rlaif.yamlfile import explain_validation, read_yaml


class Section(BaseModel):
    """Base of all parts of a run file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PromptsConfig(Section):
    """Where the prompts come from."""

    path: str
    """A JSONL, JSON, CSV or Parquet file, a hub dataset id, or `seed` for the project's own prompts."""
    columns: dict[Literal["prompt", "messages", "id", "tags", "checks"], str] = {}
    """Which column of the file holds what, where its names differ."""
    split: str = "train"
    """Split of a hub dataset."""
    limit: int | None = Field(default=None, ge=1)
    """Take only so many prompts."""
    shuffle: bool = False
    """Put the prompts in a random order (by the run's seed) before the limit is applied."""


class ModelConfig(Section):
    """A model and how to reach it: a server that runs already (`url`), or one that is started here."""

    model: str | None = None
    """A hub id, a folder, `smollm2`, or the served name; may be left out when a server serves one model only."""
    url: tuple[str, ...] = ()
    """Base URLs (ending in /v1) of servers that all serve this model; requests go to the least busy one."""
    api_key_env: str | None = None
    """Environment variable that holds the API key; RLAIF_API_KEY and OPENAI_API_KEY are looked at by default."""
    chat_template_kwargs: dict[str, Any] = {}
    """Passed to the chat template, such as {enable_thinking: false}."""
    top_logprobs: int | None = Field(default=None, ge=2, le=1000)
    """Tokens reported with each verdict; a label that is not among them leaves it bounded or unreadable. By default
    100 from a server started here and 20 elsewhere, which is what vLLM allows unless started with --max-logprobs."""
    concurrency: int = Field(default=64, ge=1, le=4096)
    """Requests in flight at each URL."""
    timeout_s: float = Field(default=600, gt=0)
    """Seconds one attempt at a request may take."""
    retries: int = Field(default=6, ge=0, le=20)
    """Further attempts after a fault that may pass."""
    vllm_args: tuple[str, ...] = ()
    """Arguments added to the command line of a managed server."""
    max_model_len: int | None = Field(default=None, ge=256)
    """Context length of a managed server, in tokens."""
    eager: bool = False
    """Start a managed server without compilation: ready sooner, slower after."""
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
            if not one.startswith(("http://", "https://")) or not one.partition("://")[2].strip("/"):
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
    if at and url.startswith(("http://", "https://")):
        return {"model": name, "url": url.split(",")}
    if text.startswith(("http://", "https://")):
        return {"url": text.split(",")}
    return {"model": text}


class SamplingConfig(Section):
    """How the policy answers."""

    n: int = Field(default=4, ge=1, le=64)
    """Answers to each prompt, in one request."""
    temperature: float = Field(default=1.0, ge=0, le=5)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=512, ge=1)
    stop: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _several_answers_differ(self) -> Self:
        if self.n > 1 and self.temperature == 0:
            raise ValueError("temperature 0 gives the same answer every time; n must be 1 then")
        return self


class RevisionConfig(Section):
    """How answers are criticised and revised."""

    rounds: int = Field(default=1, ge=0, le=8)
    """Rounds of critique and revision of each sample; 0 leaves them out."""
    by: Literal["critic", "policy"] = "critic"
    """Who rewrites."""
    principles: int = Field(default=1, ge=1)
    """Principles drawn for each prompt, sample and round."""
    temperature: float = Field(default=0.7, ge=0, le=5)
    critique_max_tokens: int = Field(default=256, ge=1)
    max_tokens: int = Field(default=512, ge=1)
    candidates: Literal["last", "all"] = "last"
    """Which revisions of a sample are compared: the last one, or those of all rounds."""


class JudgingConfig(Section):
    """How answers are compared, and what a verdict must be like to count."""

    kind: Literal["pairwise-logprob", "none"] = "pairwise-logprob"
    """`none` compares nothing: revisions for supervised fine-tuning, no pairs."""
    principles: Literal["all"] | int = "all"
    """How many principles are put to the judge, drawn for each prompt; the same ones for all its matchups."""
    orders: Literal["both", "one"] = "both"
    """`one` shows each matchup in one order only: half the price, and the position bias stays in."""
    labels: tuple[str, str] = ("A", "B")
    """What the judge answers with; each must be a single token for the model."""
    min_margin: float = Field(default=0.1, ge=0, lt=0.5)
    """A matchup is too close to call when p is nearer to one half than this."""
    min_label_mass: float = Field(default=0.5, ge=0, le=1)
    """A verdict is unreadable when the labels get less probability than this."""
    allow_order_noise: bool = False
    """Let a matchup count although its orders disagree by more than the critic's constant position bias."""

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: tuple[str, str]) -> tuple[str, str]:
        if labels[0].strip() == labels[1].strip() or not all(label.strip() for label in labels):
            raise ValueError("the two labels must differ, and neither may be empty")
        return labels

    @field_validator("principles")
    @classmethod
    def _at_least_one(cls, principles: Literal["all"] | int) -> Literal["all"] | int:
        if isinstance(principles, int) and principles < 1:
            raise ValueError("give `all`, or a number of at least 1")
        return principles


class PairsConfig(Section):
    """Which decided matchups become preference pairs."""

    select: Literal["best-vs-worst", "best-vs-random", "revision-vs-parent"] = "best-vs-worst"
    per_prompt: int = Field(default=1, ge=1)
    """Pairs of one prompt at the most."""
    test_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Share of the prompts that go to the test split; the same prompts in every run."""


class RunConfig(Section):
    """A whole run."""

    constitution: str
    """A shipped name or a YAML file."""
    prompts: PromptsConfig
    policy: ModelConfig
    critic: ModelConfig = Field(default_factory=lambda fields: fields["policy"])
    """The policy itself where none is named."""
    sampling: SamplingConfig = SamplingConfig()
    revision: RevisionConfig = RevisionConfig()
    judging: JudgingConfig = JudgingConfig()
    pairs: PairsConfig = PairsConfig()
    templates: str | None = None
    """A folder with templates of one's own; those it lacks are the shipped ones."""
    seed: int = Field(default=0, ge=0)
    open_prompts: int = Field(default=32, ge=1)
    """Prompts worked on at the same time; memory grows with this, not with the number of prompts."""
    cache: str | None = None
    """The reply store; by default `replies.sqlite` beside the run directory."""
    out: str

    @field_validator("prompts", mode="before")
    @classmethod
    def _a_path_is_enough(cls, prompts: object) -> object:
        return {"path": prompts} if isinstance(prompts, str) else prompts

    @field_validator("policy", "critic", mode="before")
    @classmethod
    def _a_name_is_enough(cls, model: object) -> object:
        return model_from_text(model) if isinstance(model, str) else model

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a run file. Raises ConfigError with file and line."""
        return read_yaml(Path(path), cls)

    @classmethod
    def check(cls, data: dict[str, Any]) -> Self:
        """Validate a configuration put together in memory. Raises ConfigError."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ConfigError(explain_validation(error, cls)) from None

    def questions(self) -> dict[str, Any]:
        """Return what decides which questions are asked of the models; the rest never makes a trace stale."""
        return {
            "sampling": self.sampling.model_dump(mode="json"),
            "revision": self.revision.model_dump(mode="json"),
            "judging": self.judging.model_dump(mode="json", include={"kind", "principles", "orders", "labels"}),
            "pairs": self.pairs.model_dump(mode="json", include={"select", "per_prompt"}),
            "policy": self.policy.chat_template_kwargs,
            "critic": self.critic.chat_template_kwargs,
            "seed": self.seed,
        }
