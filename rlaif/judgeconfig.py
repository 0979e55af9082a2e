"""How answers are judged: the `judging` part of a run file, and what one judge is.

A judge is a kind of question and the model that is asked it. Several judges at once are a panel.
"""

import random
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from rlaif.modelconfig import ModelConfig, Section, model_from_text

JudgeKind = Literal["pairwise-logprob", "pairwise-reasoned", "rating", "listwise", "reward"]
KINDS: tuple[JudgeKind, ...] = ("pairwise-logprob", "pairwise-reasoned", "rating", "listwise", "reward")
PAIRWISE: tuple[JudgeKind, ...] = ("pairwise-logprob", "pairwise-reasoned")

AnyPrinciple = TypeVar("AnyPrinciple")

_GOES_WITH: dict[str, tuple[JudgeKind, ...]] = {
    "labels": PAIRWISE,
    "preamble": ("pairwise-logprob", "pairwise-reasoned", "rating", "listwise"),
    "cases": ("pairwise-logprob",),
    "answer_start": ("pairwise-logprob",),
    "read": ("pairwise-reasoned",),
    "clamp": ("pairwise-reasoned",),
    "temperature": ("pairwise-reasoned", "listwise"),
    "max_tokens": ("pairwise-reasoned", "listwise"),
    "aspects": ("rating",),
    "rotations": ("listwise",),
}


class Aspect(Section):
    """One thing that a rating judge gives a number for."""

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)
    asks: str
    """What the number says, and what its ends mean; put to the critic."""
    scale: tuple[int, int] = (1, 5)
    """Lowest and highest number."""
    weight: float = Field(default=1.0, gt=0, le=1000)

    @field_validator("asks")
    @classmethod
    def _asks_something(cls, asks: str) -> str:
        if not asks.strip():
            raise ValueError("say what the number is to tell")
        return asks

    @field_validator("scale")
    @classmethod
    def _scale_rises(cls, scale: tuple[int, int]) -> tuple[int, int]:
        low, high = scale
        if not (low in {0, 1} and low < high <= 10):
            raise ValueError("a scale runs from 0 or 1 to at most 10")
        return scale


class JudgeConfig(Section):
    """One judge: a kind of question, and who is asked."""

    kind: JudgeKind
    name: str | None = Field(default=None, pattern=r"^[^:\s]+$", max_length=64)
    """How its verdicts are called; its kind by default."""
    critic: ModelConfig | None = None
    """The run's critic where none is named."""
    weight: float = Field(default=1.0, gt=0, le=1000)
    """Share in the mean over judges; of ratings and rewards, their share in the mean over principles."""
    labels: tuple[str, str] = ("A", "B")
    """What a pairwise judge answers with; read from log-probabilities, each must be a single token for the model."""
    preamble: str = ""
    """Stands before the question: who the judge is, what matters. Yours; none by default."""
    cases: int = Field(default=0, ge=0, le=16)
    """Worked cases of each principle shown before the question, label by label in turn. They differ from principle to
    principle, so the principles no longer share a cached prefix."""
    answer_start: str = ""
    """Words put into the critic's mouth, after which its label is read, such as `Answer:`; the server must know
    `continue_final_message`, as vLLM does."""
    read: Literal["text", "logprob"] = "text"
    """How the verdict after the reasoning is read: as the last line it wrote, or as the probabilities of the two labels
    once its reasoning and the beginning of that line stand there."""
    clamp: tuple[float, float] | None = (0.4, 0.6)
    """What a reasoned verdict's probability is held within, because models are far too sure after reasoning (Bai et al.
    2022b); both are kept. null leaves a probability as it is (only with read: logprob)."""
    temperature: float | None = Field(default=None, ge=0, le=5)
    """Of the reasoning; 0.7 for a reasoned judge and 0 for a listwise one where none is given."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Longest reply, a thinking model's thoughts included; 1024 for a reasoned judge and 128 for a listwise one where
    none is given."""
    aspects: Literal["ultrafeedback", "helpful-harmless", "overall"] | tuple[Aspect, ...] = "ultrafeedback"
    """What a rating judge rates: after Cui et al. 2023, after Ji et al. 2024, one number from 1 to 10 as in Lee et al.
    2023, or aspects of one's own."""
    rotations: int = Field(default=2, ge=1, le=16)
    """Orders in which a listwise judge is shown the answers; each is asked backwards, too."""

    @field_validator("critic", mode="before")
    @classmethod
    def _a_name_is_enough(cls, critic: object) -> object:
        return model_from_text(critic) if isinstance(critic, str) else critic

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: tuple[str, str]) -> tuple[str, str]:
        return check_labels(labels)

    @field_validator("aspects")
    @classmethod
    def _aspects_differ(cls, aspects: str | tuple[Aspect, ...]) -> str | tuple[Aspect, ...]:
        if isinstance(aspects, tuple) and len({aspect.id for aspect in aspects}) < max(1, len(aspects)):
            raise ValueError("give at least one aspect, and each its own id")
        return aspects

    @field_validator("clamp")
    @classmethod
    def _clamp_holds_one_half(cls, clamp: tuple[float, float] | None) -> tuple[float, float] | None:
        if clamp is not None and not 0 < clamp[0] < 0.5 < clamp[1] < 1:
            raise ValueError("the range must lie within 0 and 1 and hold 0.5, such as [0.4, 0.6]")
        return clamp

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, name: str | None) -> str | None:
        if name in {"check", "panel"}:
            raise ValueError(f'"{name}" means something else here; give the judge another name')
        return name

    @model_validator(mode="after")
    def _options_go_with_the_kind(self) -> Self:
        for option, kinds in _GOES_WITH.items():
            if self.kind not in kinds and getattr(self, option) != type(self).model_fields[option].default:
                raise ValueError(f"`{option}` means nothing to a {self.kind} judge; it goes with {', '.join(kinds)}")
        if self.kind == "pairwise-reasoned" and self.read == "text" and self.clamp is None:
            raise ValueError("`clamp: null` needs `read: logprob`: a verdict in words has no probability of its own")
        return self

    @property
    def called(self) -> str:
        """The name its verdicts go by."""
        return self.name or self.kind

    def questions(self) -> dict[str, Any]:
        """Return what decides which questions it asks, and what is kept of the replies."""
        from rlaif.aspects import aspects_of  # noqa: PLC0415  (which needs the shapes above)

        found = self.model_dump(mode="json", exclude={"critic", "weight", "name", "aspects"})
        if self.kind == "rating":
            found["aspects"] = [one.model_dump(mode="json", exclude={"weight"}) for one in aspects_of(self)]
        if self.critic is not None:
            found["critic"] = {"model": self.critic.model, **self.critic.chat_template_kwargs}
        return {"called": self.called, **found}


class RequireConfig(Section):
    """What the judges must reach on labelled pairs before anything else is asked."""

    gold: str = "cases"
    """`cases`, the constitution's own, or a file of gold labels as `rlaif evaluate judge` reads it."""
    limit: int | None = Field(default=None, ge=1)
    """Take only so many pairs."""
    accuracy: float | None = Field(default=0.65, ge=0, le=1)
    """Share of the labels given that are right."""
    labelled: float | None = Field(default=0.2, ge=0, le=1)
    """Share of the pairs that get a label under the run's thresholds."""
    order_agreement: float | None = Field(default=None, ge=0, le=1)
    label_mass: float | None = Field(default=None, ge=0, le=1)
    calibration_error: float | None = Field(default=None, ge=0, le=1)
    """At most so much; the others are at least."""


class JudgingConfig(Section):
    """How answers are compared, and what a verdict must be like to count."""

    kind: JudgeKind | Literal["none"] = "pairwise-logprob"
    """`none` compares nothing: revisions for supervised fine-tuning, no pairs."""
    judges: tuple[JudgeConfig, ...] = ()
    """Several judges at once, or one with settings of its own; in place of `kind`."""
    principles: Literal["all"] | int = "all"
    """How many principles are put to the judges, drawn for each prompt; the same ones for all its matchups."""
    orders: Literal["both", "one"] = "both"
    """`one` shows each matchup in one order only: half the price, and the position bias stays in."""
    labels: tuple[str, str] = ("A", "B")
    """What the judge answers with; each must be a single token for the model."""
    strategy: Literal["by-priority", "weighted", "pareto"] = "by-priority"
    """How principles become one label. `by-priority`: their weighted mean, level by level. `weighted`: the mean of all,
    whatever their level. `pareto`: as `by-priority`, and no label where a principle by itself says the contrary."""
    min_margin: float = Field(default=0.1, ge=0, lt=0.5)
    """A matchup is too close to call when p is nearer to one half than this."""
    min_label_mass: float = Field(default=0.5, ge=0, le=1)
    """A verdict is unreadable when the labels get less probability than this."""
    allow_order_noise: bool = False
    """Let a matchup count although its orders disagree by more than the critic's constant position bias."""
    length_effect: Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)] | Literal["run"] | None = None
    """Taken out of every label: what e times the characters is worth to the critic in log-odds, as measured elsewhere
    (`rlaif evaluate judge`), or `run` to estimate it over this run. Both p are kept."""
    recalibration: str | None = None
    """A file from `rlaif evaluate judge --recalibrate`, or `noise`: probabilities are held back by how far the two
    orders disagree, which needs no gold labels. Applied to every label; both p are kept."""
    require: RequireConfig | None = None
    """What the judges must reach before anything is generated."""

    @field_validator("judges", mode="before")
    @classmethod
    def _a_kind_is_enough(cls, judges: object) -> object:
        if isinstance(judges, str | dict):
            judges = [judges]
        if not isinstance(judges, list | tuple):
            return judges
        return [{"kind": judge} if isinstance(judge, str) else judge for judge in judges]

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: tuple[str, str]) -> tuple[str, str]:
        return check_labels(labels)

    @field_validator("principles")
    @classmethod
    def _at_least_one(cls, principles: Literal["all"] | int) -> Literal["all"] | int:
        if isinstance(principles, int) and principles < 1:
            raise ValueError('give "all", or a number of at least 1')
        return principles

    @model_validator(mode="after")
    def _judges_stand_alone(self) -> Self:
        if self.judges and self.kind != "pairwise-logprob":
            raise ValueError("give `kind` or `judges`, not both")
        if self.judges and self.labels != ("A", "B"):
            raise ValueError("`labels` belong to a judge: put them inside `judges`")
        if self.kind == "none" and self.require is not None:
            raise ValueError("`require` measures judges, and `kind: none` has none")
        if self.recalibration == "noise" and self.orders == "one":
            raise ValueError("`recalibration: noise` is read from how far the two orders disagree; take `orders: both`")
        names = [judge.called for judge in self.judges]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f'two judges are called "{twice}"; give each a `name` of its own')
        return self

    @property
    def panel(self) -> tuple[JudgeConfig, ...]:
        """All judges; none where nothing is judged."""
        if self.judges or self.kind == "none":
            return self.judges
        labels = self.labels if self.kind in PAIRWISE else ("A", "B")
        return (JudgeConfig(kind=self.kind, labels=labels),)

    @property
    def scores(self) -> bool:
        """Whether a judge needs no principle: it rates, or it is a reward model."""
        return any(judge.kind in {"rating", "reward"} for judge in self.panel)

    @property
    def asks_rules(self) -> bool:
        """Whether a judge is asked about the constitution's principles; ratings and rewards are not."""
        return any(judge.kind not in {"rating", "reward"} for judge in self.panel)

    @cached_property
    def judge_weights(self) -> dict[str, float]:
        """Weight of every judge by its name."""
        return {judge.called: judge.weight for judge in self.panel}

    def weight_of(self, aspect: str) -> float:
        """Return the weight of `JUDGE:ASPECT` among the principles."""
        called, _, name = aspect.partition(":")
        judge = next((judge for judge in self.panel if judge.called == called), None)
        own = () if judge is None or isinstance(judge.aspects, str) else judge.aspects  # shipped aspects weigh 1
        return self.judge_weights.get(called, 1.0) * next((one.weight for one in own if one.id == name), 1.0)

    @property
    def without_thresholds(self) -> Self:
        """The same with nothing that would make a readable matchup abstain, to see what it says."""
        return self.model_copy(update={"min_label_mass": 0.0, "min_margin": 0.0, "allow_order_noise": True})

    def drawn(self, principles: Sequence[AnyPrinciple], seed: int) -> Sequence[AnyPrinciple]:
        """Return the principles put to the judges, in their order: all, or as many as are to be drawn by a seed."""
        if self.principles == "all" or self.principles >= len(principles):
            return principles
        some = random.Random(seed).sample(principles, self.principles)
        return [principle for principle in principles if principle in some]

    def asked(self) -> dict[str, Any]:
        """Return how the judges are asked, whichever way the settings say it."""
        judges = [judge.questions() | {"weight": judge.weight} for judge in self.panel]
        return {
            "judges": judges,
            "orders": self.orders,
            "principles": self.principles,
            "strategy": self.strategy,
            "length_effect": self.length_effect,
        }

    def questions(self) -> dict[str, Any]:
        """Return what decides which questions are asked."""
        found = self.model_dump(mode="json", include={"kind", "principles", "orders", "labels"})
        return found | ({"judges": [judge.questions() for judge in self.judges]} if self.judges else {})


def check_labels(labels: tuple[str, str]) -> tuple[str, str]:
    """Return two labels. Raises ValueError where they can't be told apart."""
    if any("*" in label for label in labels):
        raise ValueError("a label may hold no *, which marks bold type")
    if labels[0].strip() == labels[1].strip() or not all(label.strip() for label in labels):
        raise ValueError("the two labels must differ, and neither may be empty")
    return labels
