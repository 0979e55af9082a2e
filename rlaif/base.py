"""The bases of all data: records that are written to disk or sent to a model, and sections of files that people write.

Frozen and strict both; here alone, so that every room can build on them.
"""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Record(BaseModel):
    """Base of everything that is written to disk or sent to a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Section(BaseModel):
    """Base of all parts of a run file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _yes_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        """Refuse `yes` where a number stands: it would be taken for 1."""
        wanted = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and wanted is not Any and bool not in {wanted, *get_args(wanted)}:
            raise ValueError(f"yes, no, true and false say nothing here (found {str(value).lower()})")
        return value
