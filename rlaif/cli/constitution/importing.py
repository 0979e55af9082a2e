"""`rlaif constitution import | schema`: convert published principles; print the JSON Schema of a constitution."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from rlaif.cli.console import SafeConsole
from rlaif.constitution.importers import Imported, import_constitution
from rlaif.constitution.json_schema import constitution_schema
from rlaif.errors import StorageError, UsageError
from rlaif.text.wording import counted


def constitution_import(
    file: Annotated[
        Path, typer.Argument(help="JSON file of critique and revision instructions, or of comparison questions.")
    ],
    name: Annotated[str | None, typer.Option(help="Name of the constitution; by default from the file's name.")] = None,
    out: Annotated[Path | None, typer.Option(help="YAML file to write; by default standard output.")] = None,
) -> None:
    """Convert principles that were published as JSON into a constitution.

    The JSON is a list or dict of critique and revision instructions (as in the Constitutional AI paper, Hugging Face's
    recipe and LangChain) or a list of comparison texts. Their authors own these texts: check the licence of what you
    import.

    \b
    Examples:
      rlaif constitution import CritiqueRevisionInstructions.json --name paper --out paper.yaml
      rlaif constitution import constitution_anthropic.json > theirs.yaml
    """
    if out is not None and out.exists():
        raise UsageError(f"{out} already exists; choose another --out")
    imported = import_constitution(file, name)
    if out is None:
        print(imported.yaml, end="")
    else:
        _write(out, imported.yaml)
    written = f", written to {out}" if out else ""
    console = SafeConsole(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"{file}: {_summary(imported)}{written}", markup=False)
    for warning in _warnings(imported):
        console.print(f"! {warning}", style="yellow", markup=False)


def schema_command() -> None:
    """Print the JSON Schema of a constitution file, for completion and checks in an editor.

    \b
    Example, for editors with yaml-language-server (VS Code, Neovim, ...):
      rlaif constitution schema > constitution.schema.json
    and as the first line of a constitution beside it:
      # yaml-language-server: $schema=constitution.schema.json
    """
    print(json.dumps(constitution_schema(), indent=2, ensure_ascii=False))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} cannot be written: {error.filename} already exists") from None
    except OSError as error:
        if path.is_file():  # an incomplete file, which would block the next attempt
            path.unlink()
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None


def _summary(imported: Imported) -> str:
    principles, ranking = imported.constitution.principles, imported.constitution.comparing
    counts = f"{imported.critique_only} critique_only, {imported.compare_only} compare_only, {len(ranking)} can rank"
    duplicates = f", {counted(imported.duplicates, 'duplicate')} dropped" if imported.duplicates else ""
    return f"{counted(len(principles), 'principle')} ({counts}){duplicates}"


def _warnings(imported: Imported) -> Iterator[str]:
    if imported.critique_only:
        yield (
            f"{counted(imported.critique_only, 'principle')} without a comparison question cannot rank responses; "
            "to rank, add `compare:` and remove `critique_only`"
        )
    if imported.no_question:
        comparisons = counted(imported.no_question, "comparison")
        yield f"{comparisons} without a question or a request to choose, which a judge needs; add one in `compare:`"
    if imported.ignored:
        yield f"left out: {', '.join(imported.ignored)}"
