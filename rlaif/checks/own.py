"""A check that is a function of the user's own, `module:function`: function(text, prompt) -> bool.

`text` is the answer, `prompt` the `rlaif.records.Prompt`. It runs with all rights of this process, in a thread, and
perhaps in several at once. What it raises, or returns in place of True or False, is an error of that prompt and never
a verdict.
"""

import importlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

from rlaif.errors import CheckError, ConfigError


class Turn(Protocol):
    """One turn of the conversation that was answered."""

    @property
    def content(self) -> str:
        """What was said."""


class Asked(Protocol):
    """The prompt that was answered: a `rlaif.records.Prompt`."""

    @property
    def messages(self) -> Sequence[Turn]:
        """The conversation; the last turn is the user's."""


def ask(entry: str, text: str, prompt: Asked) -> bool:
    """Return what the function says. Raises CheckError when it breaks or says something else."""
    function = imported(entry)
    try:
        said = function(text, prompt)
    except (Exception, SystemExit) as error:
        raise CheckError(f"the check {entry} broke: {type(error).__name__}: {error}") from error
    if not isinstance(said, bool):
        raise CheckError(f"the check {entry} returned {said!r:.60}; it must return True or False")
    return said


@cache
def imported(entry: str) -> Callable[[str, Asked], Any]:
    """Return the function. Raises ConfigError, which concerns every prompt, when there is none."""
    module, _, name = entry.partition(":")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # noqa: BLE001  (other people's code)
        raise ConfigError(
            f"check python: {entry}: cannot import {module}: {type(error).__name__}: {error}; "
            "put its folder on PYTHONPATH"
        ) from None
    if not callable(found):
        raise ConfigError(f"check python: {entry}: module {module} has no function {name}")
    function: Callable[[str, Asked], Any] = found
    return function
