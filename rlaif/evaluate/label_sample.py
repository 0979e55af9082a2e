"""Draw pairs of a run for people to label.

The sample is a file with one row for each pair: `place` (1, 2, … in a random order), `id`, `min_p` (the least
`p_chosen` of the pairs that it was drawn from), `drawn_from` (a hash of these), `prompt`, `response_1`, `response_2`
and an empty `label`, which a person fills in with 1, 2 or `tie`. Nothing in it says which response the run chose. A
pair is identified by its texts.
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from rlaif.datasets.files import read_rows
from rlaif.errors import GoldError, UsageError
from rlaif.runs.certificate import score
from rlaif.runs.directory import write_text
from rlaif.runs.pair_ids import hash_of_pairs, id_of, plain
from rlaif.runs.rows import PreferenceRow
from rlaif.seeds import content_hash

COLUMNS = ("place", "id", "min_p", "drawn_from", "prompt", "response_1", "response_2", "label")
MARK_OF_GOLD = "votes"
"""Column by which the gold labels of a review are recognised: ties are missing, so no certificate can rest on them."""

SampleRow = dict[str, str | int | float]


def sample_rows(rows: Sequence[PreferenceRow], size: int, seed: int, min_p: float = 0.0) -> list[SampleRow]:
    """Return `size` pairs in a random order, each with its responses in a random order, as rows with the `COLUMNS`.

    They are drawn from the pairs with a `p_chosen` of at least `min_p`. A larger sample with the same seed begins with
    the smaller one. Raises UsageError where there are fewer pairs.
    """
    frame = pairs_above(rows, min_p)
    if size > len(frame):
        among = f" with a p_chosen of at least {min_p:g}" if min_p else ""
        raise UsageError(f"--sample {size}: the run has only {len(frame)} pairs{among}")
    drawn = random_order(frame, seed)[:size]
    drawn_from = hash_of_pairs(frame)
    return [_sample_row(place, row, min_p, drawn_from) for place, row in enumerate(drawn, start=1)]


def random_order(rows: Iterable[PreferenceRow], seed: int) -> list[PreferenceRow]:
    """Return pairs in a random order, in which the order of any two does not depend on which others there are."""
    return sorted(rows, key=lambda row: content_hash(str(seed), id_of(row)))


def pairs_above(rows: Sequence[PreferenceRow], min_p: float) -> list[PreferenceRow]:
    """Return the pairs with a `p_chosen` of at least `min_p`."""
    return [row for row in rows if score(row) >= min_p]


def _sample_row(place: int, row: PreferenceRow, min_p: float, drawn_from: str) -> SampleRow:
    responses = (row.chosen[0].content, row.rejected[0].content)
    first, second = responses if chosen_is_first(row) else responses[::-1]
    turns = [turn.readable if len(row.prompt) == 1 else f"{turn.role}: {turn.readable}" for turn in row.prompt]
    values = (place, id_of(row), min_p, drawn_from, "\n\n".join(turns), first, second, "")
    return dict(zip(COLUMNS, values, strict=True))


def chosen_is_first(row: PreferenceRow) -> bool:
    """Whether the chosen response stands first in a sample: random, but the same whichever of the two was chosen."""
    swapped = int(content_hash("order", id_of(row)), 16) % 2 == 1
    return (plain(row.chosen[0].content) <= plain(row.rejected[0].content)) != swapped


def fill_in(sample: Sequence[SampleRow], labelled: Path) -> tuple[list[SampleRow], int]:
    """Return the sample with the labels of a labelled sample filled in, and how many pairs it has labels of.

    A pair with labels of several people has a row for each. Raises GoldError for a file without such labels.
    """
    known: dict[str, list[str]] = defaultdict(list)
    for _, row in read_rows(labelled):
        if is_sample(row) and row["label"]:
            known[str(row["id"])].append(str(row["label"]))
    if not known:
        raise GoldError(f"{labelled}: has no labels in the layout of --sample")
    filled = [{**row, "label": label} for row in sample for label in known.get(str(row["id"]), [""])]
    return filled, sum(str(row["id"]) in known for row in sample)


def write_sample(path: Path, sample: Sequence[SampleRow]) -> None:
    """Write a sample as CSV or JSON lines, by the suffix. Raises UsageError for a file that exists; StorageError."""
    if path.exists():
        raise UsageError(f"--out {path}: exists already and may have labels in it; choose another file")
    if path.suffix.lower() == ".csv":
        text = io.StringIO("\ufeff")  # with a byte order mark, spreadsheets read UTF-8
        text.seek(1)
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sample)
        write_text(path, text.getvalue())
    elif path.suffix.lower() == ".jsonl":
        write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in sample))
    else:
        raise UsageError(f"--out {path}: must end in .csv or .jsonl")


def is_sample(row: object) -> bool:
    """Whether a row of a file is one of a sample."""
    return isinstance(row, dict) and {"place", "id", "label"} <= set(row)
