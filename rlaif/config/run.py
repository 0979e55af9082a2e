"""A run's configuration: the contents of a run file, changed by the command line's flags.

`RunConfig.questions` decides which fields change the requests to models, and which only change the speed or the
conclusions; reuse and resuming depend on it.
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from rlaif.base import Section
from rlaif.config.judging import JudgingConfig
from rlaif.config.sampling import SamplingConfig
from rlaif.constitution.schema import Constitution
from rlaif.errors import ConfigError
from rlaif.models.config import ModelConfig, model_from_text, url_of_environment
from rlaif.preferences.ranking import PairsConfig
from rlaif.yaml_file import explain_validation, read_yaml, refuse_mistaken


class PromptsConfig(Section):
    """The source of the prompts."""

    path: str
    """A JSONL, JSON, CSV or Parquet file, a hub dataset id, or `seed` for the project's own prompts."""
    columns: dict[Literal["prompt", "messages", "id", "tags", "checks"], str] = Field(default_factory=dict)
    """Names of the file's columns, where they differ from these keys."""
    split: str = "train"
    """Split of a hub dataset."""
    limit: int | None = Field(default=None, ge=1)
    """Maximum number of prompts; all by default."""
    shuffle: bool = False
    """Shuffle the prompts (by the run's seed) before the limit is applied."""


class RevisionConfig(Section):
    """Critique and revision of responses."""

    rounds: int = Field(default=1, ge=0, le=8)
    """Rounds of critique and revision of each sample; 0 for none."""
    by: Literal["critic", "policy"] = "critic"
    """The model that writes the revisions."""
    principles: int = Field(default=1, ge=1)
    """Principles drawn for each prompt, sample and round."""
    temperature: float = Field(default=0.7, ge=0, le=5)
    critique_max_tokens: int = Field(default=256, ge=1)
    max_tokens: int = Field(default=512, ge=1)
    candidates: Literal["last", "all"] = "last"
    """Which revisions of a sample become candidates: the last one, or those of all rounds."""


class RunConfig(Section):
    """The configuration of a whole run."""

    constitution: str
    """Name of a shipped constitution, or a YAML file."""
    prompts: PromptsConfig
    policy: ModelConfig
    """The model that responds; by default the only one of the server in the environment variable OPENAI_BASE_URL."""
    critic: ModelConfig = Field(default_factory=lambda fields: fields["policy"])
    """The model that criticises, revises and judges; by default the policy."""
    sampling: SamplingConfig = SamplingConfig()
    revision: RevisionConfig = RevisionConfig()
    judging: JudgingConfig = JudgingConfig()
    pairs: PairsConfig = PairsConfig()
    templates: str | None = None
    """A folder with your own templates; for templates that it lacks, the shipped ones are used."""
    seed: int = Field(default=0, ge=0)
    open_prompts: int = Field(default=32, ge=1)
    """Prompts worked on at the same time; memory grows with this, not with the number of prompts."""
    max_minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Time limit in minutes, without the time that servers take to start: prompts that would not be finished by then
    are not started. Starting the run again continues with them."""
    cache: str | None = None
    """The reply store; by default `replies.sqlite` beside the run directory."""
    out: str

    @model_validator(mode="before")
    @classmethod
    def _no_constitution(cls, data: object) -> object:
        message = "this is a constitution, not a run file; a run file names one under `constitution:`"
        refuse_mistaken(data, {"constitution", "prompts"}, {"principles", "extends"}, message)
        return data

    @model_validator(mode="before")
    @classmethod
    def _server_of_the_environment(cls, data: object) -> object:
        if isinstance(data, dict) and "policy" not in data and (url := url_of_environment()):
            return {**data, "policy": {"url": url}}
        return data

    @field_validator("prompts", mode="before")
    @classmethod
    def _a_path_is_enough(cls, prompts: object) -> object:
        return {"path": prompts} if isinstance(prompts, str) else prompts

    @field_validator("policy", "critic", mode="before")
    @classmethod
    def _a_name_is_enough(cls, model: object) -> object:
        return model_from_text(model) if isinstance(model, str) else model

    @property
    def reply_store(self) -> Path:
        """The file of the reply store: by default beside the run's directory, shared by the runs of one folder."""
        return Path(self.cache) if self.cache else Path(self.out).parent / "replies.sqlite"

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a run file. Raises ConfigError with file and line."""
        return read_yaml(Path(path), cls)

    @classmethod
    def check(cls, data: dict[str, Any]) -> Self:
        """Return the configuration of a dict. Raises ConfigError."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ConfigError(explain_validation(error, cls)) from None

    def check_usable(self, constitution: Constitution) -> None:
        """Raise ConfigError when the settings cannot lead to a pair."""
        judged = self.judging.kind != "none"
        if judged and not constitution.comparing and self.judging.asks_rules:
            raise ConfigError(
                f"constitution {constitution.name} has no principle with a compare question or a check, so it cannot "
                "compare responses; add one, or choose another constitution"
            )
        if self.revision.rounds and not constitution.revising:
            raise ConfigError(
                f"constitution {constitution.name} has no principle with critique and revise instructions; set "
                "revision.rounds to 0 (generate --rounds 0)"
            )
        if not judged and self.revision.rounds == 0:
            raise ConfigError("with judging.kind none and no revision there is nothing to do; raise revision.rounds")
        if judged and self.sampling.n == 1 and self.revision.rounds == 0:
            raise ConfigError(
                "with one sample and no revision there is nothing to compare; raise sampling.n or revision.rounds"
            )
        self.judging.refuse_idle_margin()
        self.judging.refuse_confounded_length()
        self.judging.refuse_unmeasurable_shortcuts()
        if self.pairs.select == "revision-vs-parent" and self.revision.rounds == 0:
            raise ConfigError("pairs.select revision-vs-parent needs revision.rounds of at least 1")

    def questions(self) -> dict[str, Any]:
        """Return the settings on which requests to models depend; changes of other settings keep all traces."""
        return {
            "sampling": self.sampling.questions(),
            "revision": self.revision.model_dump(mode="json"),
            "judging": self.judging.questions(),
            "pairs": self.pairs.model_dump(mode="json", include={"select", "per_prompt"}),
            "policy": self.policy.chat_template_kwargs,
            "critic": self.critic.chat_template_kwargs,
            "seed": self.seed,
        }


__all__ = ["PromptsConfig", "RevisionConfig", "RunConfig", "SamplingConfig"]
