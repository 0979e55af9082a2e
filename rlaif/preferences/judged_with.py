"""What a measurement of judges is valid for: the same model, rules, and way of asking."""

from typing import Any

from pydantic import Field

from rlaif.records import Record


class JudgedWith(Record):
    """The judges that something was measured on."""

    critic: str
    """Name the critic is served under."""
    constitution: str
    constitution_hash: str
    asked: dict[str, Any]
    """How the critic was asked: kinds of judges, orders, principles."""
    identities: dict[str, str] = Field(default_factory=dict)
    """By the judges' names, the identity of the model behind each."""
    words: dict[str, str] = Field(default_factory=dict)
    """Hashes of the templates, and of the cases shown."""
