"""Regular expressions whose time grows with the text and with nothing else.

RE2 (Cox 2007, https://swtch.com/~rsc/regexp/regexp1.html) knows no backtracking, so no pattern and no answer can make
it hang. What it lacks for that, look-around and back-references, is refused when the pattern is read. `\\w`, `\\d` and
`\\b` mean ASCII there; letters of all scripts are `\\pL`.
"""

from functools import lru_cache
from typing import Any

LARGEST_PATTERN = 8 << 20
"""Bytes that a compiled pattern may take, RE2's own default; `(a{1000}){1000}` wants more and is refused."""


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:  # noqa: ANN401  (the library has no types)
    """Return a compiled pattern. Raises ValueError that says what is wrong with it."""
    import re2  # noqa: PLC0415  (few constitutions need it)

    options = re2.Options()
    options.max_mem = LARGEST_PATTERN
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else error
        reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise ValueError(
            f"not a regular expression that can be used here ({reason}); look-around and back-references don't exist "
            "in it (RE2's syntax)"
        ) from None
    except UnicodeEncodeError:
        raise ValueError("not a regular expression: it holds half a surrogate pair") from None


def found(pattern: str, text: str) -> str | None:
    """Return the first stretch of `text` that fits, or None."""
    match = compiled(pattern).search(encodable(text))
    return None if match is None else str(match.group())


def findall(pattern: str, text: str) -> list[str]:
    """Return all stretches of `text` that fit, one after the other."""
    return [str(match.group()) for match in compiled(pattern).finditer(encodable(text))]


def encodable(text: str) -> str:
    """Return `text` with half surrogate pairs, which UTF-8 can't hold, as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
