"""`rlaif constitution ...` on the command line. Everything heavy is imported inside."""

from typing import Annotated

import typer

constitution_app = typer.Typer(help="List, show and check constitutions.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines instead.")]


@constitution_app.command("list")
def constitution_list(json_: Json = False) -> None:
    """List the shipped constitutions."""
    from rlaif.screen.constitutions import list_job  # noqa: PLC0415

    list_job(as_json=json_)


@constitution_app.command("show")
def constitution_show(
    name: Annotated[str, typer.Argument(help="Shipped name or YAML file.")], json_: Json = False
) -> None:
    """Show the principles of a constitution."""
    from rlaif.screen.constitutions import show_job  # noqa: PLC0415

    show_job(name, as_json=json_)


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
