"""What only shows when a check is about to be used: code that can't be imported, a language nobody tells apart."""

from collections.abc import Iterable

from rlaif.checks.check import Check
from rlaif.checks.language import known_languages
from rlaif.checks.own import imported
from rlaif.errors import ConfigError


def make_ready(checks: Iterable[Check]) -> None:
    """Import what these checks need, before a model is asked anything. Raises ConfigError."""
    for check in checks:
        if check.python is not None:
            imported(check.python)
        if check.language is not None and check.language not in known_languages():
            known = ", ".join(sorted(code for code in known_languages() if len(code) == 2))
            raise ConfigError(f"check language: {check.language}: not a language told apart here; there are {known}")
