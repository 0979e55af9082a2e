"""The base of everything that is written to disk or sent to a model; here alone, so that all rooms can build on it."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Base of everything that is written to disk or sent to a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")
