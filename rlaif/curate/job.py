"""Make a curated dataset from a source: decide, write, and return the recipe."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import NamedTuple

from rlaif.curate.curating import Decisions, decide
from rlaif.curate.recipe import Input, Recipe, Settings
from rlaif.curate.source import Source, input_of, opened
from rlaif.curate.writing import check_folder, kept_by_split, revisions, write_curated
from rlaif.errors import UsageError
from rlaif.version import __version__

LIBRARIES = ("datasketch", "numpy", "scikit-learn", "pyarrow")
"""Libraries whose versions may change which rows are chosen."""


class Curated(NamedTuple):
    """The recipe of a curated dataset, and its rows by `table/split`; None where nothing was written."""

    recipe: Recipe
    rows: dict[str, int] | None


def curate(source: str, settings: Settings, out: Path | None, say: Callable[[str], None] = lambda _: None) -> Curated:
    """Curate a run, an exported dataset, a file or a hub dataset into a folder; with `out` None nothing is written.

    Raises UsageError where nothing is asked or no row is left, PromptsError for rows that cannot be read.
    """
    check_settings(settings)
    with opened(source) as found:
        if out is not None:
            check_folder(out, found)
        decisions = decide(found, settings, say)
        recipe = _recipe(found, settings, decisions)
        if not recipe.kept and out is not None:
            reasons = ", ".join(f"{reason} {count}" for reason, count in recipe.dropped.items())
            raise UsageError(f"{source}: no pair is left of {recipe.rows}: {reasons}; ask for less")
        return Curated(recipe, None if out is None else write_curated(out, found, decisions, recipe))


def check_settings(settings: Settings) -> None:
    """Raise UsageError for settings that ask for nothing, or that contradict each other."""
    if settings.diverse and settings.keep_best is None:
        raise UsageError("--diverse chooses K rows; give their number with --keep-best K")
    asked = (settings.near_duplicates, settings.against, settings.drop, settings.min_p, settings.keep_best)
    if all(one is None or one == () for one in asked):
        raise UsageError("nothing to do; give --near-duplicates, --against, --drop, --min-p or --keep-best")
    if (settings.against_columns or settings.against_responses) and not settings.against:
        raise UsageError("--against-column and --against-responses need a test set; give it with --against")


def _recipe(source: Source, settings: Settings, found: Decisions) -> Recipe:
    counts = found.counts()
    of_sft = revisions(source, found)
    named = settings.model_copy(
        update={"against": tuple(PurePath(name).name if Path(name).is_file() else name for name in settings.against)}
    )
    return Recipe(
        settings=named,
        source=source.name,
        inputs=tuple(_inputs(source, found)),
        test_sets=found.test_sets,
        versions={"rlaif": __version__} | {name: version(name) for name in LIBRARIES},
        rows=len(found.names),
        kept=len(found.names) - sum(counts.values()),
        dropped=counts,
        by_split=kept_by_split(found),
        revisions=of_sft[0] if of_sft else None,
        revisions_kept=of_sft[1] if of_sft else None,
        warnings=tuple(_warnings(found)),
    )


def _inputs(source: Source, found: Decisions) -> list[Input]:
    rows = [name.row.partition(":")[0] for name in found.names]
    return [
        input_of(file, f"{split} {file.name if isinstance(file, Path) else file}", split, rows.count(split))
        for split, file in source.files.items()
    ]


def _warnings(found: Decisions) -> list[str]:
    warnings = list(found.notes)
    lost, kept = found.certified[False], found.certified[True]
    if lost:
        warnings.append(
            f"the certificate does not hold for this selection, because {lost} of {lost + kept} certified pairs were "
            "dropped; the column `certified` is empty"
        )
    splits = kept_by_split(found)
    if "test" in {name.row.partition(":")[0] for name in found.names} and not splits.get("test"):
        warnings.append("no pair of the test split is left")
    return warnings
