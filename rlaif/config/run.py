"""A run's configuration: the only shape of a run file, and of what the command line's flags add up to.

Which fields change what a model is asked, and which only change how fast or what is concluded, is decided in
`RunConfig.questions`; everything about reuse and resuming follows from it.
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from rlaif.base import Section
from rlaif.config.judging import JudgingConfig
from rlaif.constitution.schema import Constitution
from rlaif.errors import ConfigError
from rlaif.models.config import ModelConfig, model_from_text
from rlaif.preferences.ranking import PairsConfig
from rlaif.yaml_file import explain_validation, read_yaml, refuse_mistaken


class PromptsConfig(Section):
    """Where the prompts come from."""

    path: str
    """A JSONL, JSON, CSV or Parquet file, a hub dataset id, or `seed` for the project's own prompts."""
    columns: dict[Literal["prompt", "messages", "id", "tags", "checks"], str] = Field(default_factory=dict)
    """Which column of the file holds what, where its names differ."""
    split: str = "train"
    """Split of a hub dataset."""
    limit: int | None = Field(default=None, ge=1)
    """Take only so many prompts."""
    shuffle: bool = False
    """Put the prompts in a random order (by the run's seed) before the limit is applied."""


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
    max_minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Begin no prompt that would not be finished by then, counted without the starting of servers; what is begun is
    finished, and starting the run again goes on with the rest."""
    cache: str | None = None
    """The reply store; by default `replies.sqlite` beside the run directory."""
    out: str

    @model_validator(mode="before")
    @classmethod
    def _no_constitution(cls, data: object) -> object:
        says = "this is a constitution, no run file; a run file names one under `constitution:`"
        refuse_mistaken(data, {"constitution", "prompts"}, {"principles", "extends"}, says)
        return data

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

    def check_usable(self, constitution: Constitution) -> None:
        """Raise ConfigError when the settings cannot lead to a pair."""
        judged = self.judging.kind != "none"
        if judged and not constitution.comparing and self.judging.asks_rules:
            raise ConfigError(
                f"constitution {constitution.name} has no principle with a compare question or a check, so nothing can "
                "be ranked by it"
            )
        if self.revision.rounds and not constitution.revising:
            raise ConfigError(
                f"constitution {constitution.name} has nothing to revise by; set revision.rounds to 0 "
                "(generate --rounds 0)"
            )
        if not judged and self.revision.rounds == 0:
            raise ConfigError("judging.kind none and no revision leave nothing to do; raise revision.rounds")
        if judged and self.sampling.n == 1 and self.revision.rounds == 0:
            raise ConfigError(
                "one sample and no revision leave nothing to compare; raise sampling.n or revision.rounds"
            )
        self.judging.refuse_idle_margin()
        if judged and self.judging.require is not None and self.judging.length_effect == "run":
            raise ConfigError(
                "judging.require measures before a run, when length_effect: run is not known; give a number"
            )
        if self.pairs.select == "revision-vs-parent" and self.revision.rounds == 0:
            raise ConfigError("pairs.select revision-vs-parent needs revision.rounds of at least 1")

    def questions(self) -> dict[str, Any]:
        """Return what decides which questions are asked of the models; the rest never makes a trace stale."""
        return {
            "sampling": self.sampling.model_dump(mode="json"),
            "revision": self.revision.model_dump(mode="json"),
            "judging": self.judging.questions(),
            "pairs": self.pairs.model_dump(mode="json", include={"select", "per_prompt"}),
            "policy": self.policy.chat_template_kwargs,
            "critic": self.critic.chat_template_kwargs,
            "seed": self.seed,
        }
