"""What determines a curated dataset and what came of it: settings, hashes of inputs, counts, dropped rows."""

from typing import Literal

from pydantic import Field

from rlaif.base import Record, SparseRecord

Unit = Literal["prompt", "pair"]
UNITS: tuple[Unit, ...] = ("prompt", "pair")


class Settings(Record):
    """What to drop and what to choose; each part is off unless it is set."""

    near_duplicates: float | None = Field(default=None, ge=0.3, le=1)
    """Jaccard similarity of the sets of shingles from which the worse of two rows is dropped."""
    near_by: Unit = "prompt"
    """The texts that are compared: the prompts, or the prompts with both responses."""
    against: tuple[str, ...] = ()
    """Test sets that no row may come too near to."""
    against_columns: tuple[str, ...] = ()
    """Columns of the test sets that are compared; the first known one by default."""
    against_split: str = "test"
    """Split of test sets on the hub."""
    against_responses: bool = False
    """Whether responses are compared with the test sets, too."""
    ngram: int = Field(default=13, ge=2, le=50)
    """Number of words of an n-gram."""
    overlap: float = Field(default=0.3, gt=0, le=1)
    """Share of shared n-grams from which a row is too near to a test row."""
    drop: tuple[str, ...] = ()
    """Names of the detectors whose rows are dropped."""
    min_p: float | None = Field(default=None, ge=0, le=1)
    """Rows with a smaller `p_chosen` are dropped."""
    keep_best: int | None = Field(default=None, ge=1)
    """Number of rows to keep."""
    diverse: bool = False
    """Whether the rows that are kept are chosen for diversity, too."""
    seed: int = 0
    """Seed of the hashes and projections."""


class Match(SparseRecord):
    """The row because of which another row is dropped."""

    place: str
    """Place of the row in its file."""
    id: str | None = None
    """Its id, where it has one."""
    similarity: float
    """Jaccard similarity of the shingles, or the share of shared n-grams."""
    text: str | None = None
    """The beginning of a test row's text."""


class Dropped(SparseRecord):
    """A row of the source that is not in the curated dataset."""

    row: str
    """Split and number of the row, such as `train:12`; the first row is 1."""
    id: str | None = None
    """Its `prompt_id` or `id`."""
    chosen_id: str | None = None
    rejected_id: str | None = None
    reason: str
    detail: str | None = None
    match: Match | None = None


class Input(Record):
    """A file that was read."""

    name: str
    """Name of the file, or id of the hub dataset; no local path."""
    hash: str
    """Hash of the file's bytes, or of the rows of a hub dataset."""
    rows: int


class Recipe(Record):
    """All that determines a curated dataset, and its counts."""

    settings: Settings
    source: str
    """Name of the run, dataset or file; no local path."""
    inputs: tuple[Input, ...]
    test_sets: tuple[Input, ...]
    versions: dict[str, str]
    rows: int
    """Pairs in the source; equal to kept + the sum of dropped."""
    kept: int
    dropped: dict[str, int]
    """Number of pairs by the first reason that applied."""
    by_split: dict[str, int]
    """Kept pairs by split."""
    revisions: int | None = None
    """Revisions in the source's table `sft`; None without that table."""
    revisions_kept: int | None = None
    """Those whose prompt still has a pair."""
    warnings: tuple[str, ...] = ()
