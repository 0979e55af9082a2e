"""Recognise the layout of rows by their columns, and read each row in it."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rlaif.datasets.shapes.known import SHAPES
from rlaif.datasets.shapes.row import RefusedRowError, ResponseRow, Row
from rlaif.errors import PromptsError

OTHERS = ("id", "tags", "checks", "tools", "rubric", "subset")
"""Columns that any layout may have."""


class ShapeReader:
    """Reads the rows of one file: each in the layout of its columns, or all in the given one."""

    def __init__(self, shape: str | None = None, columns: Mapping[str, str] | None = None) -> None:
        if shape is not None and shape not in SHAPES:
            raise PromptsError(f"no shape {shape!r}; choose one of {', '.join(SHAPES)}")
        self._given = shape
        self._columns = columns or {}
        self.found: Counter[str] = Counter()
        """Rows by the layout they were read in, refused ones included."""

    def read(self, where: str, row: object) -> ResponseRow:
        """Return a row's responses.

        Raises RefusedRowError for a row that cannot be used. Raises PromptsError where the layout of the first row is
        not known, or a column that was named does not exist there.
        """
        if not isinstance(row, dict):
            found = type(row).__name__
            raise RefusedRowError("not an object", f"must be an object with a prompt and responses, found {found}")
        renamed = self._renamed(where, row)
        shape = self._given or self._shape_of(where, renamed)
        self.found[shape] += 1
        return SHAPES[shape].read(renamed)

    @property
    def line(self) -> str:
        """The layouts of the rows read, for people: `pairs (chosen, rejected)`."""
        several = len(self.found) > 1
        names = (
            f"{name} ({', '.join(SHAPES[name].columns)})" + (f" in {count} rows" if several else "")
            for name, count in self.found.most_common()
        )
        return ", ".join(names)

    def _renamed(self, where: str, row: Row) -> dict[str, Any]:
        """Return the row with the names of the layouts in place of those that `--column` gives."""
        missing = [name for name in self._columns.values() if name not in row]
        if missing and not self.found:
            raise PromptsError(f"{where}: has no column {missing[0]!r}; it has {', '.join(map(str, row)) or 'none'}")
        fields = {field: row.get(name) for field, name in self._columns.items()}
        return {name: value for name, value in row.items() if name not in self._columns.values()} | fields

    def _shape_of(self, where: str, row: Row) -> str:
        """Return the only layout that a row's columns fit; that of the other rows where they fit none."""
        filled = {name for name, value in row.items() if value is not None}
        fitting = [name for name, shape in SHAPES.items() if filled.issuperset(shape.columns) and shape.is_shape(row)]
        if len(fitting) == 1:
            return fitting[0]
        if not fitting and self.found:
            return self.found.most_common(1)[0][0]
        has = ", ".join(map(str, row)) or "no columns"
        if fitting:
            raise PromptsError(
                f"{where}: has the columns of several shapes ({', '.join(fitting)}): {has}; choose one with "
                "--shape, or leave columns out"
            )
        known = "; ".join(f"{name}: {', '.join(shape.columns)}" for name, shape in SHAPES.items())
        raise PromptsError(
            f"{where}: no shape has these columns: {has}. Known shapes: {known}. Map the file's names with --column "
            "FIELD=NAME, such as chosen=preferred"
        )
