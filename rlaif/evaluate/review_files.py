"""Files from a review: gold labels of all reviewed pairs, and labels of the random share for `rlaif certify`.

**Gold** has one row for each pair with a people's label, in the layout that `gold.py` reads: {id, subset, messages,
chosen, rejected}, and `votes`, the votes `for` and `against` the label and the `ties`. `subset` says whether the pair
belongs to the random share. Pairs without a people's label are left out, and counted.

**Labels** have the layout of `label_sample.py`: the random share in its order, one row for each reviewer's vote. Ties
are in it, and who cannot tell counts as a tie: for a certificate, both are disagreements with the critic.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rlaif.errors import UsageError
from rlaif.evaluate.label_sample import MARK_OF_GOLD, SampleRow, sample_rows, write_sample
from rlaif.evaluate.review_plan import ReviewPlan, queue
from rlaif.evaluate.review_results import reviewed_sample
from rlaif.runs.directory import write_text
from rlaif.runs.pair_ids import id_of, plain
from rlaif.runs.reviews import PersonVerdict, Reviews
from rlaif.runs.rows import PreferenceRow
from rlaif.runs.votes import Votes, votes_of


def write_gold(path: Path, rows: Sequence[PreferenceRow], reviews: Reviews, plan: ReviewPlan) -> int:
    """Write the gold labels of a review as JSON lines; return their number. Raises UsageError, StorageError."""
    if path.suffix.lower() != ".jsonl":
        raise UsageError(f"--gold {path}: must end in .jsonl")
    _refuse_to_overwrite("--gold", path)
    gold = list(_gold_rows(rows, reviews, plan))
    if not gold:
        raise UsageError(
            "no reviewed pair has a response that more than half of its votes name: there is no gold label"
        )
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in gold))
    return len(gold)


def _refuse_to_overwrite(option: str, path: Path) -> None:
    if path.exists():
        raise UsageError(f"{option} {path}: exists already; choose another file")


def _gold_rows(rows: Sequence[PreferenceRow], reviews: Reviews, plan: ReviewPlan) -> Iterator[dict[str, Any]]:
    votes = votes_of(reviews)
    random = {one.id for one in queue(rows, plan) if one.drawn == "random"}
    for pair, row in {id_of(row): row for row in rows}.items():
        found = votes.get(pair)
        if found is not None and found.majority is not None:
            yield _gold_row(pair, row, found, "random" if pair in random else "teaching")


def _gold_row(pair: str, row: PreferenceRow, votes: Votes, subset: str) -> dict[str, Any]:
    agrees = votes.majority == row.chosen_id
    chosen, rejected = (row.chosen, row.rejected) if agrees else (row.rejected, row.chosen)
    count = votes.counted[votes.majority or ""]
    return {
        "id": pair,
        "subset": subset,
        "messages": [turn.model_dump(mode="json") for turn in row.prompt],
        "chosen": chosen[0].content,
        "rejected": rejected[0].content,
        MARK_OF_GOLD: {"for": count, "against": votes.total - votes.ties - count, "ties": votes.ties},
        "prompt_id": row.prompt_id,
    }


def write_labels(path: Path, rows: Sequence[PreferenceRow], reviews: Reviews, plan: ReviewPlan) -> int:
    """Write the labels of the random share as CSV or JSON lines; return the number of labelled pairs.

    Raises UsageError for a file that exists, and where no pair of the random share is reviewed; StorageError.
    """
    _refuse_to_overwrite("--labels", path)
    votes = votes_of(reviews)
    sampled = [one for one in queue(rows, plan) if one.drawn == "random"]
    reached = reviewed_sample(sampled, votes)
    if not reached:
        raise UsageError("no pair of the random share is reviewed, so there are no labels for a certificate")
    drawn = {str(row["id"]): row for row in sample_rows(rows, len(sampled), plan.seed)}
    labelled = [row for one in reached for row in _labelled(drawn[one.id], one.row, votes[one.id])]
    write_sample(path, labelled)
    return len(reached)


def _labelled(sample: SampleRow, row: PreferenceRow, votes: Votes) -> Iterator[SampleRow]:
    texts = {row.chosen_id: row.chosen[0].content, row.rejected_id: row.rejected[0].content}
    for verdict in votes.verdicts.values():
        yield sample | {"label": _label(verdict, texts, str(sample["response_1"]))}


def _label(verdict: PersonVerdict, texts: dict[str, str], first: str) -> str:
    if verdict.better is None:
        return "tie"
    return "1" if plain(texts[verdict.better]) == plain(first) else "2"
