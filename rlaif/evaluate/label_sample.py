"""Draw pairs of a run for people to label, and read their labels of a run's pairs.

The sample is a file with one row for each pair: `place` (1, 2, … in a random order), `id`, `prompt`, `response_1`,
`response_2` and an empty `label`, which a person fills in with 1, 2 or `tie`. Nothing in it says which response the run
chose. Pairs are identified by their texts, so the layouts of `gold.py` are read, too, if their pairs are the run's.
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rlaif.datasets.files import SourceRow, read_rows
from rlaif.errors import GoldError, UsageError
from rlaif.evaluate.gold import read_gold
from rlaif.records import Message
from rlaif.runs.directory import write_text
from rlaif.runs.rows import PreferenceRow
from rlaif.seeds import content_hash

COLUMNS = ("place", "id", "prompt", "response_1", "response_2", "label")
LABELS = {"1": "first", "1.0": "first", "2": "second", "2.0": "second", "tie": "tie"}
NAMED = 3
"""Rows that an error names; the others are counted."""

Vote = Literal["chosen", "rejected", "tie"]
"""What one person says of a pair: the response that the run chose is better, the other one is, or neither."""


@dataclass(frozen=True)
class PeoplesLabels:
    """People's labels of some of a run's pairs."""

    file: str
    hash: str
    """Content hash of the file."""
    positions: npt.NDArray[np.int64]
    """(n,) places of the labelled pairs among the run's rows."""
    disagrees: npt.NDArray[np.bool_]
    """(n,) whether it is not so that more than half of the pair's labels name the response that the run chose."""
    ties: int
    """Labelled pairs of which not more than half of the labels name one response."""
    open: int
    """Pairs of the file that nobody has labelled yet."""

    def __len__(self) -> int:
        return len(self.positions)


def pair_id(conversation: Iterable[Message], one: str, other: str) -> str:
    """Return a hash that identifies two responses to a conversation, in any order and with any white space."""
    turns = (f"{turn.role}\n{_plain(turn.content)}" for turn in conversation)
    return content_hash(*turns, *sorted((_plain(one), _plain(other))))


def id_of(row: PreferenceRow) -> str:
    """Return the `pair_id` of a run's pair."""
    return pair_id(row.prompt, row.chosen[0].content, row.rejected[0].content)


def sample_rows(rows: Sequence[PreferenceRow], size: int, seed: int) -> list[dict[str, str | int]]:
    """Return `size` pairs in a random order, each with its responses in a random order, as rows with the `COLUMNS`.

    A larger sample with the same seed begins with the smaller one. Raises UsageError where there are fewer pairs.
    """
    if size > len(rows):
        raise UsageError(f"--sample {size}: the run has only {len(rows)} pairs")
    drawn = sorted(rows, key=lambda row: content_hash(str(seed), id_of(row)))[:size]
    return [_sample_row(place, row) for place, row in enumerate(drawn, start=1)]


def _sample_row(place: int, row: PreferenceRow) -> dict[str, str | int]:
    responses = (row.chosen[0].content, row.rejected[0].content)
    first, second = responses if _chosen_is_first(row) else responses[::-1]
    turns = [turn.content if len(row.prompt) == 1 else f"{turn.role}: {turn.content}" for turn in row.prompt]
    values = (place, id_of(row), "\n\n".join(turns), first, second, "")
    return dict(zip(COLUMNS, values, strict=True))


def _chosen_is_first(row: PreferenceRow) -> bool:
    """Whether the chosen response stands first in a sample: random, but the same whichever of the two was chosen."""
    swapped = int(content_hash("order", id_of(row)), 16) % 2 == 1
    return (_plain(row.chosen[0].content) <= _plain(row.rejected[0].content)) != swapped


def fill_in(sample: Sequence[Mapping[str, str | int]], labelled: Path) -> tuple[list[dict[str, str | int]], int]:
    """Return the sample with the labels of a labelled sample filled in, and how many pairs it has labels of."""
    known = {str(row["id"]): row["label"] for where, row in read_rows(labelled) if _is_sample(row) and row["label"]}
    if not known:
        raise GoldError(f"{labelled}: has no labels in the layout of --sample")
    filled = [{**row, "label": known.get(str(row["id"]), "")} for row in sample]
    return filled, sum(bool(row["label"]) for row in filled)


def write_sample(path: Path, sample: Sequence[Mapping[str, str | int]]) -> None:
    """Write a sample as CSV or JSON lines, by the suffix. Raises UsageError for a file that exists; StorageError."""
    if path.exists():
        raise UsageError(f"--out {path}: exists already and may have labels in it; choose another file")
    if path.suffix.lower() == ".csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sample)
        write_text(path, text.getvalue())
    elif path.suffix.lower() == ".jsonl":
        write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in sample))
    else:
        raise UsageError(f"--out {path}: must end in .csv or .jsonl")


def read_labels(path: Path, rows: Sequence[PreferenceRow]) -> PeoplesLabels:
    """Return people's labels of a run's pairs from a labelled sample, or from gold labels in the layouts of `gold.py`.

    Several rows of one pair are several people. Raises GoldError or PromptsError for a file that cannot be read, that
    has pairs which are not the run's, or in which a pair of the random order was passed over.
    """
    if not path.is_file():
        raise GoldError(f"{path}: no such file of labels")
    entries = list(read_rows(path))
    by_id = {id_of(row): place for place, row in enumerate(rows)}
    votes = _sample_votes(path, entries, rows, by_id) if _is_sample(entries[0][1]) else _gold_votes(path, rows, by_id)
    labelled = {place: given for place, given in votes.items() if given}
    if not labelled:
        raise GoldError(f"{path}: no pair has a label; write 1, 2 or tie into the column `label`")
    agrees = [2 * given.count("chosen") > len(given) for given in labelled.values()]
    decided = [2 * max(given.count("chosen"), given.count("rejected")) > len(given) for given in labelled.values()]
    return PeoplesLabels(
        file=str(path),
        hash=content_hash(path.read_bytes()),
        positions=np.array(list(labelled), dtype=np.int64),
        disagrees=~np.array(agrees),
        ties=decided.count(False),
        open=len(votes) - len(labelled),
    )


Votes = dict[int, list[Vote]]
"""By the place of a pair among the run's rows: what each person says of it; nothing where it has no label yet."""


def _is_sample(row: object) -> bool:
    return isinstance(row, dict) and {"place", "id", "label"} <= set(row)


def _sample_votes(
    path: Path, entries: Sequence[SourceRow], rows: Sequence[PreferenceRow], by_id: Mapping[str, int]
) -> Votes:
    votes: Votes = defaultdict(list)
    drawn: dict[int, bool] = {}
    foreign: list[str] = []
    for where, entry in entries:
        if not _is_sample(entry):
            raise GoldError(f"{where}: must have the columns {', '.join(COLUMNS)}")
        position = by_id.get(str(entry["id"]))
        if position is None:
            foreign.append(where)
            continue
        place, vote = _place(where, entry["place"]), _vote(where, entry, rows[position])
        votes[position] += [vote] if vote else []
        drawn[place] = drawn.get(place, False) or vote is not None
    _refuse_foreign(path, foreign, len(entries))
    _refuse_gaps(path, drawn)
    return votes


def _vote(where: str, entry: Mapping[str, Any], row: PreferenceRow) -> Vote | None:
    text = "" if entry["label"] is None else str(entry["label"]).strip().lower()
    if not text:
        return None
    if text not in LABELS:
        raise GoldError(
            f"{where}: label is {entry['label']!r}; must be 1 or 2, the number of the better response, or tie"
        )
    first = _first_is_chosen(where, entry, row)
    return "tie" if LABELS[text] == "tie" else "chosen" if (LABELS[text] == "first") == first else "rejected"


def _first_is_chosen(where: str, entry: Mapping[str, Any], row: PreferenceRow) -> bool:
    """Whether the file's first response is the run's chosen one, by its text; by the id where texts are left out."""
    if entry.get("response_1") is None:
        return _chosen_is_first(row)
    first = _plain(str(entry["response_1"]))
    if first == _plain(row.chosen[0].content):
        return True
    if first == _plain(row.rejected[0].content):
        return False
    raise GoldError(f"{where}: the text of response_1 was changed, so it is not known which response was labelled")


def _place(where: str, value: object) -> int:
    try:
        return int(float(str(value)))
    except ValueError:
        raise GoldError(
            f"{where}: place is {value!r}; it is a number in the file of --sample, leave it as it is"
        ) from None


def _refuse_gaps(path: Path, drawn: Mapping[int, bool]) -> None:
    """Raise GoldError where a pair was passed over: what is left out is rarely as easy as the rest."""
    last = max((place for place, labelled in drawn.items() if labelled), default=0)
    passed = [place for place in range(1, last + 1) if not drawn.get(place, False)]
    if passed:
        named = ", ".join(map(str, passed[:NAMED])) + (", …" if len(passed) > NAMED else "")
        raise GoldError(
            f"{path}: {len(passed)} of the first {last} pairs of the random order have no label (place {named}); pairs "
            "that are passed over are rarely as easy as the others: label them, with `tie` where neither is better"
        )


def _gold_votes(path: Path, rows: Sequence[PreferenceRow], by_id: Mapping[str, int]) -> Votes:
    entry = next(read_rows(path))[1]
    if isinstance(entry, dict) and {"p_chosen", "constitution_hash"} & set(entry):
        raise GoldError(f"{path}: has the column p_chosen, so its labels are a run's and not people's")
    votes: Votes = defaultdict(list)
    foreign: list[str] = []
    items = read_gold(path).items
    for number, item in enumerate(items, start=1):
        position = by_id.get(pair_id(item.prompt.messages, item.chosen, item.rejected))
        if position is None:
            foreign.append(f"row {number}")
            continue
        agrees = _plain(item.chosen) == _plain(rows[position].chosen[0].content)
        votes[position].append("chosen" if agrees else "rejected")
    _refuse_foreign(path, foreign, len(items))
    return votes


def _refuse_foreign(path: Path, foreign: Sequence[str], total: int) -> None:
    if foreign:
        more = f", and {len(foreign) - NAMED} more" if len(foreign) > NAMED else ""
        raise GoldError(
            f"{path}: {len(foreign)} of {total} rows are not pairs of this run ({', '.join(foreign[:NAMED])}{more}); "
            "the claim needs labels of a random sample of the run's own pairs: draw one with --sample, and with --gold "
            "to take over the labels that still apply"
        )


def _plain(text: str) -> str:
    return " ".join(text.split())
