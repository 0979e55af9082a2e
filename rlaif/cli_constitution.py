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
    files: Annotated[list[str], typer.Argument(help="Shipped names or YAML files.")], json_: Json = False
) -> None:
    """Check that files are constitutions; every fault comes with file and line.

    \b
    Example:
      rlaif constitution check mine.yaml harmlessness
    """
    from rlaif.screen.constitutions import check_job  # noqa: PLC0415

    check_job(files, as_json=json_)
