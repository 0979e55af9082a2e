"""Measure critics on gold pairs under a constitution's principles, in both orders (`rlaif evaluate judge`).

The input is gold labels, a constitution and critics, the result a `JudgeEvaluation` and every judged item. Verdicts
become judgements as in a run, after measuring the position bias over all items. All principles that compare are asked;
their tags are ignored. Every reply is stored at once, so the same command continues where it was stopped.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlaif.config.judging import JudgingConfig
from rlaif.constitution.schema import Constitution, Principle
from rlaif.errors import ConfigError
from rlaif.evaluate.calibration import recalibrate, reliability
from rlaif.evaluate.comparisons import Compared, compare_all, comparison_of, given_response
from rlaif.evaluate.fitness import fitness
from rlaif.evaluate.gold import Gold, GoldItem
from rlaif.evaluate.judge_metrics import BETTER, WORSE, JudgedItem, judge_item, measure, tallies_by_prompt
from rlaif.evaluate.judge_report import Cost, CriticReport, JudgeEvaluation, baselines_of, overlaps
from rlaif.judges.base import Comparison, Judge
from rlaif.judges.panel import judge_pair, judges_through, refuse_long_labels
from rlaif.models.config import ModelConfig
from rlaif.models.model import Model, StoredReply, total_usage
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import Clients, open_clients
from rlaif.preferences.position import PositionBias
from rlaif.progress import Progress, Screen, Silent
from rlaif.records import Matchup
from rlaif.seeds import derive_seed
from rlaif.templates import Templates


@dataclass(frozen=True)
class Contender:
    """A critic and the settings it judges with."""

    name: str
    """The critic as given on the command line."""
    judge: str
    """The kind or name of the judge; `panel` for several judges together."""
    critic: ModelConfig
    judging: JudgingConfig
    """How it judges, including the number of principles drawn per item."""


@dataclass(frozen=True)
class JudgeTest:
    """The gold items, the principles and the critics of an evaluation."""

    gold: Gold
    constitution: Constitution
    contenders: Sequence[Contender]
    """All differ in `name` or `judge`."""
    judging: JudgingConfig
    """The run file's settings."""
    templates: Templates
    cache: Path
    logs: Path


async def evaluate_judges(
    test: JudgeTest, screen: Screen | None = None
) -> tuple[JudgeEvaluation, dict[str, list[JudgedItem]]]:
    """Ask every contender, one after the other; return the evaluation, and the judged items by the critic's title.

    Raises ConfigError when there is no principle to judge by, what `open_clients` raises, and RequestError when all
    requests fail; a single item that fails after all retries is counted.
    """
    check_usable(test)
    reports, judged = [], {}
    for critic in dict.fromkeys(contender.name for contender in test.contenders):
        contenders = [one for one in test.contenders if one.name == critic]
        for report, items in await _one_critic(test, contenders, screen or Silent()):
            reports.append(report)
            judged[report.title] = items
    gold, constitution = test.gold, test.constitution
    return JudgeEvaluation(
        gold=gold.file,
        gold_hash=gold.hash,
        items=len(gold.items),
        prompts=len({item.conversation for item in gold.items}),
        subsets=_subsets(gold),
        constitution=constitution.name,
        constitution_version=constitution.version,
        constitution_hash=constitution.hash,
        judging=test.judging,
        baselines=baselines_of(gold),
        critics=tuple(reports),
        overlaps=overlaps(judged),
    ), judged


def check_usable(test: JudgeTest) -> None:
    """Raise ConfigError where the settings or the constitution have nothing to judge by."""
    if test.judging.kind == "none":
        raise ConfigError("judging.kind none has no judge to measure; leave it out of the run file")
    for contender in test.contenders:
        if not test.constitution.asked and not contender.judging.scores:
            raise ConfigError(f"constitution {test.constitution.name} has no principle with a compare question")


async def _one_critic(
    test: JudgeTest, contenders: Sequence[Contender], screen: Screen
) -> list[tuple[CriticReport, list[JudgedItem]]]:
    """Return report and judged items of all contenders of one critic, while its server runs."""
    config = contenders[0].critic
    own = {called: critic for one in contenders for called, critic in one.judging.own_critics.items()}
    found = []
    with ReplyStore(test.cache) as store:
        async with open_clients(config, config, judges=own, logs=test.logs, say=screen.say) as clients:
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
) -> tuple[CriticReport, list[JudgedItem]]:
    """Ask one connected critic about all items; return its report and the judged items.

    `correct` recalibrates log-odds, where the run has a recalibration.
    """
    progress = Progress(unit="items")
    critic = Model(clients.critic, store, progress.meter, contender.critic.chat_template_kwargs)
    judges = judges_through(clients, contender.judging.panel, critic, store, progress.meter)
    await refuse_long_labels(judges)
    started = time.monotonic()

    async def compare(comparison: Comparison) -> tuple[Matchup, list[StoredReply]]:
        return await judge_pair(judges, test.templates, comparison)

    comparisons = [_comparison(test, contender, item, place) for place, item in enumerate(test.gold.items)]
    compared = await compare_all(compare, comparisons, progress, screen)
    seconds = time.monotonic() - started - progress.meter.starting_s
    return _report(test, contender, judges, compared, _cost(compared, progress, seconds), correct)


def _comparison(test: JudgeTest, contender: Contender, item: GoldItem, place: int) -> Comparison:
    responses = given_response(BETTER, item.chosen), given_response(WORSE, item.rejected)
    principles = _principles(test, contender.judging, item)
    return comparison_of(item.prompt, responses, principles, contender.judging, (item.subset or "", item.id), place)


def _principles(test: JudgeTest, judging: JudgingConfig, item: GoldItem) -> Sequence[Principle]:
    """Return the principles that the critic is asked about for one item; if drawn, the item's id is the seed."""
    principles = test.constitution.asked
    if item.principle is not None:
        return [principle for principle in principles if principle.id == item.principle]
    return judging.drawn(principles, derive_seed(0, item.subset or "", item.id, "judging"))


def _cost(compared: Sequence[Compared], progress: Progress, seconds: float) -> Cost:
    meter = progress.meter
    usage = total_usage([reply for one in compared for reply in one.replies])
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
    compared: Sequence[Compared],
    cost: Cost,
    correct: Callable[[float], float] | None,
) -> tuple[CriticReport, list[JudgedItem]]:
    """Judge every item with the position bias measured over all of them; return the metrics and the judged items."""
    judging, pairs = contender.judging, list(zip(test.gold.items, compared, strict=True))
    by_prompt: dict[str, list[Matchup]] = {}
    for item, one in pairs:
        by_prompt.setdefault(item.conversation, []).extend([one.matchup] if one.matchup is not None else [])
    bias = PositionBias.measure_prompts(by_prompt.values(), judging.min_label_mass)
    judged = [judge_item(item, one, test.constitution, judging, bias, correct) for item, one in pairs]
    read = [(one.logit, one.item.conversation) for one in judged if one.logit is not None]
    recalibration = recalibrate([logit for logit, _ in read], [prompt for _, prompt in read])
    overall = measure(judged)
    return CriticReport(
        critic=contender.name,
        judge=contender.judge,
        judging=judging,
        served=", ".join(dict.fromkeys(judge.critic.name for judge in judges)),
        identities={judge.config.called: judge.critic.client.identity for judge in judges},
        fitness=fitness(overall, judged, judging, recalibration),
        overall=overall,
        subsets={name: measure([one for one in judged if one.item.subset == name]) for name in _subsets(test.gold)},
        reliability=reliability(tallies_by_prompt(judged)),
        recalibration=recalibration,
        position_bias=bias,
        cost=cost,
        error=next((one.error for one in compared if one.error), None),
    ), judged


def _subsets(gold: Gold) -> dict[str, int]:
    return dict(Counter(item.subset for item in gold.items if item.subset is not None))
