"""Groups of commands whose modules are imported only when called, so that `rlaif --help` is fast."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_command

Table = Mapping[str, tuple[str, str]]
"""Maps a command's name to (`module:function`, its description in one line)."""


class LazyGroup(TyperGroup):
    """A group whose commands are the entries of `table`, which a subclass sets."""

    table: ClassVar[Table] = {}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401  (typer has a click of its own inside)
        """Return the names of the commands, in the table's order."""
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401  (typer has a click of its own inside)
        """Return a command, importing its module; None for a name that is not in the table."""
        if cmd_name not in self.table:
            return None
        module, _, function = self.table[cmd_name][0].partition(":")
        found = getattr(import_module(module), function)
        if isinstance(found, typer.Typer):
            return get_command(found)
        single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        single.command(cmd_name)(found)
        return get_command(single)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  (typer has a click of its own inside)
        """Write the names and descriptions of the table, without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])


def group(table: Table, **settings: Any) -> typer.Typer:  # noqa: ANN401
    """Return a group of the commands in `table`; `settings` are passed to typer."""
    made = type("Group", (LazyGroup,), {"table": table})
    return typer.Typer(
        cls=made,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        **({"add_completion": False} | settings),
    )
