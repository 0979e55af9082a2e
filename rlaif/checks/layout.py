"""Detect the Markdown layout of a response, line by line; lines inside a code block are not searched."""

from typing import Literal

from rlaif.text.markdown import FEWEST_ITEMS, markdown_counts

Format = Literal["bullets", "numbered", "table", "code", "plain"]


def is_laid_out(text: str, wanted: Format) -> tuple[bool, str]:
    """Return (whether a text has the layout `wanted`, short description of its Markdown)."""
    found = {name: count for name, count in markdown_counts(text).items() if count}
    shown = ", ".join(f"{name} {count}" for name, count in found.items()) or "no Markdown"
    fewest = FEWEST_ITEMS if wanted in {"bullets", "numbered"} else 1
    return (not found if wanted == "plain" else found.get(wanted, 0) >= fewest), shown
