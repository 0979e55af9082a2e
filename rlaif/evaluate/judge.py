"""The job behind `rlaif evaluate judge`: critics judge gold pairs under a constitution's principles, in both orders.

Comes in: gold labels, a constitution, critics. Goes out: an `Evaluation`, and every item as it was judged. Verdicts
become judgements by the arithmetic of a run, the position bias measured over the whole set first. All principles that
compare are asked, whatever tags they apply to. Every reply is in the reply store at once: the same command goes on.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rlaif.authoring.cases import given_response
from rlaif.config import JudgingConfig, ModelConfig
from rlaif.constitution import Constitution, Principle
from rlaif.errors import ConfigError
from rlaif.evaluate.asking import Asked, ask_all
from rlaif.evaluate.calibration import Bin, Recalibration, recalibrate, reliability
from rlaif.evaluate.figures import JudgeFigures, measure, resampled
from rlaif.evaluate.gold import Gold, GoldItem
from rlaif.evaluate.outcomes import BETTER, WORSE, Judged, conclude
from rlaif.evaluate.resampling import bootstrap_of
from rlaif.evaluate.words import Fitness, fitness
from rlaif.generation import Progress, Screen, Silent
from rlaif.hashing import derive_seed
from rlaif.intervals import Figure, Tally
from rlaif.models.model import total_usage
from rlaif.models.replies import ReplyStore
from rlaif.models.serving import open_models
from rlaif.preferences.position import PositionBias
from rlaif.records import Record
from rlaif.steps.judge import Comparison, judge
from rlaif.templates import Templates


@dataclass(frozen=True)
class JudgeTest:
    """What is to be asked of whom."""

    gold: Gold
    constitution: Constitution
    critics: Sequence[tuple[str, ModelConfig]]
    """Each with the name it goes by here; names differ."""
    judging: JudgingConfig
    """With how many principles are drawn for each item."""
    templates: Templates
    cache: Path
    logs: Path


class Cost(Record):
    """What the verdicts cost."""

    verdicts: int
    from_store: int
    """Verdicts that had been asked before, or twice in this set."""
    prompt_tokens: float
    """Tokens a verdict, as the server counted them when it was first asked."""
    cached: float | None
    """Share of the prompt tokens that came from the server's prefix cache, in this session."""
    seconds: float | None
    """Per verdict asked in this session, many at a time; None when all came from the store."""


class CriticReport(Record):
    """How one critic did."""

    critic: str
    """As it was named on the command line."""
    served: str
    """The name it is served under."""
    fitness: Fitness
    overall: JudgeFigures
    subsets: dict[str, JudgeFigures]
    reliability: tuple[Bin, ...]
    recalibration: Recalibration
    position_bias: PositionBias
    """As a run would measure it: the median by principle, taken out before order noise is called."""
    cost: Cost
    error: str | None
    """The first that failed, if any did."""


class Baselines(Record):
    """What needs no critic."""

    longer_wins: Figure
    """Share of the items whose better answer is the longer one, in characters; equally long ones count as missed."""
    first_wins: Figure
    """Share whose better answer stands first in the file; value None where the file has no order. Asked in both orders,
    "the first wins" is right in exactly one half."""
    coin: float = 0.5


class Evaluation(Record):
    """All that was measured."""

    gold: str
    gold_hash: str
    items: int
    prompts: int
    subsets: dict[str, int]
    constitution: str
    constitution_version: int
    constitution_hash: str
    judging: JudgingConfig
    baselines: Baselines
    critics: tuple[CriticReport, ...]


async def evaluate_judges(test: JudgeTest, screen: Screen | None = None) -> tuple[Evaluation, dict[str, list[Judged]]]:
    """Ask every critic, one after the other; return the figures and, by critic, the items as they were judged.

    Raises ConfigError when there is no principle to judge by, what `open_models` raises, and RequestError when all
    requests fail; a single item that fails for good is counted.
    """
    screen = screen or Silent()
    check_usable(test)
    reports, judged = [], {}
    for name, critic in test.critics:
        if len(test.critics) > 1:
            screen.say(f"critic {name}")
        report, items = await _one_critic(test, name, critic, screen)
        reports.append(report)
        judged[name] = items
    return _evaluation(test, reports), judged


def check_usable(test: JudgeTest) -> None:
    """Raise ConfigError where there is nothing to judge by."""
    if not test.constitution.comparing:
        raise ConfigError(f"constitution {test.constitution.name} has no principle with a compare question")
    if test.judging.kind == "none":
        raise ConfigError("judging.kind none leaves nothing to measure; leave it out of the run file")


async def _one_critic(
    test: JudgeTest, name: str, config: ModelConfig, screen: Screen
) -> tuple[CriticReport, list[Judged]]:
    progress = Progress(unit="items")
    items = test.gold.items
    with ReplyStore(test.cache) as store:
        opened = open_models(config, config, store=store, meter=progress.meter, logs=test.logs, say=screen.say)
        async with opened as (_, critic):
            started = time.monotonic()
            decide = partial(judge, critic, test.templates)
            asked = await ask_all(
                decide, len(items), lambda place: _comparison(test, items[place], place), progress, screen
            )
            seconds = time.monotonic() - started
        store.flush()
    return _report(test, (name, critic.name), asked, _cost(asked, progress, seconds))


def _comparison(test: JudgeTest, item: GoldItem, place: int) -> Comparison:
    better, worse = given_response(BETTER, item.chosen), given_response(WORSE, item.rejected)
    # Which one is `a` is drawn: asked in one order only, `a` is shown first, and must not always be the better one.
    turned = derive_seed(0, item.subset or "", item.id, "which is a") % 2
    a, b = (worse, better) if turned else (better, worse)
    return Comparison(
        prompt=item.prompt,
        a=a,
        b=b,
        purpose="design",
        principles=_principles(test, item),
        settings=test.judging,
        priority=place,
    )


def _principles(test: JudgeTest, item: GoldItem) -> Sequence[Principle]:
    """Return the principles put to the critic for one item, drawn by its id where not all are."""
    principles, count = test.constitution.comparing, test.judging.principles
    if count == "all" or count >= len(principles):
        return principles
    drawn = random.Random(derive_seed(0, item.subset or "", item.id, "judging")).sample(principles, count)
    return [principle for principle in principles if principle in drawn]


def _cost(asked: Sequence[Asked], progress: Progress, seconds: float) -> Cost:
    meter = progress.meter
    usage = total_usage([answer for one in asked for answer in one.answers])
    fresh = meter.replies - meter.from_store
    return Cost(
        verdicts=meter.replies,
        from_store=meter.from_store,
        prompt_tokens=usage.prompt_tokens / max(1, usage.requests),
        cached=meter.cached_tokens / meter.prompt_tokens if meter.prompt_tokens else None,
        seconds=seconds / fresh if fresh else None,
    )


def _report(
    test: JudgeTest, names: tuple[str, str], asked: Sequence[Asked], cost: Cost
) -> tuple[CriticReport, list[Judged]]:
    """Conclude every item with the position bias measured over all of them, and measure."""
    matchups = [one.matchup for one in asked if one.matchup is not None]
    bias = PositionBias.measure(matchups, test.judging.min_label_mass)
    judged = [
        conclude(item, one, test.constitution, test.judging, bias)
        for item, one in zip(test.gold.items, asked, strict=True)
    ]
    read = [(one.logit, one.item.conversation) for one in judged if one.logit is not None]
    recalibration = recalibrate([logit for logit, _ in read], [prompt for _, prompt in read])
    overall = measure(judged)
    report = CriticReport(
        critic=names[0],
        served=names[1],
        fitness=fitness(overall, judged, test.judging, recalibration),
        overall=overall,
        subsets={
            subset: measure([one for one in judged if one.item.subset == subset]) for subset in _subsets(test.gold)
        },
        reliability=reliability(resampled(judged)),
        recalibration=recalibration,
        position_bias=bias,
        cost=cost,
        error=next((one.error for one in asked if one.error), None),
    )
    return report, judged


def _subsets(gold: Gold) -> dict[str, int]:
    counts: dict[str, int] = {}
    for item in gold.items:
        if item.subset is not None:
            counts[item.subset] = counts.get(item.subset, 0) + 1
    return counts


def _evaluation(test: JudgeTest, reports: Sequence[CriticReport]) -> Evaluation:
    gold = test.gold
    return Evaluation(
        gold=gold.file,
        gold_hash=gold.hash,
        items=len(gold.items),
        prompts=len({item.conversation for item in gold.items}),
        subsets=_subsets(gold),
        constitution=test.constitution.name,
        constitution_version=test.constitution.version,
        constitution_hash=test.constitution.hash,
        judging=test.judging,
        baselines=_baselines(gold),
        critics=tuple(reports),
    )


def _baselines(gold: Gold) -> Baselines:
    found = bootstrap_of(
        (
            item.conversation,
            Tally(
                {
                    "items": 1,
                    "longer": len(item.chosen) > len(item.rejected),
                    "placed": item.chosen_first is not None,
                    "first": item.chosen_first is True,
                }
            ),
        )
        for item in gold.items
    )
    return Baselines(longer_wins=found.ratio("longer", "items"), first_wins=found.ratio("first", "placed"))
