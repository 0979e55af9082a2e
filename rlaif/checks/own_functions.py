"""Functions of the user's own that may judge responses: `module:function`, each allowed by its name.

A constitution and a prompt's row may come from anybody, and a `python` check calls code on what a model wrote. So a
function runs, and its module is imported, only where the user allowed it outside of them: `--allow-python` or the
environment variable RLAIF_ALLOW_PYTHON. The standard library's never do: `os:system` would take a response as a
command.
"""

import importlib
import os
import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from rlaif.errors import ConfigError

VARIABLE = "RLAIF_ALLOW_PYTHON"
"""Environment variable with the allowed functions, separated by commas."""
_allowed: set[str] = set()


def allow(entries: Iterable[str]) -> None:
    """Allow functions, `module:function` each, for this process. Raises ConfigError for the standard library's."""
    named = {entry.strip() for entry in entries if entry.strip()}
    for entry in named:
        _refuse_standard(entry, entry)
    _allowed.update(named)


def imported(entry: str) -> Callable[[str, Any], Any]:
    """Return an allowed function. Raises ConfigError where it is not allowed, not there or the standard library's."""
    _refuse_standard(entry, entry)
    allowed = _allowed | {one.strip() for one in os.environ.get(VARIABLE, "").split(",")}
    if entry not in allowed:
        raise ConfigError(
            f"check python: {entry} would run code on what a model writes, and it is not allowed; if it is your own "
            f"function and you trust it, add --allow-python {entry} or set {VARIABLE}"
        )
    return _imported(entry)


@cache
def _imported(entry: str) -> Callable[[str, Any], Any]:
    module, _, name = entry.partition(":")
    try:
        function = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # noqa: BLE001  (other people's code)
        raise ConfigError(
            f"check python: {entry}: cannot import {module}: {type(error).__name__}: {error}; "
            "add its folder to PYTHONPATH"
        ) from None
    if not callable(function):
        raise ConfigError(f"check python: {entry}: module {module} has no function {name}")
    _refuse_standard(entry, getattr(function, "__module__", None) or "builtins")
    return function  # type: ignore[no-any-return]


def _refuse_standard(entry: str, module: str) -> None:
    if module.partition(":")[0].partition(".")[0] in sys.stdlib_module_names:
        raise ConfigError(
            f"check python: {entry} is a function of Python's standard library, which no check may call on what a "
            "model writes; name a function of your own"
        )
