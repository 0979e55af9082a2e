"""Settings of single kinds of checks: how many, and which JSON."""

from typing import Annotated, Any, Self

from pydantic import Field, StrictInt, field_validator, model_validator

from rlaif.base import Record
from rlaif.checks.schemas import refuse_unusable_schema

CountLimit = Annotated[StrictInt, Field(ge=0, le=1_000_000)]


class Count(Record):
    """How many there may be."""

    min: CountLimit | None = None
    max: CountLimit | None = None

    @model_validator(mode="before")
    @classmethod
    def _a_number_is_enough(cls, count: object) -> object:
        if isinstance(count, int) and not isinstance(count, bool):
            return {"min": count, "max": count}
        if not isinstance(count, dict | Count):
            raise ValueError(  # noqa: TRY004  (pydantic takes ValueErrors)
                f"give a whole number or {{min: …, max: …}}, not {count!r:.40}"
            )
        return count

    @model_validator(mode="after")
    def _can_fail_and_pass(self) -> Self:
        if self.max is None and not self.min:
            raise ValueError("every answer passes this; give a number, a `min` above 0, a `max`, or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"no answer passes this: min {self.min} is above max {self.max}")
        return self

    def __str__(self) -> str:
        """Return `2`, `2 to 3`, `at least 2` or `at most 3`."""
        if self.min == self.max:
            return str(self.min)
        if self.min is None:
            return f"at most {self.max}"
        return f"at least {self.min}" if self.max is None else f"{self.min} to {self.max}"

    def allows(self, found: int) -> bool:
        """Whether so many are right."""
        return (self.min is None or found >= self.min) and (self.max is None or found <= self.max)


class JsonShape(Record):
    """What the JSON must look like."""

    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    """A JSON Schema (draft 2020-12) that refers to nothing outside itself; without one any JSON will do."""

    @model_validator(mode="before")
    @classmethod
    def _true_is_enough(cls, shape: object) -> object:
        if shape is True:
            return {}
        if not isinstance(shape, dict | JsonShape):
            raise ValueError(  # noqa: TRY004  (pydantic takes ValueErrors)
                f"give true or {{schema: …}}, not {shape!r:.40}"
            )
        return shape

    @field_validator("schema_")
    @classmethod
    def _is_usable(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        if schema is not None:
            refuse_unusable_schema(schema)
        return schema
