"""One HTML file out of a template: style, scripts, plots and data inside, nothing fetched, text from models escaped.

Every page carries a content security policy that allows the scripts written here, by their hash, and nothing else:
even a text that slipped through unescaped could neither run nor call home.
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
"""Stands in the first lines of every page; only files with it may be overwritten."""

_STEERING = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127], "\ufffd")
"""Control characters: HTML has no place for them, and whoever prints a page on a terminal should see it."""

PLAIN_UP_TO = 400_000
"""Characters of data that are embedded as plain JSON; more is packed, which old browsers cannot read."""


class Data(Record):
    """Data for the page's scripts, as it is written into the page."""

    kind: Literal["application/json", "text/plain"]
    """Plain JSON, or zlib's deflate in ASCII85 (`packed`)."""
    text: str


def render(template: str, **values: Any) -> str:  # noqa: ANN401
    """Return a page. All text in `values` is escaped; only `Markup`, such as a plot's SVG, goes in as it is."""
    script = "\n".join(_asset(name) for name in _SCRIPTS)
    shared = {"style": Markup(_asset("report.css")), "script": Markup(script), "policy": _policy(script)}
    return environment().get_template(template).render(rlaif_version=__version__, **shared, **values)


@cache
def environment() -> jinja2.Environment:
    """Return the environment of all pages: everything escaped, unknown names are errors."""
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
    """Return data as it may stand in a script element: no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(text) > PLAIN_UP_TO:
        return Data(kind="text/plain", text=packed(text))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Data(kind="application/json", text=text)


def packed(text: str) -> str:
    """Return a text compressed, in 85 characters that mean nothing to HTML; a fifth smaller than base64."""
    deflated = zlib.compress(text.encode("utf-8", "replace"), 9)
    return base64.b85encode(deflated).translate(_HARMLESS).decode("ascii")


_HARMLESS = bytes.maketrans(b"<>&", b",./")


def write_page(file: Path, html: str) -> int:
    """Write a page as a whole or not at all; return its bytes.

    Raises UsageError where something else stands, StorageError where the disk is full.
    """
    refuse_to_overwrite(file)
    data = html.translate(_STEERING).encode("utf-8", "replace")
    write_bytes(file, data)
    return len(data)


def refuse_to_overwrite(file: Path) -> None:
    """Raise UsageError for a file that is no page of this program: it might be somebody's data."""
    if file.is_dir():
        raise UsageError(f"{file} is a folder; name a file, such as {file / 'report.html'}")
    if file.is_file():
        with file.open("rb") as opened:
            if _MARK not in opened.read(2000):
                raise UsageError(f"{file} is no report of this program and is left alone; choose another --out")
    elif file.exists():  # replacing a device would take /dev/null away from the whole machine
        raise UsageError(f"{file} is no plain file and is left alone; choose another --out")


@cache
def _asset(name: str) -> str:
    return (_FOLDER / "assets" / name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
