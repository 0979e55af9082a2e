"""Texts as they may be published: local paths are cut to their last part, and passwords in URLs are removed."""

import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePath

_PASSWORD = re.compile(r"(\w+://)[^/\s:@\"']+(?::[^/\s@\"']*)?@")
_BEFORE = r"(?<![\w.-])"
_REST = r"""(?:/[^\s"'`,;:|()\[\]{}<>]*)?(?![\w-])"""


def private_roots(*folders: PurePath) -> list[str]:
    """Return the folders of this machine whose paths are nobody's business: home, working directory and the given."""
    found = {str(Path(folder).resolve()) for folder in (Path.cwd(), Path(tempfile.gettempdir()), *folders)}
    found |= set(map(str, folders))
    with suppress(RuntimeError):  # a user without a home
        found.add(str(Path.home()))
    return sorted((root for root in found if len(root) > 1), key=len, reverse=True)


def folders_named(value: object) -> list[PurePath]:
    """Return the folders of the absolute paths among the strings of a JSON value, such as settings."""
    if isinstance(value, dict):
        return [folder for one in value.values() for folder in folders_named(one)]
    if isinstance(value, list | tuple):
        return [folder for one in value for folder in folders_named(one)]
    is_path = isinstance(value, str) and value.startswith("/") and not re.search(r"\s", value)
    return [PurePath(str(value)).parent] if is_path else []


def publishable(text: str, roots: Iterable[str]) -> tuple[str, int]:
    """Return the text without paths below `roots` and without user names and passwords in URLs, and their number."""
    changed = 0
    for root in roots:
        text, found = re.subn(_BEFORE + re.escape(root) + _REST, _last_part, text)
        changed += found
    text, found = _PASSWORD.subn(r"\1", text)
    return text, changed + found


def _last_part(match: re.Match[str]) -> str:
    return PurePath(match.group()).name
