"""`rlaif evaluate judge`: critics against gold labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple, cast

import typer
from pydantic import ValidationError

from rlaif.cli.console import stdout_console
from rlaif.cli.evaluate.judge_tables import print_evaluation
from rlaif.cli.live import LiveScreen
from rlaif.cli.options import DEFAULT_CACHE, Json, columns_of, connection_of, short_job
from rlaif.cli.stopping import run_stoppable
from rlaif.config.judging import JudgingConfig
from rlaif.config.run import RunConfig
from rlaif.constitution.load import load_constitution
from rlaif.errors import ConfigError, UsageError
from rlaif.evaluate.asking import end_where_many_failed
from rlaif.evaluate.gold import FIELDS, read_gold
from rlaif.evaluate.judge import Contender, Evaluation, JudgeTest, check_usable, evaluate_judges
from rlaif.evaluate.outcomes import Judged
from rlaif.evaluate.recalibrating import fitted_on, recalibrator_of, save_recalibrator
from rlaif.evaluate.tables import EVALUATION, refuse_a_strangers_folder, write_file, write_rows
from rlaif.evaluate.verdicttable import verdict_rows
from rlaif.judges import KINDS, JudgeConfig, judge_config
from rlaif.models.config import ModelConfig
from rlaif.preferences.recalibration import FEWEST_ITEMS, Kind


def evaluate_judge(  # noqa: PLR0913, PLR0917  (a command line's flags)
    gold: Annotated[Path, typer.Option(help="JSONL, JSON or CSV (each also .gz), or Parquet, with gold labels.")],
    critic: Annotated[list[str] | None, typer.Option(help="MODEL, URL or MODEL@URL; several to compare.")] = None,
    judge: Annotated[list[str] | None, typer.Option(help="Kind of judge; several to compare. See above.")] = None,
    constitution: Annotated[str | None, typer.Option(help="Shipped name or YAML file.")] = None,
    run: Annotated[Path | None, typer.Option(help="Run file: judging, templates, and what is not given here.")] = None,
    principles: Annotated[str | None, typer.Option(help="`all`, or how many are drawn per item.")] = None,
    orders: Annotated[str | None, typer.Option(help="`both`, or `one` to see what one order alone would do.")] = None,
    recalibrate: Annotated[
        str | None, typer.Option(help="temperature or isotonic: fitted for runs, see above.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only the first so many rows.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="FIELD=NAME, such as chosen=preferred.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Reply store; runs/replies.sqlite by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for evaluation.json, verdicts.parquet, the plot.")] = None,
    json_: Json = False,
) -> None:
    """Measure a critic against gold labels, every pair in both orders, and say whether it is fit to judge.

    Rows hold prompt (or messages), chosen and rejected, or input, output_1, output_2 and label (1 or 2); subset and
    id where there are. Everything asked is kept in the reply store: started again, the command goes on, and the same
    measurement asks nothing twice. Exit code 0 whatever the critic answers. What the figures mean: docs/judging.md.

    Kinds of judges: pairwise-logprob (one token; the default), pairwise-reasoned (thinks first), rating (a number for
    each answer), listwise (puts answers in order), reward (a reward model that vLLM serves). --recalibrate writes
    recalibration.json into --out, which a run applies with judging: {recalibration: FILE}; raw p are kept.

    \b
    Examples:
      rlaif evaluate judge --critic smollm2 --constitution minimal --gold gold.jsonl
      rlaif evaluate judge --critic Qwen/Qwen3-8B --critic http://127.0.0.1:8000/v1 --constitution honesty \\
                           --gold gold.jsonl --principles 4 --out runs/judges
      rlaif evaluate judge --critic smollm2 --constitution minimal --gold gold.jsonl \\
                           --judge pairwise-logprob --judge rating --judge pairwise-reasoned
      rlaif evaluate judge --run judges.yaml --gold llmbar/natural.json --json
    """
    asked = Asked(
        critic or [], judge or [], constitution, gold, column, run, principles, orders, recalibrate, limit, cache, out
    )
    judge_job(asked, as_json=json_)


FEW_ITEMS = 100
"""So many are answered before a server of smollm2 is compiled on a CPU."""

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
    everybody = {judge.called: judge for contender in contenders for judge in contender.judging.panel}
    of_all = judging.model_copy(update={"kind": "pairwise-logprob", "judges": tuple(everybody.values())})
    return JudgeTest(
        gold=gold,
        constitution=load_constitution(name),
        contenders=contenders,
        judging=judging,
        templates=of_all.load_templates(run.templates if run else None),
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
        found.append(own[kind] if kind in own else judge_config(kind))
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
