"""`rlaif constitution ...` on the command line. Everything heavy is imported inside."""

from pathlib import Path
from typing import Annotated

import typer

constitution_app = typer.Typer(help="Write, check, test and compare constitutions.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines instead.")]


@constitution_app.command("list")
def constitution_list(json_: Json = False) -> None:
    """List the shipped constitutions."""
    from rlaif.screen.constitutions import list_job  # noqa: PLC0415

    list_job(as_json=json_)


@constitution_app.command("show")
def constitution_show(
    name: Annotated[str, typer.Argument(help="Shipped name or YAML file.")],
    resolved: Annotated[bool, typer.Option("--resolved", help="With all that is inherited, and where from.")] = False,
    yaml: Annotated[bool, typer.Option("--yaml", help="Written out flat, as a YAML file of its own.")] = False,
    json_: Json = False,
) -> None:
    """Show the principles of a constitution.

    A file that extends others is shown as it stands; --resolved shows what comes of it, each principle with the file
    and line it comes from and where it was changed.

    \b
    Examples:
      rlaif constitution show honesty
      rlaif constitution show mine.yaml --resolved
      rlaif constitution show mine.yaml --yaml > flat.yaml
    """
    from rlaif.screen.show import show_job  # noqa: PLC0415

    show_job(name, resolved=resolved, as_yaml=yaml, as_json=json_)


@constitution_app.command("test")
def constitution_test(
    name: Annotated[str, typer.Argument(help="Shipped name or YAML file.")],
    critic: Annotated[str, typer.Option(help="MODEL to start, URL to ask, or MODEL@URL.")],
    cache: Annotated[Path | None, typer.Option(help="Reply store; runs/replies.sqlite by default.")] = None,
    json_: Json = False,
) -> None:
    """Ask a critic the labelled cases of every principle, in both orders, and tell which it doesn't understand.

    Accuracy is measured on what was answered; a tie, an unreadable answer and one that turns with the order are
    counted apart. Answers are kept in the reply store: the same test asks nothing twice. Exit code 0 whatever the
    critic answers.

    \b
    Examples:
      rlaif constitution test honesty --critic http://127.0.0.1:8000/v1
      rlaif constitution test mine.yaml --critic Qwen/Qwen3-8B --json
    """
    from rlaif.screen.cases import test_job  # noqa: PLC0415

    test_job(name, critic, cache, as_json=json_)


@constitution_app.command("diff")
def constitution_diff(
    before: Annotated[str, typer.Argument(help="Shipped name or YAML file.")],
    after: Annotated[str, typer.Argument(help="Shipped name or YAML file.")],
    json_: Json = False,
) -> None:
    """Show how one constitution differs from another, inherited principles included. Exit code 0 either way.

    Words that are gone are marked [-so-], new ones {+so+}.

    \b
    Examples:
      rlaif constitution diff honesty mine.yaml
      rlaif constitution diff old.yaml new.yaml --json
    """
    from rlaif.screen.authoring import diff_job  # noqa: PLC0415

    diff_job(before, after, as_json=json_)


@constitution_app.command("import")
def constitution_import(
    file: Annotated[Path, typer.Argument(help="A JSON file of critiques and revisions, or of comparisons.")],
    name: Annotated[str | None, typer.Option(help="Name of the constitution; the file's by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="YAML file to write; standard output by default.")] = None,
) -> None:
    """Turn principles that others published as JSON into a constitution.

    Understood are lists and dicts of critique and revision instructions (such as those of the Constitutional AI
    paper, of Hugging Face's recipe and of LangChain) and lists of comparison texts. The words stay their authors':
    mind the licence of what you import.

    \b
    Examples:
      rlaif constitution import CritiqueRevisionInstructions.json --name paper --out paper.yaml
      rlaif constitution import constitution_anthropic.json > theirs.yaml
    """
    from rlaif.screen.authoring import import_job  # noqa: PLC0415

    import_job(file, name, out)


@constitution_app.command("schema")
def constitution_schema() -> None:
    """Print the JSON Schema of a constitution file, for completion and checks in an editor.

    \b
    Example, for editors with yaml-language-server (VS Code, Neovim, ...):
      rlaif constitution schema > constitution.schema.json
    and as the first line of a constitution beside it:
      # yaml-language-server: $schema=constitution.schema.json
    """
    from rlaif.screen.authoring import schema_job  # noqa: PLC0415

    schema_job()


@constitution_app.command("check")
def constitution_check(
    files: Annotated[list[str], typer.Argument(help="Shipped names or YAML files.")],
    run: Annotated[str | None, typer.Option(help="A run directory: adds what was measured of each principle.")] = None,
    prompts: Annotated[
        str | None, typer.Option(help="Prompts whose tags count; the run's by default, else the seed prompts.")
    ] = None,
    select: Annotated[str | None, typer.Option(help="Only these codes, or those that begin so: C1,C203.")] = None,
    json_: Json = False,
) -> None:
    """Check that files are constitutions, and lint them: wording, use, and with --run what was measured.

    Every finding comes with file, line and a code. `ignore: [C104]` at the top of a file or at a principle
    suppresses one.

    Exit codes: 0 nothing found, or notes only; 1 warnings; 2 a file is not a constitution, or was not what the run
    was made with.

    \b
    Examples:
      rlaif constitution check mine.yaml harmlessness
      rlaif constitution check mine.yaml --run runs/first
      rlaif constitution check mine.yaml --prompts my.jsonl --select C1,C201 --json
    """
    from rlaif.screen.lint import check_job  # noqa: PLC0415

    check_job(files, run=run, prompts=prompts, select=select, as_json=json_)


@constitution_app.command("explain")
def constitution_explain(
    code: Annotated[str | None, typer.Argument(help="Such as C102; all codes in a list when left out.")] = None,
    json_: Json = False,
) -> None:
    """Explain a code of `rlaif constitution check`: what is reported, why, and how to mend it.

    \b
    Examples:
      rlaif constitution explain
      rlaif constitution explain C102
    """
    from rlaif.screen.lint import explain_job  # noqa: PLC0415

    explain_job(code, as_json=json_)
