"""Measure by intervention what surface features are worth to a run's judges (`rlaif evaluate shortcuts`).

Responses of a finished run are edited by programs, one feature at a time, and the judges are asked again as the run
asked them: its principles, templates, orders and thresholds. The unedited matchups are asked, too; their replies come
from the reply store. A regression on a run's own verdicts could not tell a bias from quality that goes with a feature.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rlaif.errors import RunDirectoryError, UsageError
from rlaif.evaluate.comparisons import Compared, compare_all
from rlaif.evaluate.shortcut_effects import Shift, effects_of, paired_change
from rlaif.evaluate.shortcut_plan import JudgedMatchup, PlannedEdit, plan_edits
from rlaif.judges import KINDS, PAIRWISE
from rlaif.judges.base import Comparison
from rlaif.judges.panel import judge_pair, judges_through
from rlaif.models.config import ModelConfig
from rlaif.models.model import Model, StoredReply
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import Clients, open_clients
from rlaif.preferences.shortcuts import ShortcutEffects
from rlaif.progress import Progress, Screen, Silent
from rlaif.records import Matchup, Response
from rlaif.runs.calibrate import judged_with
from rlaif.runs.reader import Run
from rlaif.text.shortcuts import SHORTCUTS, Shortcut
from rlaif.version import __version__


@dataclass(frozen=True)
class ShortcutTest:
    """What is to be asked."""

    run: Run
    edits: tuple[Shortcut, ...]
    planned: Sequence[PlannedEdit]

    @property
    def matchups(self) -> list[JudgedMatchup]:
        """The unedited matchups, each once."""
        return list({one.of.key: one.of for one in self.planned}.values())

    @property
    def prompts(self) -> int:
        """Number of prompts of which a response is edited."""
        return len({one.of.prompt.id for one in self.planned})

    @property
    def questions(self) -> int:
        """Number of requests about the edited responses: one for each verdict or score."""
        return sum(_questions(self.run, one.of) for one in self.planned)

    def unedited(self) -> tuple[int, int]:
        """Return (questions about the unedited matchups, those whose replies the reply store does not have)."""
        keys = {key for one in self.matchups for key in _reply_keys(one.matchup)}
        path = self.run.config.reply_store
        if not path.is_file():
            return len(keys), len(keys)
        with ReplyStore(path) as store:
            return len(keys), sum(store.get(key) is None for key in keys)


@dataclass(frozen=True)
class Measured:
    """The result, and the first error of a request if any failed."""

    effects: ShortcutEffects
    asked: int
    failed: int
    """Matchups, edited or not, whose requests failed."""
    error: str | None


def shortcut_test(run: Run, edits: Sequence[Shortcut] = SHORTCUTS, prompts: int = 100) -> ShortcutTest:
    """Return what is to be asked; reads all traces once. Raises UsageError where nothing can be measured."""
    if why := run.config.judging.no_shortcuts:
        raise UsageError(f"{run.path}: {why}")
    planned = plan_edits(run.traces(), edits, prompts, run.config.seed)
    if not planned:
        raise UsageError(
            f"{run.path} has no matchup with a judge's verdict of which a response could be edited; see rlaif show "
            f"{run.path}"
        )
    return ShortcutTest(run, tuple(edits), planned)


async def measure_shortcuts(
    test: ShortcutTest, critic: ModelConfig | None = None, screen: Screen | None = None
) -> Measured:
    """Ask the run's judges about the edited responses and return the effects.

    `critic` is how the run's critic is reached now; by default as in the run. Raises RunDirectoryError where it is
    another model, what `open_clients` raises, and RequestError when all requests fail.
    """
    screen, config = screen or Silent(), test.run.config
    critic, own = critic or config.critic, config.judging.own_critics
    with ReplyStore(config.reply_store) as store:
        opened = open_clients(critic, critic, judges=own, logs=test.run.path / "logs", say=screen.say)
        async with opened as clients:
            _refuse_other_models(test.run, clients)
            found = await _ask(test, clients, critic, store, screen)
        store.flush()
    return _measured(test, found)


def _refuse_other_models(run: Run, clients: Clients) -> None:
    for judge, was in run.judge_identities.items():
        now = clients.judges.get(judge, clients.critic).identity
        if now != was:
            raise RunDirectoryError(
                f"{run.path} was judged by {was} (judge {judge}), but this is {now}; an effect is valid for the critic "
                "that it is measured on: give the run's critic with --critic"
            )


async def _ask(
    test: ShortcutTest, clients: Clients, critic: ModelConfig, store: ReplyStore, screen: Screen
) -> list[Compared]:
    """Return the results of the unedited matchups, then of the edited ones."""
    config = test.run.config
    progress = Progress(unit="matchups")
    model = Model(clients.critic, store, progress.meter, critic.chat_template_kwargs)
    judges = judges_through(clients, config.judging.panel, model, store, progress.meter)
    templates = config.judging.load_templates(config.templates)

    async def compare(comparison: Comparison) -> tuple[Matchup, list[StoredReply]]:
        return await judge_pair(judges, templates, comparison)

    pairs = [(one, (one.a, one.b)) for one in test.matchups] + [(one.of, one.responses) for one in test.planned]
    comparisons = [_comparison(test.run, of, both, place) for place, (of, both) in enumerate(pairs)]
    return await compare_all(compare, comparisons, progress, screen)


def _comparison(run: Run, judged: JudgedMatchup, responses: tuple[Response, Response], place: int) -> Comparison:
    """Return the question of the run about two responses; checks are left out, because programs have no bias."""
    by_id = {principle.id: principle for principle in run.constitution.asked}
    return Comparison(
        prompt=judged.prompt,
        a=responses[0],
        b=responses[1],
        purpose=judged.matchup.purpose,
        principles=[by_id[name] for name in judged.judged_by],
        both_orders=run.config.judging.orders == "both",
        priority=place,
        run_seed=run.config.seed,
    )


def _measured(test: ShortcutTest, found: Sequence[Compared]) -> Measured:
    run, matchups = test.run, test.matchups
    before = {one.key: result.matchup for one, result in zip(matchups, found, strict=False)}
    rules = run.constitution
    rule = run.config.judging.rule(rules.weights, rules.priorities)
    edited = found[len(matchups) :]
    answered = [
        (planned, was, now.matchup)
        for planned, now in zip(test.planned, edited, strict=True)
        if now.matchup is not None and (was := before[planned.of.key]) is not None
    ]
    shifts = []
    for planned, was, now in answered:
        if (change := paired_change(was, now, rule)) is not None:
            logit = change if planned.side == "a" else -change
            shifts.append(Shift(planned.of.prompt.id, planned.edit, logit, planned.changes(test.edits)))
    effects = ShortcutEffects(
        rlaif=__version__,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        run=str(run.path),
        prompts=test.prompts,
        matchups=len(test.planned),
        failed=len(edited) - len(answered),
        unreadable=len(answered) - len(shifts),
        effects=effects_of(shifts, test.edits),
        measured_on=judged_with(run, uncorrected=True),
    )
    failed = sum(result.matchup is None for result in found)
    return Measured(effects, len(found), failed, next((one.error for one in found if one.error), None))


def _questions(run: Run, judged: JudgedMatchup) -> int:
    """Return the number of requests about a matchup of which one response is new."""
    judging = run.config.judging
    orders = 2 if judging.orders == "both" else 1
    pairwise = sum(judge.kind in PAIRWISE for judge in judging.panel) * orders * len(judged.judged_by)
    scores = sum(not KINDS[judge.kind].has_order for judge in judging.panel)
    aspects = len({(score.judge, score.principle) for score in judged.matchup.scores})
    return pairwise + (aspects if scores else 0)


def _reply_keys(matchup: Matchup) -> set[str]:
    verdicts = {verdict.reply for verdict in matchup.verdicts}
    return verdicts | {score.reply for scored in matchup.scores for score in (scored.a, scored.b) if score is not None}
