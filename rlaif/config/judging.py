"""How responses are judged: the `judging` section of a run file.

A judge is a kind of question and the model that answers it (`rlaif.judges`). Several judges are a panel.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from rlaif.base import Section
from rlaif.errors import ConfigError
from rlaif.judges import KINDS, PAIRWISE, JudgeConfig, judge_config
from rlaif.judges.base import Reading
from rlaif.judges.pairwise import Labels, check_labels
from rlaif.judges.panel import logits_of
from rlaif.models.config import ModelConfig
from rlaif.preferences.judgement import Rule, Strategy
from rlaif.preferences.position import PositionBias
from rlaif.templates import AGAIN, TEMPLATE_NAMES, Templates

AnyPrinciple = TypeVar("AnyPrinciple")


CONFOUNDED = (
    "estimated over a run, it contains what longer responses are really better by, and subtracting it makes p_chosen "
    "worse; measure the effect by intervention (rlaif evaluate shortcuts RUN) and set judging.shortcuts: run"
)
"""Why a length effect from a run's own verdicts is not a correction."""


class RequireConfig(Section):
    """What the judges must reach on gold labels before anything is generated."""

    gold: str = "cases"
    """`cases` for the constitution's own cases, or a file of gold labels as `rlaif evaluate judge` reads it."""
    limit: int | None = Field(default=None, ge=1)
    """Maximum number of labelled pairs to use; all by default."""
    accuracy: float | None = Field(default=0.65, ge=0, lt=1)
    """Minimum share of the judges' labels that are right, reached by the lower end of its exact 95 % interval: with few
    labelled pairs, more of them must be right, and with too few the run is refused before anything is asked."""
    labelled: float | None = Field(default=0.2, ge=0, le=1)
    """Minimum share of the pairs that get a label under the run's thresholds."""
    order_agreement: float | None = Field(default=None, ge=0, le=1)
    """Minimum share of verdicts whose two orders name the same response."""
    label_mass: float | None = Field(default=None, ge=0, le=1)
    """Minimum mean probability of the two labels together."""
    calibration_error: float | None = Field(default=None, ge=0, le=1)
    """Maximum calibration error of the probabilities, without the part that chance makes of few pairs."""


class StopConfig(Section):
    """When a matchup needs no more verdicts."""

    flip: float = Field(gt=0, le=0.2)
    """A matchup stops when what is left could change its label with less than this probability."""
    pilot: int | None = Field(default=None, ge=20)
    """Prompts, drawn at random, of which everything is asked, to measure how questions depend on each other and to
    check the promise; by default 2 / flip, at least 50."""

    @property
    def pilot_prompts(self) -> int:
        """Number of prompts of which everything is asked."""
        return self.pilot or max(50, math.ceil(2 / self.flip))


class JudgingConfig(Section):
    """How responses are compared, and which verdicts count."""

    kind: Literal[*KINDS, "none"] = "pairwise-logprob"  # type: ignore[valid-type]
    """Kind of the only judge. `none` compares nothing: revisions for supervised fine-tuning, no pairs."""
    judges: tuple[JudgeConfig, ...] = ()
    """Several judges, or one with options of its own; in place of `kind`."""
    principles: Literal["all"] | int = "all"
    """Number of principles put to the judges, drawn for each prompt; the same ones for all its matchups."""
    orders: Literal["both", "one"] = "both"
    """`one` shows each matchup in one order only: half the cost, but labels contain the position bias."""
    labels: Labels = ("A", "B")
    """The labels of the first and second response; each must be a single token for the model."""
    see_reasoning: bool = False
    """Show the judges a thinking policy's reasoning before each response; by default they see the response alone."""
    strategy: Strategy = "by-priority"
    """How principles become one label. `by-priority`: their weighted mean, level by level. `weighted`: the mean of all,
    regardless of their level. `pareto`: as `by-priority`, but no label where a single principle prefers the other
    response."""
    min_margin: float = Field(default=0.1, ge=0, lt=0.5)
    """A matchup abstains as too close when |p - 0.5| is below this."""
    min_label_mass: float = Field(default=0.5, ge=0, le=1)
    """A verdict is unreadable when the two labels together have less probability than this."""
    allow_order_noise: bool = False
    """Let a matchup count although its orders disagree by more than the critic's constant position bias."""
    length_effect: Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)] | Literal["run"] | None = None
    """Subtracted from the judges' log-odds: a length effect that you know, in logits per unit of log length ratio. The
    uncorrected p is kept, too. `run`, which estimated it over the run, is refused: it also took away what longer
    responses are really better by. `shortcuts` measures the effect by intervention."""
    shortcuts: str | None = None
    """Subtract what the judges give for surface features (length, Markdown, flattery, hedges, claims of authority, an
    appended answer): `run` for the effects that `rlaif evaluate shortcuts` measured on this run, or the file
    `shortcuts.json` of another run with the same judges. The uncorrected p is kept, too."""
    recalibration: str | None = None
    """A file from `rlaif evaluate judge --recalibrate`, which corrects a critic that is over- or underconfident; the
    uncorrected p is kept, too. (Noise of the verdicts is corrected without it; `noise`, which asked for that, is still
    accepted and means no file.)"""
    stop: StopConfig | None = None
    """Ask a matchup its questions (a judge under a principle, in both orders) one after another, and stop when what is
    left could change its label with too small a probability. By default every question is asked."""
    require: RequireConfig | None = None
    """What the judges must reach before anything is generated; no gate by default."""

    @field_validator("judges", mode="before")
    @classmethod
    def _a_kind_is_enough(cls, judges: object) -> object:
        if isinstance(judges, str | dict):
            judges = [judges]
        if not isinstance(judges, list | tuple):
            return judges
        return [{"kind": judge} if isinstance(judge, str) else judge for judge in judges]

    @field_validator("recalibration")
    @classmethod
    def _noise_needs_no_setting(cls, recalibration: str | None) -> str | None:
        return None if recalibration == "noise" else recalibration

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: Labels) -> Labels:
        return check_labels(labels)

    @field_validator("principles")
    @classmethod
    def _at_least_one(cls, principles: Literal["all"] | int) -> Literal["all"] | int:
        if isinstance(principles, int) and principles < 1:
            raise ValueError('must be "all" or a number of at least 1')
        return principles

    @model_validator(mode="after")
    def _judges_stand_alone(self) -> Self:
        if self.judges and self.kind != "pairwise-logprob":
            raise ValueError("give `kind` or `judges`, not both")
        if self.judges and self.labels != ("A", "B"):
            raise ValueError("`labels` is an option of a judge here: move it into the entry under `judges`")
        if self.kind == "none" and self.require is not None:
            raise ValueError("`require` measures the judges, and `kind: none` has no judge; remove one of them")
        names = [judge.called for judge in self.judges]
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise ValueError(f'two judges have the name "{repeated}"; give each its own `name`')
        return self

    @model_validator(mode="after")
    def _shortcuts_stand_alone(self) -> Self:
        if self.shortcuts is not None and self.length_effect is not None:
            raise ValueError("`shortcuts` contains the effect of length; leave `length_effect` out")
        if self.shortcuts is not None and self.recalibration is not None:
            raise ValueError(
                "`shortcuts` cannot be combined with `recalibration`: that file was fitted on log-odds with the "
                "effects in them; leave one of them out"
            )
        return self

    @property
    def panel(self) -> tuple[JudgeConfig, ...]:
        """All judges; empty for `kind: none`."""
        if self.judges or self.kind == "none":
            return self.judges
        options = {"labels": self.labels} if self.kind in PAIRWISE else {}
        return (judge_config(self.kind, **options),)

    @property
    def scores(self) -> bool:
        """Whether some judge scores responses without principles: a rating judge or a reward model."""
        return any(not KINDS[judge.kind].asks_rules for judge in self.panel)

    @property
    def asks_rules(self) -> bool:
        """Whether some judge judges under the constitution's principles; ratings and rewards do not."""
        return any(KINDS[judge.kind].asks_rules for judge in self.panel)

    @property
    def has_order(self) -> bool:
        """Whether a judge sees several responses at once, so that their order may matter."""
        return any(KINDS[judge.kind].has_order for judge in self.panel)

    @property
    def own_critics(self) -> dict[str, ModelConfig]:
        """By the judges' names: the critics of judges that have one of their own."""
        return {judge.called: judge.critic for judge in self.panel if judge.critic is not None}

    @property
    def worked_cases(self) -> int:
        """Largest number of a principle's cases that any judge is shown as worked examples."""
        return max((judge.worked_cases for judge in self.panel), default=0)

    @property
    def judge_templates(self) -> tuple[str, ...]:
        """Names of the judges' templates."""
        kinds = {judge.kind for judge in self.panel}
        own = [kind.template for name, kind in KINDS.items() if name in kinds and kind.template]
        return tuple(dict.fromkeys([*own, *(name for judge in self.panel for name in judge.more_templates)]))

    def load_templates(self, folder: str | None, *, again: bool = False, also: Sequence[str] = ()) -> Templates:
        """Return the templates that a run needs, from `folder` where it has them, after rendering each once.

        `again` adds the comparison question in other words, `also` further ones. Raises ConfigError.
        """
        names = dict.fromkeys((*TEMPLATE_NAMES, *self.judge_templates, *((AGAIN,) if again else ()), *also))
        templates = Templates(Path(folder) if folder else None, names=tuple(names))
        stand_ins = {kind.template: kind.stand_ins for kind in KINDS.values() if kind.template}
        templates.check(stand_ins | {AGAIN: stand_ins["compare"]})
        return templates

    @property
    def nothing_asked(self) -> str | None:
        """Reason why a prompt without principles and checks has no matchups; None where judges need none of them."""
        return None if self.scores else "not judged" if self.kind == "none" else "no principle applies"

    def rule(
        self,
        weights: Mapping[str, float],
        priorities: Mapping[str, int] | None = None,
        bias: PositionBias | None = None,
        recalibrate: Callable[[float], float] | None = None,
    ) -> Rule:
        """Return the rule by which the judges' log-odds under principles of these weights and levels become a label."""
        panel, reading = self.panel, Reading(self.orders == "both", self.min_label_mass)
        return Rule(
            read=lambda matchup: logits_of(matchup, panel, reading),
            weights=weights,
            priorities=priorities or {},
            strategy=self.strategy,
            min_margin=self.min_margin,
            allow_order_noise=self.allow_order_noise,
            judge_weights={judge.called: judge.weight for judge in panel},
            aspect_weights={name: w for judge in panel for name, w in judge.aspect_weights.items()},
            keeps_judges_apart=len(self.judges) > 1,
            bias=bias,
            recalibrate=recalibrate,
        )

    def refuse_idle_margin(self) -> None:
        """Raise ConfigError where `clamp` keeps every p within `min_margin` of 0.5, so that no label is possible."""
        ranges = [judge.range for judge in self.panel]
        if ranges and all(ranges):
            reach = max(max(0.5 - low, high - 0.5) for low, high in filter(None, ranges))
            if self.min_margin > reach + 1e-9 or (self.recalibration and self.min_margin > reach - 1e-9):
                raise ConfigError(
                    f"judging.min_margin {self.min_margin:g} is too large for the judges' clamp, which keeps p within "
                    f"{reach:g} of 0.5; lower min_margin or widen clamp"
                )

    def refuse_confounded_length(self) -> None:
        """Raise ConfigError for a length effect that is estimated over the run, where quality is not held fixed."""
        if self.length_effect == "run":
            raise ConfigError(f"judging.length_effect: run is refused: {CONFOUNDED}")

    def refuse_unpromised_stop(self, principles: int) -> None:
        """Raise ConfigError for `stop` where nothing can be saved, or where its promise cannot be checked."""
        if self.stop is None:
            return
        others = [judge.called for judge in self.panel if judge.kind not in PAIRWISE]
        if others or not self.panel:
            named = f"{', '.join(others)} does not" if others else "judging.kind none has no judge that does"
            raise ConfigError(f"judging.stop needs judges that compare two responses under principles; {named}")
        asked = principles if self.principles == "all" else min(principles, self.principles)
        if asked * len(self.panel) < 2:
            raise ConfigError(
                "judging.stop saves nothing with one judge and one principle: both orders of it are always asked"
            )
        if self.strategy == "pareto":
            raise ConfigError(
                "judging.stop needs another strategy than pareto, where each principle can take a label away"
            )
        if corrected := [
            name for name in ("length_effect", "shortcuts", "recalibration") if getattr(self, name) is not None
        ]:
            raise ConfigError(f"judging.stop promises uncorrected labels; leave out judging.{corrected[0]}")

    def refuse_unmeasurable_shortcuts(self) -> None:
        """Raise ConfigError for `shortcuts` with judges whose effects cannot be measured on single matchups."""
        if self.shortcuts is not None and (why := self.no_shortcuts):
            raise ConfigError(f"judging.shortcuts: {why}")

    @property
    def no_shortcuts(self) -> str | None:
        """Why the effects of surface features cannot be measured on these judges; None where they can."""
        if not self.panel:
            return "judging.kind none has no judge, so nothing can be measured or corrected"
        if any(kind.has_order and kind.ask_pair is None for kind in (KINDS[judge.kind] for judge in self.panel)):
            return (
                "a listwise judge sees all candidates at once, so the effect of an edit on one matchup cannot be "
                "measured; use other kinds of judges"
            )
        return None

    @property
    def without_thresholds(self) -> Self:
        """A copy without thresholds, so that every readable matchup gets a label."""
        return self.model_copy(update={"min_label_mass": 0.0, "min_margin": 0.0, "allow_order_noise": True})

    def drawn(self, principles: Sequence[AnyPrinciple], seed: int) -> Sequence[AnyPrinciple]:
        """Return the principles put to the judges, in their order: all, or a random subset of `self.principles`."""
        if self.principles == "all" or self.principles >= len(principles):
            return principles
        subset = random.Random(seed).sample(principles, self.principles)
        return [principle for principle in principles if principle in subset]

    def asked(self) -> dict[str, Any]:
        """Return the settings that a recalibration depends on; equal for `kind` and the same judge under `judges`."""
        judges = [judge.questions() | {"weight": judge.weight} for judge in self.panel]
        return {
            "judges": judges,
            "orders": self.orders,
            "principles": self.principles,
            "strategy": self.strategy,
            "length_effect": self.length_effect,
        }

    def questions(self) -> dict[str, Any]:
        """Return the settings on which requests depend."""
        settings = self.model_dump(mode="json", include={"kind", "principles", "orders", "labels"})
        settings |= {"see_reasoning": True} if self.see_reasoning else {}
        settings |= {"stop": self.stop.model_dump(mode="json")} if self.stop else {}
        return settings | ({"judges": [judge.questions() for judge in self.judges]} if self.judges else {})
