"""Render one HTML file from a template: style, scripts, plots and data are inside, and text from models is escaped.

Every page has a content security policy that allows only this package's scripts, by their hash: even an unescaped text
could neither run as a script nor send a request.
"""

import base64
import hashlib
import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any, Literal

import jinja2
from markupsafe import Markup

from rlaif.errors import UsageError
from rlaif.records import Record
from rlaif.runs.directory import write_bytes
from rlaif.text.wording import counted
from rlaif.version import __version__

_FOLDER = Path(__file__).parent
_SCRIPTS = ("page.js", "trace.js", "browser.js")
_MARK = b'<meta name="generator" content="rlaif '
"""In the first lines of every page; only files that contain it may be overwritten."""

_CONTROL = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127], "\ufffd")
"""Maps control characters, which HTML does not allow and which control a terminal, to U+FFFD."""

PLAIN_UP_TO = 400_000
"""Characters of data up to which it is embedded as plain JSON; more is compressed, which old browsers cannot read."""


class Data(Record):
    """Data for the page's scripts, as it is written into the page."""

    kind: Literal["application/json", "text/plain"]
    """Plain JSON, or zlib's deflate in ASCII85 (`packed`)."""
    text: str


def render(template: str, **values: Any) -> str:  # noqa: ANN401
    """Return a page as HTML. All text in `values` is escaped, except `Markup`, such as a plot's SVG."""
    script = "\n".join(asset(name) for name in _SCRIPTS)
    shared = {"style": Markup(asset("report.css")), "script": Markup(script), "policy": _policy(script)}
    return environment().get_template(template).render(rlaif_version=__version__, **shared, **values)


@cache
def environment() -> jinja2.Environment:
    """Return the Jinja environment of all pages: text is escaped, unknown names are errors."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["thousands"] = lambda number: f"{number:,.0f}"
    made.filters["counted"] = counted
    return made


def embedded(value: object) -> Data:
    """Return a value as JSON for a script element, written so that no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(text) > PLAIN_UP_TO:
        return Data(kind="text/plain", text=packed(text))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Data(kind="application/json", text=text)


def packed(text: str) -> str:
    """Return a text deflated and encoded in 85 characters without `<`, `>` and `&`; a fifth smaller than base64."""
    deflated = zlib.compress(text.encode("utf-8", "replace"), 9)
    return base64.b85encode(deflated).translate(_HARMLESS).decode("ascii")


_HARMLESS = bytes.maketrans(b"<>&", b",./")


def write_page(file: Path, html: str) -> int:
    """Write a page atomically; return its size in bytes.

    Raises UsageError where another kind of file exists, StorageError where the disk is full.
    """
    refuse_to_overwrite(file)
    data = html.translate(_CONTROL).encode("utf-8", "replace")
    write_bytes(file, data)
    return len(data)


def refuse_to_overwrite(file: Path) -> None:
    """Raise UsageError where `file` exists and is not a report of this program."""
    if file.is_dir():
        raise UsageError(f"{file} is a folder; give a file, such as {file / 'report.html'}")
    if file.is_file():
        with file.open("rb") as opened:
            if _MARK not in opened.read(2000):
                raise UsageError(
                    f"{file} is not a report of this program, so it is not overwritten; choose another --out"
                )
    elif file.exists():  # a device such as /dev/null, which must not be replaced
        raise UsageError(f"{file} is not a regular file, so it is not overwritten; choose another --out")


@cache
def asset(name: str) -> str:
    """Return the text of a style sheet or script of the pages."""
    return (_FOLDER / "assets" / name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
