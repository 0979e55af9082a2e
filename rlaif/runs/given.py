"""What a file of responses had in it: rows = traces + failures + open + refused (by reason)."""

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from rlaif.errors import RunDirectoryError
from rlaif.models.hub_id import dataset_id
from rlaif.records import Record

GIVEN = "responses.json"
"""File in the run directory: what the file of responses had in it."""
REFUSED = "refused.jsonl"
"""File in the run directory with the rows that were refused, and why."""


class RefusedRow(Record):
    """A row of a file that cannot be labelled."""

    row: str
    """Its place in the file, such as `line 12`."""
    reason: str
    detail: str


class GivenFile(Record):
    """A file of responses: where it was, and what was in it."""

    file: str
    shape: str
    """The layout of its rows and the columns by which it was recognised."""
    rows: int
    """Rows read, refused ones included."""
    refused: dict[str, int]
    """Refused rows by reason."""
    models: dict[str, int]
    """Responses by the model that the file names."""

    @property
    def name(self) -> str:
        """The file's name without its folders, which are not to be published; the id of a hub dataset as it is."""
        return dataset_id(self.file) or Path(self.file).name


def given_files(file: GivenFile, refused: Iterable[RefusedRow]) -> dict[str, str]:
    """Return, by name, the files of a new run directory that say what was in a file of responses."""
    return {GIVEN: file.model_dump_json(indent=2) + "\n", REFUSED: json_lines(refused)}


def read_given(path: Path) -> GivenFile:
    """Return what was in the file of responses of a run. Raises RunDirectoryError where that is not known."""
    try:
        return GivenFile.model_validate_json((path / GIVEN).read_bytes())
    except (OSError, ValidationError):
        raise RunDirectoryError(f"{path / GIVEN} is missing or damaged; start the run again in another --out") from None


def json_lines(records: Iterable[Record]) -> str:
    """Return records as JSON, one in each line."""
    return "".join(json.dumps(one.model_dump(mode="json"), ensure_ascii=False) + "\n" for one in records)
