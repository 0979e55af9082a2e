"""`rlaif evaluate ...` on the command line. Everything heavy is imported inside."""

from pathlib import Path
from typing import Annotated

import typer

from rlaif.cli_constitution import Json

evaluate_app = typer.Typer(help="Measure a judge, verdicts collected elsewhere, or what training made of a policy.")


@evaluate_app.command("verdicts")
def evaluate_verdicts(
    file: Annotated[Path, typer.Argument(help="JSONL, JSON or CSV (each also .gz), or Parquet.")],
    by: Annotated[list[str] | None, typer.Option(help="Group by this column, too; may be given again.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="FIELD=NAME, such as winner_original=first_pass.")] = None,
    names: Annotated[
        str, typer.Option(help="What a winner of 1 means: `answer` 1, or the first `position`.")
    ] = "answer",
    out: Annotated[Path | None, typer.Option(help="A .csv, .parquet or .json file to write.")] = None,
    json_: Json = False,
) -> None:
    """Measure verdicts that somebody else collected: order agreement, accuracy, first-position share, abstentions.

    One row per item: label (1 or 2), winner_original (answer 1 shown first) and winner_swapped (answer 2 shown
    first), each 1, 2, tie or null; where there are, p_original and p_swapped (probability that answer 1 is better),
    judge, strategy, subset and idx. Ties and unreadable verdicts are counted apart. Nothing is asked of any model.

    \b
    Examples:
      rlaif evaluate verdicts verdicts.jsonl.gz
      rlaif evaluate verdicts verdicts.jsonl --by subset --out figures.csv
      rlaif evaluate verdicts mine.csv --column winner_original=ab --column winner_swapped=ba --names position --json
    """
    from rlaif.screen.evaluate import columns_of, verdicts_job  # noqa: PLC0415

    verdicts_job(file, columns_of(column), by or [], names, out, as_json=json_)


@evaluate_app.command("judge")
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
    from rlaif.screen.evaluatejudge import Asked, judge_job  # noqa: PLC0415

    asked = Asked(
        critic or [], judge or [], constitution, gold, column, run, principles, orders, recalibrate, limit, cache, out
    )
    judge_job(asked, as_json=json_)
