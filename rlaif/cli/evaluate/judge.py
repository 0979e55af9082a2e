"""`rlaif evaluate judge`: measure critics against gold labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

import typer
from pydantic import ValidationError

from rlaif.cli.console import run_stoppable, stdout_console
from rlaif.cli.evaluate.judge_tables import print_evaluation
from rlaif.cli.live import LiveScreen
from rlaif.cli.options import (
    DEFAULT_CACHE,
    Constitution,
    Json,
    SetValues,
    columns_of,
    connection_of,
    count_given,
    short_job,
)
from rlaif.cli.run_settings import run_settings
from rlaif.config.judging import JudgingConfig
from rlaif.config.run import RunConfig
from rlaif.constitution.load import load_constitution
from rlaif.errors import ConfigError, UsageError
from rlaif.evaluate.comparisons import raise_if_many_failed
from rlaif.evaluate.gold import FIELDS, read_gold
from rlaif.evaluate.judge_evaluation import Contender, JudgeTest, check_usable, evaluate_judges
from rlaif.evaluate.judge_files import (
    FILES,
    RECALIBRATION,
    fitted_on,
    recalibrator_of,
    save_recalibrator,
    write_judge_evaluation,
)
from rlaif.evaluate.output_files import EVALUATION, check_evaluation_folder
from rlaif.judges import KINDS, JudgeConfig, judge_config
from rlaif.models.config import ModelConfig
from rlaif.preferences.recalibration import FEWEST_ITEMS, Kind


def evaluate_judge(  # noqa: PLR0913, PLR0917  (a command line's flags)
    gold: Annotated[Path, typer.Option(help="Gold labels: JSONL, JSON or CSV (each also .gz), or Parquet.")],
    critic: Annotated[
        list[str] | None, typer.Option(help="MODEL, URL or MODEL@URL; give several to compare them.")
    ] = None,
    judge: Annotated[
        list[str] | None, typer.Option(help=f"Kind of judge; give several to compare them: {', '.join(KINDS)}.")
    ] = None,
    constitution: Constitution = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", "--config", help="Run file for judging, templates, and whatever no flag sets."),
    ] = None,
    principles: Annotated[str | None, typer.Option(help="`all`, or the number drawn per item.")] = None,
    orders: Annotated[str | None, typer.Option(help="`both`, or `one` to measure what one order alone gives.")] = None,
    recalibrate: Annotated[
        str | None, typer.Option(help="temperature or isotonic: fit a recalibration for runs (see above).")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Use only the first LIMIT rows.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="FIELD=NAME, such as chosen=preferred.")] = None,
    shape: Annotated[
        str | None, typer.Option(help="Layout of the rows (rlaif label --help); recognised by the columns by default.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Reply store; runs/replies.sqlite by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for evaluation.json, verdicts.parquet and the plot.")] = None,
    set_values: SetValues = None,
    json_: Json = False,
) -> None:
    """Measure a critic against gold labels, every pair in both orders, and report whether it is fit to judge.

    A row has prompt (or messages), chosen and rejected, or input, output_1, output_2 and label (1 or 2), or another
    layout of `rlaif label --help`; subset and id are optional. Replies are kept in the reply store: the same command
    continues where it was stopped and asks nothing again. The exit code does not depend on the verdicts. What the
    metrics mean: docs/judging.md.

    Which kind of judge suits which task: docs/judging.md. --recalibrate writes recalibration.json into --out; a run
    applies it with judging: {recalibration: FILE} and keeps the raw p, too.

    \b
    Examples:
      rlaif evaluate judge --critic smollm2 --constitution minimal --gold gold.jsonl
      rlaif evaluate judge --critic Qwen/Qwen3-8B --critic http://127.0.0.1:8000/v1 --constitution honesty \\
                           --gold gold.jsonl --principles 4 --out runs/judges
      rlaif evaluate judge --critic smollm2 --constitution minimal --gold gold.jsonl \\
                           --judge pairwise-logprob --judge rating --judge pairwise-reasoned
      rlaif evaluate judge --run judges.yaml --gold llmbar/natural.json --json
    """
    if set_values and run is None:
        raise UsageError("--set changes a run file; give one with --run")
    settings = run_settings(run, {}, dry_run=False, set_values=set_values) if run is not None else None
    name = constitution or (settings.constitution if settings else None)
    critics = [(text, connection_of(text)) for text in dict.fromkeys(critic or [])]
    if not critics and settings is not None:
        critics = [(settings.critic.model or ",".join(settings.critic.url), settings.critic)]
    missing = [flag for flag, given in (("--critic", critics), ("--constitution", name)) if not given]
    if missing or name is None:
        raise UsageError(f"{', '.join(missing)} missing; give the flag, or a run file that sets it with --run")
    store = cache or (Path(settings.cache) if settings and settings.cache else DEFAULT_CACHE)
    judging = _judging(settings, orders, principles)
    labels = read_gold(gold, columns_of(column, FIELDS), limit, shape)
    if critic and len(labels.items) <= FEW_ITEMS:
        critics = [(text, short_job(config)) for text, config in critics]
    contenders = contenders_of(critics, judging, judge or [])
    all_judges = {one.called: one for contender in contenders for one in contender.judging.panel}
    with_all_judges = judging.model_copy(update={"kind": "pairwise-logprob", "judges": tuple(all_judges.values())})
    test = JudgeTest(
        gold=labels,
        constitution=load_constitution(name),
        contenders=contenders,
        judging=judging,
        templates=with_all_judges.load_templates(settings.templates if settings else None),
        cache=store,
        logs=store.parent / "logs",
    )
    judge_job(test, recalibrate, out, as_json=json_)


FEW_ITEMS = 100
"""Up to this many items are judged without compiling a smollm2 server on a CPU, which would take longer."""


def judge_job(test: JudgeTest, recalibrate: str | None, out: Path | None, *, as_json: bool) -> None:
    """Measure critics against gold labels, print the report, and write it where `out` is given."""
    check_usable(test)
    check_evaluation_folder(out, "critics", FILES)
    kind = _recalibration(recalibrate, out, test)
    with LiveScreen(quiet=as_json) as screen:
        evaluation, judged = run_stoppable(lambda: evaluate_judges(test, screen), say=screen.say)
    if out is not None:
        write_judge_evaluation(out, evaluation, judged)
    if as_json:
        print(evaluation.model_dump_json())
    else:
        print_evaluation(evaluation, stdout_console())
        if out is not None:
            print(f"figures  {out / EVALUATION}, verdicts.parquet, reliability.svg, reliability.png")
    if kind is not None and out is not None:
        (report,) = evaluation.critics
        fitted = recalibrator_of(kind, judged[report.title], fitted_on(test, test.contenders[0], report))
        save_recalibrator(out / RECALIBRATION, fitted)
        if not as_json:
            print(f"recalibration  {out / RECALIBRATION}   (in a run file: judging: {{recalibration: …}})")
    for report in evaluation.critics:
        raise_if_many_failed(report.overall.outcomes.get("failed", 0), len(test.gold.items), report.error)


def _recalibration(kind: str | None, out: Path | None, test: JudgeTest) -> Kind | None:
    if kind is None:
        return None
    if kind not in FEWEST_ITEMS:
        raise UsageError(f"--recalibrate {kind}: must be one of {', '.join(FEWEST_ITEMS)}")
    if out is None:
        raise UsageError("--recalibrate writes recalibration.json into the folder of --out; give --out")
    test.contenders[0].judging.refuse_confounded_length()
    if len(test.contenders) > 1:
        raise UsageError("--recalibrate fits one critic and one kind of judge; choose them with --critic and --judge")
    if (items := len(test.gold.items)) < (fewest := FEWEST_ITEMS[kind]):
        raise UsageError(f"--recalibrate {kind} needs {fewest} gold labels; {test.gold.file} has {items}")
    return cast(Kind, kind)


def contenders_of(
    critics: Sequence[tuple[str, ModelConfig]], judging: JudgingConfig, kinds: Sequence[str]
) -> list[Contender]:
    """Return every critic with every judge, and with the whole panel where the run file has several judges.

    `kinds` are kinds of judges, or names of the run file's judges. Raises UsageError for other names.
    """
    single = judging.model_copy(update={"kind": "pairwise-logprob", "labels": ("A", "B")})
    settings = [(judge.called, single.model_copy(update={"judges": (judge,)})) for judge in _judges(judging, kinds)]
    if not kinds and len(judging.judges) > 1:
        settings.append(("panel", judging))
    return [Contender(name, judge, critic, how) for name, critic in critics for judge, how in settings]


def _judges(judging: JudgingConfig, kinds: Sequence[str]) -> list[JudgeConfig]:
    own = {judge.called: judge for judge in judging.panel}
    found = []
    for kind in dict.fromkeys(kinds) or list(own):
        if kind not in own and kind not in KINDS:
            raise UsageError(f"--judge {kind}: must be one of {', '.join(dict.fromkeys([*own, *KINDS]))}")
        found.append(own[kind] if kind in own else judge_config(kind))
    return found


def _judging(run: RunConfig | None, orders: str | None, principles: str | None) -> JudgingConfig:
    if orders not in {None, "both", "one"}:
        raise UsageError(f"--orders {orders}: must be `both` or `one`")
    flags = {"orders": orders, "principles": count_given(principles)}
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return JudgingConfig.model_validate((run.judging if run else JudgingConfig()).model_dump() | given)
    except ValidationError:
        raise ConfigError(f"--principles {principles}: must be `all`, or a number of at least 1") from None
