"""`rlaif curate`: select rows of a preference dataset into a new one, with a recipe."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from rlaif.cli.console import visible
from rlaif.cli.options import Json
from rlaif.curate.detectors import DETECTORS
from rlaif.curate.job import Curated, curate
from rlaif.curate.recipe import UNITS, Settings
from rlaif.curate.writing import DROPPED, RECIPE
from rlaif.errors import UsageError


def curate_command(  # noqa: PLR0913, PLR0917  (a command line's flags)
    source: Annotated[str, typer.Argument(help="A run directory, an exported dataset, a file or a hub dataset id.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the new dataset.")] = None,
    near_duplicates: Annotated[
        float | None, typer.Option(min=0.3, max=1, help="Drop the worse of two rows that are at least this similar.")
    ] = None,
    near_by: Annotated[str, typer.Option(help="Texts that are compared: prompt, or pair.")] = "prompt",
    against: Annotated[list[str] | None, typer.Option(help="Test set: a file or hub dataset id; give several.")] = None,
    against_column: Annotated[
        list[str] | None, typer.Option(help="Column of the test sets to compare; the first known one by default.")
    ] = None,
    against_split: Annotated[str, typer.Option(help="Split of test sets on the hub.")] = "test",
    against_responses: Annotated[
        bool, typer.Option("--against-responses", help="Compare the responses with the test sets, too.")
    ] = False,
    ngram: Annotated[int, typer.Option(min=2, max=50, help="Words of an n-gram.")] = 13,
    overlap: Annotated[
        float, typer.Option(min=0.01, max=1, help="Share of shared n-grams from which a row is too near.")
    ] = 0.3,
    drop: Annotated[str | None, typer.Option(help=f"Detectors, separated by commas: {', '.join(DETECTORS)}.")] = None,
    min_p: Annotated[float | None, typer.Option(min=0, max=1, help="Drop rows with a smaller p_chosen.")] = None,
    keep_best: Annotated[
        int | None, typer.Option(min=1, help="Keep this many rows, those of the largest margin.")
    ] = None,
    diverse: Annotated[bool, typer.Option("--diverse", help="Choose them for margin and diversity.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of hashes and projections.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only; write nothing.")] = False,
    json_: Json = False,
) -> None:
    """Select rows of a preference dataset: a new dataset with its recipe; the source stays as it is.

    In this order, each only where asked for: --min-p, --drop, --against, --near-duplicates, --keep-best. A dropped row
    is in FOLDER/dropped.jsonl with its reason and match; FOLDER/curation.json is the recipe.

    \b
    Examples:
      rlaif curate runs/first --out data/first --near-duplicates 0.8 --drop refusal,hedging --min-p 0.6
      rlaif curate runs/first --out data/clean --against tests/gsm8k.jsonl --against org/benchmark --ngram 13
      rlaif curate data/clean --out data/small --keep-best 1000 --diverse
      rlaif curate data/clean --near-duplicates 0.7 --near-by pair --dry-run
      rlaif train dpo data/small --model Qwen/Qwen3-8B --out models/small
    """
    if near_by not in UNITS:
        raise UsageError(f"--near-by {near_by}: must be {' or '.join(UNITS)}")
    if out is None and not dry_run:
        raise UsageError("give --out, the folder of the new dataset (or --dry-run, to count only)")
    settings = Settings(
        near_duplicates=near_duplicates,
        near_by="pair" if near_by == "pair" else "prompt",
        against=tuple(against or ()),
        against_columns=tuple(against_column or ()),
        against_split=against_split,
        against_responses=against_responses,
        ngram=ngram,
        overlap=overlap,
        drop=tuple(filter(None, (name.strip() for name in (drop or "").split(",")))),
        min_p=min_p,
        keep_best=keep_best,
        diverse=diverse,
        seed=seed,
    )
    made = curate(source, settings, None if dry_run else out, _say if sys.stderr.isatty() else lambda _: None)
    if sys.stderr.isatty():
        _say("")
    if json_:
        print(made.recipe.model_dump_json())
    else:
        print("\n".join(lines_of(made, out)))


def lines_of(made: Curated, out: Path | None) -> list[str]:
    """Return what was kept and dropped, for people."""
    recipe = made.recipe
    lines = [
        f"kept     {recipe.kept:,} of {recipe.rows:,} pairs of {recipe.source}"
        f"   ({', '.join(f'{split} {count:,}' for split, count in recipe.by_split.items())})",
        *(f"dropped  {count:7,}  {reason}" for reason, count in recipe.dropped.items()),
    ]
    if recipe.revisions is not None:
        lines.append(
            f"kept     {recipe.revisions_kept:,} of {recipe.revisions:,} revisions: those of prompts with a kept pair"
        )
    lines += [f"! {visible(warning)}" for warning in recipe.warnings]
    if made.rows is None or out is None:
        return [*lines, "nothing was written (--dry-run)"]
    shown = ", ".join(f"{place} {count:,}" for place, count in made.rows.items())
    return [
        *lines,
        f"dataset  {out}   ({shown}; card in README.md)",
        f"recipe   {out / RECIPE}",
        f"dropped  {out / DROPPED}   (each with reason and match)",
        f"next     rlaif train dpo {out} --model MODEL --out models/curated",
    ]


def _say(text: str) -> None:
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
