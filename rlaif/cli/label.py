"""`rlaif label`: judge responses that exist already, and compare the labels that they come with."""

from pathlib import Path
from typing import Annotated

import typer

from rlaif.cli.generate import dry_run_job, generate_job
from rlaif.cli.options import AllowPython, Constitution, Json, SetValues, count_given, label_columns
from rlaif.cli.run_settings import one_source, run_settings
from rlaif.errors import UsageError

RUN_FILES = {".yaml", ".yml"}


def label(  # noqa: PLR0913, PLR0917  (a command line's flags)
    source: Annotated[
        str, typer.Argument(help="JSONL, JSON, CSV, Parquet or hub dataset id; or a run file or run directory.")
    ],
    constitution: Constitution = None,
    critic: Annotated[str | None, typer.Option(help="MODEL to start here, URL of a server, or MODEL@URL.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run directory.")] = None,
    shape: Annotated[str | None, typer.Option(help="Layout of the rows; recognised by the columns by default.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="FIELD=NAME, such as responses=answers.")] = None,
    split: Annotated[str | None, typer.Option(help="Split of a hub dataset; `train` by default.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Label only the first LIMIT usable rows.")] = None,
    rounds: Annotated[
        int | None,
        typer.Option(help="Rounds of critique and revision, whose results are candidates, too; 0 by default."),
    ] = None,
    judge: Annotated[list[str] | None, typer.Option(help="Kind of judge; give several for a panel.")] = None,
    judging_principles: Annotated[str | None, typer.Option(help="`all`, or the number drawn per prompt.")] = None,
    select: Annotated[str | None, typer.Option(help="best-vs-worst, best-vs-random or revision-vs-parent.")] = None,
    min_margin: Annotated[float | None, typer.Option(help="Smallest |p - 0.5| that gives a label.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Reply store; `replies.sqlite` beside the run by default.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try it with a simulated model on 8 rows; keep nothing.")
    ] = False,
    config_file: Annotated[Path | None, typer.Option("--config", help="Run file for all that no flag sets.")] = None,
    set_values: SetValues = None,
    allow_python: AllowPython = None,
    json_: Json = False,
) -> None:
    """Judge responses that exist already, as a run does: both orders, abstentions, pairs with probabilities, a dataset.

    Nothing is sampled. Shapes of rows (names of columns):

    \b
      responses      prompt or messages, responses: texts, messages, or objects with text, model and score
      pairs          prompt or messages, chosen, rejected: texts or messages (also with score_chosen, score_rejected)
      outputs        input, output_1, output_2, and perhaps label: 1, 2 or tie
      hh             chosen, rejected: texts such as "Human: … Assistant: …" (HH-RLHF)
      rewardbench    prompt, chosen, rejected: lists of texts (RewardBench 2)
      ultrafeedback  instruction, completions with response, model and overall_score
      judgebench     question, response_A, response_B, and perhaps label: A>B or B>A

    Where rows have labels: how often the critic agrees with them, and which are likely wrong. Rows that cannot be used
    are counted by reason; RUN/refused.jsonl has their lines. The result is a run directory like those of
    `rlaif generate`.

    \b
    Examples:
      rlaif label answers.jsonl --constitution honesty --critic Qwen/Qwen3-8B --out runs/labelled
      rlaif label train.parquet --constitution harmlessness --critic http://127.0.0.1:8000/v1 --out runs/hh
      rlaif label answers.jsonl --config label.yaml --set judging.min_margin=0.2
      rlaif label runs/labelled                      # continues where it was stopped
      rlaif label answers.jsonl --constitution honesty --critic Qwen/Qwen3-8B --out runs/revised --rounds 1
    """
    is_run = Path(source).is_dir() or Path(source).suffix in RUN_FILES
    path = one_source(Path(source) if is_run else None, config_file)
    flags = {
        ("responses", "path"): None if is_run else source,
        ("responses", "shape"): shape,
        ("responses", "columns"): label_columns(column),
        ("responses", "split"): split,
        ("responses", "limit"): limit,
        ("constitution",): constitution,
        ("critic",): critic,
        ("out",): str(out) if out else None,
        ("revision", "rounds"): rounds,
        ("judging", "judges"): judge or None,
        ("judging", "principles"): count_given(judging_principles),
        ("judging", "min_margin"): min_margin,
        ("pairs", "select"): select,
        ("seed",): seed,
        ("cache",): str(cache) if cache else None,
    }
    settings = {place: value for place, value in flags.items() if value is not None}
    config = run_settings(path, settings, dry_run=dry_run, set_values=set_values, command="label")
    if config.responses is None:
        raise UsageError(f"{source} has `prompts`, whose responses are sampled; use rlaif generate {source}")
    (dry_run_job if dry_run else generate_job)(config, as_json=json_)
