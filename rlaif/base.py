"""Base classes of all data: `Record` for what is written to disk or sent to a model, `Section` for run files.

Both are frozen and refuse unknown keys. They have a module of their own so that every package can import them.
"""

from typing import Any, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
)


class Record(BaseModel):
    """Base of everything that is written to disk or sent to a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SparseRecord(Record):
    """A record that is written without its fields that are None, as it was before it had them."""

    @model_serializer(mode="wrap")
    def _without_nulls(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if value is not None}


class Section(BaseModel):
    """Base of all parts of a run file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_bool_for_number(cls, value: object, info: ValidationInfo) -> object:
        """Refuse `yes` and `true` for a number: pydantic would read them as 1."""
        expected = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and expected is not Any and bool not in {expected, *get_args(expected)}:
            raise ValueError(f"yes, no, true and false are not allowed here (found {str(value).lower()})")
        return value
