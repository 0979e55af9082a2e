"""A run's configuration: the contents of a run file, changed by the command line's flags.

`RunConfig.questions` decides which fields change the requests to models, and which only change the speed or the
conclusions; reuse and resuming depend on it.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from rlaif.base import Section
from rlaif.checks.matching import compiled
from rlaif.config.judging import JudgingConfig
from rlaif.config.sampling import (
    CONSTITUTION,
    PolicyConfig,
    PolicySampling,
    SamplingConfig,
    refuse_same_questions,
    samplings_of,
)
from rlaif.constitution.schema import Constitution
from rlaif.errors import ConfigError
from rlaif.models.config import ModelConfig, model_from_text
from rlaif.preferences.ranking import PairsConfig
from rlaif.yaml_file import Complete, explain_validation, read_yaml, refuse_mistaken


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
    drop: tuple[str, ...] = ()
    """Patterns (RE2): a row of which some text matches one is left out before anything is stored, for personal data."""
    mask: tuple[str, ...] = ()
    """Patterns (RE2): what matches one is replaced by `[masked]` before anything is stored."""

    @field_validator("drop", "mask", mode="before")
    @classmethod
    def _one_pattern_is_enough(cls, patterns: object) -> object:
        return (patterns,) if isinstance(patterns, str) else patterns

    @field_validator("drop", "mask")
    @classmethod
    def _are_patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            compiled(pattern)
        return patterns


class ResponsesConfig(Section):
    """The source of responses that exist already; with it, none is sampled."""

    path: str
    """A JSONL, JSON, CSV or Parquet file, or a hub dataset id."""
    shape: str | None = None
    """Layout of the rows (`rlaif label --help`); by default it is recognised by the columns."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Names of the file's columns, by the layout's names for them, where they differ."""
    split: str = "train"
    """Split of a hub dataset."""
    limit: int | None = Field(default=None, ge=1)
    """Maximum number of rows that are labelled; all by default."""


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
    responses: ResponsesConfig | None = None
    """Responses that exist already, in place of `prompts`; `policy` may then be left out, and `revision.rounds` is 0 if
    it is not given."""
    policy: ModelConfig
    policies: tuple[PolicyConfig, ...] = ()
    """Several policies in place of one; `policy` is then the first of them."""
    critic: ModelConfig = Field(default_factory=lambda fields: fields["policy"])
    """The model that criticises, revises and judges; by default the policy."""
    sampling: SamplingConfig = SamplingConfig()
    revision: RevisionConfig = RevisionConfig()
    judging: JudgingConfig = JudgingConfig()
    pairs: PairsConfig = PairsConfig()
    templates: str | None = None
    """A folder with your own templates; for templates that it lacks, the shipped ones are used."""
    seed: int = Field(default=0, ge=0)
    open_prompts: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Prompts worked on at the same time; memory grows with this, not with the number of prompts. `auto` starts one
    whenever a server has room for a request."""
    max_minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Time limit in minutes, without the time that servers take to start: prompts that would not be finished by then
    are not started. Starting the run again continues with them."""
    max_total_tokens: int | None = Field(default=None, ge=1)
    """Limit of prompt and generated tokens, as the servers report them: prompts that are not expected to fit are not
    started, open ones are finished. It holds for one start of the run; replies from the reply store cost nothing."""
    max_pairs: int | None = Field(default=None, ge=1)
    """Number of pairs of the dataset: the first ones in the order of the prompts. No more prompts are started than it
    is expected to need; pairs beyond it are counted and left out."""
    most_failed: float = Field(default=0.05, ge=0, le=1)
    """The run stops when more than this share of its prompts failed, of 200 or more: the prompts are then hardly the
    cause. 1 goes on whatever fails."""
    private: bool = False
    """Whether only the owner may read the files that `rlaif generate` and `rlaif label` write."""
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
    def _responses_in_place_of_prompts(cls, data: object) -> object:
        """Complete a run file with `responses`: its prompts are in the same file, and the critic is its only model."""
        if not isinstance(data, dict) or data.get("responses") is None:
            return data
        if "prompts" in data:
            raise ValueError("`responses` bring their prompts; give either `prompts` or `responses`")
        responses = data["responses"]
        path = responses.get("path") if isinstance(responses, dict) else responses
        models = {"policy": data["critic"]} if "policy" not in data and "critic" in data else {}
        revision = data.get("revision") or {}
        if isinstance(revision, dict):
            revision = {"rounds": 0} | revision
        return data | models | {"prompts": {"path": path}, "revision": revision}

    @model_validator(mode="before")
    @classmethod
    def _policies_in_place_of_one(cls, data: object) -> object:
        """Make the first of several policies the policy, for what needs one."""
        policies = data.get("policies") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(policies, list | tuple) or not policies:
            return data
        first = policies[0]
        model = first.get("model") if isinstance(first, dict) else first
        return {"policy": model} | data

    @model_validator(mode="after")
    def _policies_have_names_of_their_own(self) -> Self:
        names = [policy.name for policy in self.policies]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two policies are named {twice!r}; give each a `name` of its own")
        if self.policies and self.policy != self.policies[0].model:
            raise ValueError("give either `policy` or `policies`")
        if self.policies and self.responses is not None:
            raise ValueError("nothing is sampled where `responses` are given; leave out `policies`")
        refuse_same_questions(self.sampled_by)
        return self

    @model_serializer(mode="wrap")
    def _without_unused(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write either `prompts` or `responses`, so that what is written can be read, and settings where used."""
        unset = [name for name in ("policies", "max_total_tokens", "max_pairs") if not getattr(self, name)]
        left_out = {"responses" if self.responses is None else "prompts", *unset}
        return {name: value for name, value in write(self).items() if name not in left_out}

    @property
    def sampled_by(self) -> list[PolicySampling]:
        """What each policy is asked for each prompt."""
        if not self.policies:
            return [PolicySampling(None, self.policy, self.sampling)]
        return samplings_of(self.policies, self.sampling)

    @property
    def samples(self) -> int:
        """Number of responses that are sampled for each prompt."""
        return sum(one.sampling.n for one in self.sampled_by)

    @property
    def own_templates(self) -> tuple[str, ...]:
        """Templates that the policies need."""
        return ("system",) * any(policy.system == CONSTITUTION for policy in self.policies)

    @field_validator("prompts", "responses", mode="before")
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
    def load(cls, path: str | Path, *, complete: Complete = dict) -> Self:
        """Read a run file, with what it lacks from elsewhere. Raises ConfigError with file and line."""
        return read_yaml(Path(path), cls, complete=complete)

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
        if judged and self.samples == 1 and self.revision.rounds == 0 and self.responses is None:
            raise ConfigError(
                "with one sample and no revision there is nothing to compare; raise sampling.n or revision.rounds"
            )
        if self.max_pairs is not None and not judged:
            raise ConfigError("with judging.kind none there are no pairs; leave out max_pairs, or set judging.kind")
        self.judging.refuse_idle_margin()
        self.judging.refuse_confounded_length()
        self.judging.refuse_unpromised_stop(len(constitution.asked))
        self.judging.refuse_unmeasurable_shortcuts()
        if self.pairs.select == "revision-vs-parent" and self.revision.rounds == 0:
            raise ConfigError("pairs.select revision-vs-parent needs revision.rounds of at least 1")
        if self.pairs.select == "policy-vs-policy":
            self._check_two_policies(judged=judged)

    def _check_two_policies(self, *, judged: bool) -> None:
        names = [policy.name for policy in self.policies]
        if len(names) < 2:
            raise ConfigError("pairs.select policy-vs-policy needs two `policies`")
        if not judged:
            raise ConfigError(
                "pairs.select policy-vs-policy needs judges: that a policy is the stronger one does not make each of "
                "its responses the better one; set judging.kind"
            )
        for setting in ("chosen_policy", "rejected_policy"):
            wanted = getattr(self.pairs, setting)
            if wanted is not None and wanted not in names:
                raise ConfigError(f"pairs.{setting} {wanted!r} is not one of the policies: {', '.join(names)}")
        if len(set(self.against)) < 2:
            raise ConfigError("pairs.chosen_policy and pairs.rejected_policy are the same; name two policies")

    @property
    def against(self) -> tuple[str, str]:
        """The policies of the chosen and of the rejected responses under policy-vs-policy."""
        first, second = self.policies[0].name, self.policies[1].name
        chosen = self.pairs.chosen_policy or (second if self.pairs.rejected_policy == first else first)
        return chosen, self.pairs.rejected_policy or (second if chosen == first else first)

    @property
    def to_train(self) -> ModelConfig:
        """The policy that pairs are made for: that of the rejected responses under policy-vs-policy, else the first."""
        if self.pairs.select != "policy-vs-policy":
            return self.policy
        return next(policy.model for policy in self.policies if policy.name == self.against[1])

    def questions(self) -> dict[str, Any]:
        """Return the settings on which requests to models depend; changes of other settings keep all traces."""
        # Nothing is sampled where the responses are given.
        sampling = {} if self.responses else {"sampling": self.sampling.questions()}
        if self.policies:
            sampling = {"policies": {str(one.name): one.questions() for one in self.sampled_by}}
        return sampling | {
            "revision": self.revision.model_dump(mode="json"),
            "judging": self.judging.questions(),
            "pairs": self.pairs.questions(),
            "policy": self.policy.chat_template_kwargs,
            "critic": self.critic.chat_template_kwargs,
            "seed": self.seed,
        }
