"""`rlaif evaluate judge`: figures of one or several critics side by side, and whether each is fit to judge."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

from pydantic import ValidationError
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rlaif.composition import load_constitution
from rlaif.config import JudgeConfig, JudgingConfig, ModelConfig, RunConfig
from rlaif.errors import ConfigError, UsageError
from rlaif.evaluate.asking import end_where_many_failed
from rlaif.evaluate.figures import JudgeFigures
from rlaif.evaluate.gold import FIELDS, read_gold
from rlaif.evaluate.judge import Contender, CriticReport, Evaluation, JudgeTest, check_usable, evaluate_judges
from rlaif.evaluate.outcomes import Judged
from rlaif.evaluate.overlap import Overlap
from rlaif.evaluate.recalibrating import fitted_on, recalibrator_of, save_recalibrator
from rlaif.evaluate.tables import EVALUATION, refuse_a_strangers_folder, write_file, write_rows
from rlaif.evaluate.verdicttable import verdict_rows
from rlaif.intervals import Figure
from rlaif.judgeconfig import KINDS
from rlaif.preferences.recalibration import FEWEST_ITEMS, Kind
from rlaif.screen import plain, stdout_console
from rlaif.screen.cases import DEFAULT_CACHE, connection_of, interval, short_job
from rlaif.screen.evaluate import columns_of
from rlaif.screen.jobs import run_stoppable
from rlaif.screen.live import LiveScreen
from rlaif.templates import Templates, template_names

FEW_ITEMS = 100
"""So many are answered before a server of smollm2 is compiled on a CPU."""

STYLES = {"fit": "green", "fit with these settings": "yellow", "not fit": "bold yellow"}


FILES = ("verdicts.parquet", "reliability.svg", "reliability.png", "recalibration.json")
"""Written into the folder beside the figures."""


class Asked(NamedTuple):
    """What the command line says, as it was typed."""

    critics: list[str]
    judges: list[str]
    constitution: str | None
    gold: Path
    columns: list[str] | None
    run: Path | None
    principles: str | None
    orders: str | None
    recalibrate: str | None
    limit: int | None
    cache: Path | None
    out: Path | None


def judge_job(asked: Asked, *, as_json: bool) -> None:
    """Measure critics against gold labels, print the figures, write them where asked."""
    test = _test(asked)
    check_usable(test)
    refuse_a_strangers_folder(asked.out, "critics", FILES)
    kind = _recalibration(asked, test)
    with LiveScreen(quiet=as_json) as screen:
        evaluation, judged = run_stoppable(lambda: evaluate_judges(test, screen))
    if asked.out is not None:
        write_evaluation(asked.out, evaluation, judged)
    if as_json:
        print(evaluation.model_dump_json())
    else:
        print_evaluation(evaluation, stdout_console())
        if asked.out is not None:
            print(f"figures  {asked.out / EVALUATION}, verdicts.parquet, reliability.svg, reliability.png")
    if kind is not None and asked.out is not None:
        _write_recalibrator(asked.out, kind, test, evaluation, judged)
        if not as_json:
            print(f"recalibration  {asked.out}/recalibration.json   (in a run file: judging: {{recalibration: …}})")
    for critic in evaluation.critics:
        end_where_many_failed(critic.overall.outcomes.get("failed", 0), len(test.gold.items), critic.error)


def _recalibration(asked: Asked, test: JudgeTest) -> Kind | None:
    if asked.recalibrate is None:
        return None
    if asked.recalibrate not in FEWEST_ITEMS:
        raise UsageError(f"--recalibrate {asked.recalibrate}: must be one of {', '.join(FEWEST_ITEMS)}")
    if asked.out is None:
        raise UsageError("--recalibrate writes recalibration.json into the folder of --out; give one")
    if test.contenders[0].judging.length_effect == "run":
        raise UsageError("--recalibrate needs a number for judging.length_effect: `run` is known after a run only")
    if len(test.contenders) > 1:
        raise UsageError("--recalibrate is for one critic and one kind of judge; name them with --critic and --judge")
    if (items := len(test.gold.items)) < (fewest := FEWEST_ITEMS[asked.recalibrate]):
        raise UsageError(f"--recalibrate {asked.recalibrate} needs {fewest} gold labels; {test.gold.file} has {items}")
    return cast(Kind, asked.recalibrate)


def _write_recalibrator(
    folder: Path, kind: Kind, test: JudgeTest, evaluation: Evaluation, judged: dict[str, list[Judged]]
) -> None:
    (report,) = evaluation.critics
    source = fitted_on(test, test.contenders[0], report)
    fitted = recalibrator_of(kind, judged[report.title], source)
    save_recalibrator(folder / "recalibration.json", fitted)


def write_evaluation(folder: Path, evaluation: Evaluation, judged: dict[str, list[Judged]]) -> None:
    """Write figures, verdicts and the reliability plot. Raises StorageError."""
    from rlaif.evaluate.plot import reliability_plot  # noqa: PLC0415

    write_file(folder / EVALUATION, evaluation.model_dump_json(indent=1))
    write_rows(folder / "verdicts.parquet", list(verdict_rows(judged)))
    for ending in ("svg", "png"):
        write_file(folder / f"reliability.{ending}", reliability_plot(evaluation.critics, ending))


def _test(asked: Asked) -> JudgeTest:
    run = RunConfig.load(asked.run) if asked.run is not None else None
    name = asked.constitution or (run.constitution if run else None)
    critics = [(text, connection_of(text)) for text in dict.fromkeys(asked.critics)]
    if not critics and run is not None:
        critics = [(run.critic.model or ",".join(run.critic.url), run.critic)]
    missing = [flag for flag, given in (("--critic", critics), ("--constitution", name)) if not given]
    if missing or name is None:
        raise UsageError(f"{', '.join(missing)} missing; give it, or a run file that has it with --run")
    cache = asked.cache or (Path(run.cache) if run and run.cache else DEFAULT_CACHE)
    judging = _judging(run, asked)
    gold = read_gold(asked.gold, columns_of(asked.columns, FIELDS), asked.limit)
    if asked.critics and len(gold.items) <= FEW_ITEMS:
        critics = [(text, short_job(critic)) for text, critic in critics]
    contenders = contenders_of(critics, judging, asked.judges)
    names = dict.fromkeys(one for contender in contenders for one in template_names(contender.judging))
    return JudgeTest(
        gold=gold,
        constitution=load_constitution(name),
        contenders=contenders,
        judging=judging,
        templates=Templates(Path(run.templates) if run and run.templates else None, names=tuple(names)),
        cache=cache,
        logs=cache.parent / "logs",
    )


def contenders_of(
    critics: Sequence[tuple[str, ModelConfig]], judging: JudgingConfig, kinds: Sequence[str]
) -> list[Contender]:
    """Return every critic in every way it is to be asked: judges one by one, then together where the run has several.

    `kinds` are kinds of judges, or names of the run file's. Raises UsageError for one that is neither.
    """
    ways = [(judge.called, _alone(judging, judge)) for judge in _judges(judging, kinds)]
    if not kinds and len(judging.judges) > 1:
        ways.append(("panel", judging))
    return [Contender(name, called, critic, way) for name, critic in critics for called, way in ways]


def _judges(judging: JudgingConfig, kinds: Sequence[str]) -> list[JudgeConfig]:
    own = {judge.called: judge for judge in judging.panel}
    found = []
    for kind in dict.fromkeys(kinds) or list(own):
        if kind not in own and kind not in KINDS:
            raise UsageError(f"--judge {kind}: must be one of {', '.join(dict.fromkeys([*own, *KINDS]))}")
        found.append(own[kind] if kind in own else JudgeConfig.model_validate({"kind": kind}))
    return found


def _alone(judging: JudgingConfig, judge: JudgeConfig) -> JudgingConfig:
    """Return the run's settings with one judge."""
    return judging.model_copy(update={"kind": "pairwise-logprob", "labels": ("A", "B"), "judges": (judge,)})


def _judging(run: RunConfig | None, asked: Asked) -> JudgingConfig:
    settings = (run.judging if run else JudgingConfig()).model_dump()
    if asked.orders is not None:
        if asked.orders not in {"both", "one"}:
            raise UsageError(f"--orders {asked.orders}: must be `both` or `one`")
        settings["orders"] = asked.orders
    principles = asked.principles
    if principles is not None:
        settings["principles"] = int(principles) if principles.isdecimal() else principles
    try:
        return JudgingConfig.model_validate(settings)
    except ValidationError:
        raise ConfigError(f"--principles {principles}: must be `all`, or a number of at least 1") from None


def print_evaluation(found: Evaluation, console: Console) -> None:
    """Print figures, subsets, and what follows."""
    console.print(Text(f"{found.constitution} v{found.constitution_version}  {found.constitution_hash}", style="bold"))
    console.print(
        f"{found.gold}: {found.items} items, {found.prompts} prompts · 95 % intervals, over prompts", markup=False
    )
    console.print(_figures(found))
    if found.subsets:
        console.print(_subsets(found))
    for line in _below(found):
        console.print(line, markup=False)
    for critic in found.critics:
        for text in _verdict(critic, _column(found, critic) if len(found.critics) > 1 else ""):
            console.print(text)


def _figures(found: Evaluation) -> Table:
    table = Table("", box=SIMPLE_HEAD)
    for critic in found.critics:
        table.add_column(plain(_column(found, critic)))
    cells = [_cells(critic) for critic in found.critics]
    for name in cells[0]:
        table.add_row(name, *(column[name] for column in cells))
    return table


def _cells(critic: CriticReport) -> dict[str, str]:
    of, cost = critic.overall, critic.cost
    abstained = [f"{why} {count}" for why, count in of.outcomes.items() if why not in {"right", "wrong"}]
    return {
        "items with a label": interval(of.labelled),
        "without": ", ".join(abstained) or "–",
        "labels that are right": _of_how_many(of.accuracy_labels),
        "sign of the mean log-odds is right": _of_how_many(of.accuracy_sign),
        "single verdicts that are right": interval(of.accuracy_one_order),
        "orders agree, as they came": interval(of.order_agreement),
        "favours the answer shown first": interval(of.first),
        "position bias, logits": _decimals(of.position_bias, "+.2f"),
        "favours the longer answer": interval(of.longer),
        "length bias, logits for e times the length": _decimals(of.length_bias, "+.2f"),
        "the same, from choices": _decimals(of.length_choice, "+.2f"),
        "Brier score (0.25: always one half)": _decimals(of.brier, ".3f"),
        "expected calibration error": _decimals(of.calibration_error, ".3f"),
        "slope that would calibrate (1: honest)": _decimals(critic.recalibration.slope, ".2f"),
        "label mass": interval(of.label_mass),
        "verdicts (from the reply store)": f"{cost.verdicts:,} ({cost.from_store:,})",
        "prompt tokens a verdict (cached)": f"{cost.prompt_tokens:,.0f}"
        + ("" if cost.cached is None else f" ({cost.cached:.0%})"),
        "seconds a verdict": "–" if cost.seconds is None else f"{cost.seconds:.3f}",
    }


def _subsets(found: Evaluation) -> Table:
    table = Table("subset", "items", "critic", box=SIMPLE_HEAD)
    for column in ("labels", "right", "sign right", "orders agree", "position bias", "longer wins"):
        table.add_column(column, justify="right")
    for subset, count in found.subsets.items():
        for critic in found.critics:
            of: JudgeFigures = critic.subsets[subset]
            shares = [of.labelled, of.accuracy_labels, of.accuracy_sign, of.order_agreement]
            cells = [*map(interval, shares), _decimals(of.position_bias, "+.2f"), interval(of.longer_wins)]
            table.add_row(plain(subset), str(count), plain(_column(found, critic)), *cells)
    return table


def _column(found: Evaluation, critic: CriticReport) -> str:
    """Return what tells a column from the others: the critic, the kind of judge, or both."""
    critics = {one.critic for one in found.critics}
    kinds = {one.judge for one in found.critics}
    parts = [critic.critic] * (len(critics) > 1 or len(kinds) == 1) + [critic.judge] * (len(kinds) > 1)
    return " ".join(parts)


def _below(found: Evaluation) -> Sequence[str]:
    first = found.baselines.first_wins
    in_file = "" if first.value is None else f" ({interval(first)} in the file's own order)"
    return [
        f'baselines: "the longer answer wins" {interval(found.baselines.longer_wins)}; "the first wins" 50%, asked in '
        f"both orders{in_file}; a coin 50%",
        *map(_overlap, found.overlaps),
    ]


def _overlap(one: Overlap) -> str:
    agree = f"{one.one} and {one.other}: the same answer {interval(one.agree)}"
    if one.both_wrong.value is None or one.by_chance is None:
        return agree
    chance = f"both wrong {interval(one.both_wrong)}, {one.by_chance:.0%} if their errors were independent"
    phi = "" if one.correlation.value is None else f", correlation of errors {_decimals(one.correlation, '+.2f')}"
    return f"{agree}; {chance}{phi}"


def _verdict(critic: CriticReport, title: str) -> list[Text]:
    fitness = critic.fitness
    settings = ", ".join(f"{place}: {value}" for place, value in fitness.settings.items())
    head = f"{title}: " if title else ""
    lines = [
        Text(f"{head}{fitness.verdict}{f' ({settings})' if settings else ''}", style=STYLES[fitness.verdict]),
        *(Text(f"  because {reason}") for reason in fitness.reasons),
        *(Text(f"  ! {note}") for note in fitness.notes),
    ]
    if critic.error:
        lines.append(Text(f"  the first that failed: {critic.error}"))
    return lines


def _of_how_many(figure: Figure) -> str:
    return interval(figure) + (f" of {figure.n:g}" if figure.n else "")


def _decimals(figure: Figure, form: str) -> str:
    if figure.value is None:
        return "–"
    return f"{figure.value:{form}}{figure.ends(form)}"
