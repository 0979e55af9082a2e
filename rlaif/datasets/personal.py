"""Personal data in prompts: rows that are dropped, and parts of texts that are masked, before anything is stored."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rlaif.checks.matching import compiled

MASK = "[masked]"


@dataclass(frozen=True)
class Personal:
    """Patterns (RE2) of personal data."""

    drop: tuple[str, ...] = ()
    """A row of which some text matches is left out."""
    mask: tuple[str, ...] = ()
    """What matches is replaced by MASK."""

    @cached_property
    def _drop(self) -> list[Any]:
        return [compiled(pattern) for pattern in self.drop]

    @cached_property
    def _mask(self) -> list[Any]:
        return [compiled(pattern) for pattern in self.mask]

    def drops(self, row: Any) -> bool:  # noqa: ANN401  (JSON)
        """Whether a row is left out."""
        return bool(self.drop) and any(pattern.search(text) for text in _texts(row) for pattern in self._drop)

    def masked(self, row: Any) -> Any:  # noqa: ANN401
        """Return a row with what matches masked."""
        return self._masked(row) if self.mask else row

    def _masked(self, value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, str):
            for pattern in self._mask:
                value = pattern.sub(MASK, value)
            return value
        if isinstance(value, dict):
            return {name: self._masked(part) for name, part in value.items()}
        return [self._masked(part) for part in value] if isinstance(value, list | tuple) else value


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
