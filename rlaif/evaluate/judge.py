"""The job behind `rlaif evaluate judge`: critics judge gold pairs under a constitution's principles, in both orders.

Comes in: gold labels, a constitution, critics. Goes out: an `Evaluation`, and every item as it was judged. Verdicts
become judgements by the arithmetic of a run, the position bias measured over the whole set first. All principles that
compare are asked, whatever tags they apply to. Every reply is in the reply store at once: the same command goes on.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlaif.config.judging import JudgingConfig
from rlaif.constitution.schema import Constitution, Principle
from rlaif.errors import ConfigError
from rlaif.evaluate.asking import Asked, ask_all
from rlaif.evaluate.calibration import Bin, Recalibration, recalibrate, reliability
from rlaif.evaluate.cases import given_response
from rlaif.evaluate.figures import JudgeMetrics, measure, resampled
from rlaif.evaluate.fitness import Fitness, fitness
from rlaif.evaluate.gold import Gold, GoldItem
from rlaif.evaluate.outcomes import BETTER, WORSE, Judged, conclude
from rlaif.evaluate.overlap import Overlap, overlaps
from rlaif.judges.base import Comparison, Judge
from rlaif.judges.panel import judge_pair, judges_through
from rlaif.models.config import ModelConfig
from rlaif.models.model import Model, StoredReply, total_usage
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import Clients, open_clients
from rlaif.preferences.position import PositionBias
from rlaif.progress import Progress, Screen, Silent
from rlaif.records import Matchup, Record
from rlaif.seeds import derive_seed
from rlaif.stats.bootstrap import bootstrap_of
from rlaif.stats.estimates import Estimate, Tally
from rlaif.templates import Templates


@dataclass(frozen=True)
class Contender:
    """A critic, and how it is asked."""

    name: str
    """What the critic goes by here."""
    judge: str
    """The kind of judge; `panel` for several together."""
    critic: ModelConfig
    judging: JudgingConfig
    """With how many principles are drawn for each item."""


@dataclass(frozen=True)
class JudgeTest:
    """What is to be asked of whom."""

    gold: Gold
    constitution: Constitution
    contenders: Sequence[Contender]
    """No two have both names in common."""
    judging: JudgingConfig
    """As the run file has it."""
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
    judge: str
    """The kind of judge, or its name; `panel` for several together."""
    judging: JudgingConfig
    served: str
    """The names that the judges' models are served under."""
    identities: dict[str, str]
    """By the judges' names: which model spoke for each."""
    fitness: Fitness
    overall: JudgeMetrics
    subsets: dict[str, JudgeMetrics]
    reliability: tuple[Bin, ...]
    recalibration: Recalibration
    position_bias: PositionBias
    """As a run would measure it: the median by principle, taken out before order noise is called."""
    cost: Cost
    error: str | None
    """The first that failed, if any did."""

    @property
    def title(self) -> str:
        """What tells it from the others."""
        return f"{self.critic} {self.judge}"


class Baselines(Record):
    """What needs no critic."""

    longer_wins: Estimate
    """Share of the items whose better answer is the longer one, in characters; equally long ones count as missed."""
    first_wins: Estimate
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
    overlaps: tuple[Overlap, ...]
    """How much each two of them err together."""


async def evaluate_judges(test: JudgeTest, screen: Screen | None = None) -> tuple[Evaluation, dict[str, list[Judged]]]:
    """Ask every contender, one after the other; return the figures and, by its title, the items as they were judged.

    Raises ConfigError when there is no principle to judge by, what `open_clients` raises, and RequestError when all
    requests fail; a single item that fails for good is counted.
    """
    screen = screen or Silent()
    check_usable(test)
    reports, judged = [], {}
    for critic in dict.fromkeys(contender.name for contender in test.contenders):
        found = await _one_critic(test, [one for one in test.contenders if one.name == critic], screen)
        for report, items in found:
            reports.append(report)
            judged[report.title] = items
    return _evaluation(test, reports, judged), judged


def check_usable(test: JudgeTest) -> None:
    """Raise ConfigError where there is nothing to judge by."""
    if test.judging.kind == "none":
        raise ConfigError("judging.kind none leaves nothing to measure; leave it out of the run file")
    for contender in test.contenders:
        if not test.constitution.asked and not contender.judging.scores:
            raise ConfigError(f"constitution {test.constitution.name} has no principle with a compare question")


async def _one_critic(
    test: JudgeTest, contenders: Sequence[Contender], screen: Screen
) -> list[tuple[CriticReport, list[Judged]]]:
    """Ask one critic in all the ways it is to be asked, while its server is up."""
    config = contenders[0].critic
    own = {called: critic for one in contenders for called, critic in one.judging.own_critics.items()}
    found = []
    with ReplyStore(test.cache) as store:
        opened = open_clients(config, config, judges=own, logs=test.logs, say=screen.say)
        async with opened as clients:
            for contender in contenders:
                if len(test.contenders) > 1:
                    screen.say(f"{contender.judge} by {contender.name}")
                found.append(await measure_contender(test, contender, clients, store, screen))
        store.flush()
    return found


async def measure_contender(
    test: JudgeTest,
    contender: Contender,
    clients: Clients,
    store: ReplyStore,
    screen: Screen,
    correct: Callable[[float], float] | None = None,
) -> tuple[CriticReport, list[Judged]]:
    """Ask one critic, that is connected, about all items; return its figures and the items as they were judged.

    `correct` is a run's recalibration of log-odds, where it has one.
    """
    progress = Progress(unit="items")
    items, judging = test.gold.items, contender.judging
    critic = Model(clients.critic, store, progress.meter, contender.critic.chat_template_kwargs)
    judges = judges_through(clients, judging.panel, critic, store, progress.meter)
    started = time.monotonic()

    async def decide(comparison: Comparison) -> tuple[Matchup, list[StoredReply]]:
        return await judge_pair(judges, test.templates, comparison)

    def make(place: int) -> Comparison:
        return _comparison(test, contender, items[place], place)

    asked = await ask_all(decide, len(items), make, progress, screen)
    seconds = time.monotonic() - started - progress.meter.starting_s
    return _report(test, contender, judges, asked, _cost(asked, progress, seconds), correct)


def _comparison(test: JudgeTest, contender: Contender, item: GoldItem, place: int) -> Comparison:
    better, worse = given_response(BETTER, item.chosen), given_response(WORSE, item.rejected)
    # Which one is `a` is drawn: asked in one order only, `a` is shown first, and must not always be the better one.
    turned = derive_seed(0, item.subset or "", item.id, "which is a") % 2
    a, b = (worse, better) if turned else (better, worse)
    return Comparison(
        prompt=item.prompt,
        a=a,
        b=b,
        purpose="design",
        principles=_principles(test, contender.judging, item),
        both_orders=contender.judging.orders == "both",
        priority=place,
    )


def _principles(test: JudgeTest, judging: JudgingConfig, item: GoldItem) -> Sequence[Principle]:
    """Return the principles put to the critic for one item, drawn by its id where not all are."""
    principles = test.constitution.asked
    if item.principle is not None:
        return [principle for principle in principles if principle.id == item.principle]
    return judging.drawn(principles, derive_seed(0, item.subset or "", item.id, "judging"))


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
    test: JudgeTest,
    contender: Contender,
    judges: Sequence[Judge],
    asked: Sequence[Asked],
    cost: Cost,
    correct: Callable[[float], float] | None,
) -> tuple[CriticReport, list[Judged]]:
    """Conclude every item with the position bias measured over all of them, and measure."""
    judging = contender.judging
    by_prompt: dict[str, list[Matchup]] = {}
    for item, one in zip(test.gold.items, asked, strict=True):
        by_prompt.setdefault(item.conversation, []).extend([one.matchup] if one.matchup is not None else [])
    bias = PositionBias.measure_prompts(by_prompt.values(), judging.min_label_mass)
    judged = [
        conclude(item, one, test.constitution, judging, bias, correct)
        for item, one in zip(test.gold.items, asked, strict=True)
    ]
    read = [(one.logit, one.item.conversation) for one in judged if one.logit is not None]
    recalibration = recalibrate([logit for logit, _ in read], [prompt for _, prompt in read])
    overall = measure(judged)
    report = CriticReport(
        critic=contender.name,
        judge=contender.judge,
        judging=judging,
        served=", ".join(dict.fromkeys(judge.critic.name for judge in judges)),
        identities={judge.config.called: judge.critic.client.identity for judge in judges},
        fitness=fitness(overall, judged, judging, recalibration),
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


def _evaluation(test: JudgeTest, reports: Sequence[CriticReport], judged: Mapping[str, Sequence[Judged]]) -> Evaluation:
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
        overlaps=overlaps(judged),
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
