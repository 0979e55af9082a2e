"""Read people's labels of a run's pairs: a labelled sample (`label_sample.py`), or gold labels as in `gold.py`.

Several rows of one pair are several people. A pair that is not the run's raises an error, and so does a pair of the
random order that was passed over; no row is skipped.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rlaif.datasets.files import SourceRow, read_rows
from rlaif.errors import GoldError
from rlaif.evaluate.gold import read_gold
from rlaif.evaluate.label_sample import COLUMNS, MARK_OF_GOLD, chosen_is_first, is_sample, pairs_above
from rlaif.runs.pair_ids import hash_of_pairs, id_of, pair_id, plain
from rlaif.runs.rows import PreferenceRow
from rlaif.seeds import content_hash

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
    min_p: float = 0.0
    """The sample was drawn from the pairs with a `p_chosen` of at least this; 0 for all."""

    def __len__(self) -> int:
        return len(self.positions)


def read_labels(path: Path, rows: Sequence[PreferenceRow]) -> PeoplesLabels:
    """Return people's labels of a run's pairs from a labelled sample, or from gold labels in the layouts of `gold.py`.

    Several rows of one pair are several people. Raises GoldError or PromptsError for a file that cannot be read, that
    has pairs which are not the run's, or in which a pair of the random order was passed over.
    """
    if not path.is_file():
        raise GoldError(f"{path}: no such file of labels")
    entries = list(read_rows(path))
    by_id = {id_of(row): place for place, row in enumerate(rows)}
    votes = _sample_votes(path, entries, rows, by_id) if is_sample(entries[0][1]) else _gold_votes(path, rows, by_id)
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
        min_p=_min_p(path, entries, rows),
    )


def _min_p(path: Path, entries: Sequence[SourceRow], rows: Sequence[PreferenceRow]) -> float:
    """Return the least p of the pairs that a sample was drawn from; 0 for gold labels in other layouts.

    Raises GoldError where the run has other pairs now than those that the sample was drawn from.
    """
    found = {(entry.get("min_p"), entry.get("drawn_from")) for _, entry in entries if is_sample(entry)}
    if not found:
        return 0.0
    min_p, drawn_from = found.pop()
    if found:
        raise GoldError(f"{path}: has rows of several samples; give one, {TAKE_OVER}")
    if hash_of_pairs(pairs_above(rows, float(min_p or 0))) != str(drawn_from):
        raise GoldError(f"{path}: was drawn from other pairs than the run has now; {TAKE_OVER}")
    return float(min_p or 0)


TAKE_OVER = "draw a sample with --sample, and with --gold to take over the labels that still apply"


Votes = dict[int, list[Vote]]
"""By the place of a pair among the run's rows: what each person says of it; nothing where it has no label yet."""


def _sample_votes(
    path: Path, entries: Sequence[SourceRow], rows: Sequence[PreferenceRow], by_id: Mapping[str, int]
) -> Votes:
    votes: Votes = defaultdict(list)
    drawn: dict[int, bool] = {}
    foreign: list[str] = []
    for where, entry in entries:
        if not is_sample(entry):
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
        return chosen_is_first(row)
    first = plain(str(entry["response_1"]))
    if first == plain(row.chosen[0].content):
        return True
    if first == plain(row.rejected[0].content):
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
    if isinstance(entry, dict) and MARK_OF_GOLD in entry:
        raise GoldError(
            f"{path}: has the gold labels of a review, not a random sample and without its ties; write the labels of "
            "its random share: rlaif review RUN --results --labels FILE"
        )
    votes: Votes = defaultdict(list)
    foreign: list[str] = []
    items = read_gold(path).items
    for number, item in enumerate(items, start=1):
        position = by_id.get(pair_id(item.prompt.messages, item.chosen, item.rejected))
        if position is None:
            foreign.append(f"row {number}")
            continue
        agrees = plain(item.chosen) == plain(rows[position].chosen[0].content)
        votes[position].append("chosen" if agrees else "rejected")
    _refuse_foreign(path, foreign, len(items))
    return votes


def _refuse_foreign(path: Path, foreign: Sequence[str], total: int) -> None:
    if foreign:
        more = f", and {len(foreign) - NAMED} more" if len(foreign) > NAMED else ""
        raise GoldError(
            f"{path}: {len(foreign)} of {total} rows are not pairs of this run ({', '.join(foreign[:NAMED])}{more}); "
            f"the claim needs labels of a random sample of the run's own pairs: {TAKE_OVER}"
        )
