"""`rlaif evaluate ...` on the command line. Everything heavy is imported inside."""

from pathlib import Path
from typing import Annotated

import typer

from rlaif.cli_constitution import Json

evaluate_app = typer.Typer(help="Measure a judge: against gold labels, or from verdicts collected elsewhere.")


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
