"""Groups of commands whose modules are imported when they are called: `rlaif --help` imports none of them."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_command

Table = Mapping[str, tuple[str, str]]
"""By a command's name: `module:function`, and what it does in one line."""


class LazyGroup(TyperGroup):
    """A group that knows its commands by a table; subclass it with one."""

    table: ClassVar[Table] = {}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401  (typer has a click of its own inside)
        """Return the names in the table's order."""
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401  (typer has a click of its own inside)
        """Import a command and return it; None for a name that the table lacks."""
        if cmd_name not in self.table:
            return None
        module, _, function = self.table[cmd_name][0].partition(":")
        found = getattr(import_module(module), function)
        if isinstance(found, typer.Typer):
            return get_command(found)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        alone.command(cmd_name)(found)
        return get_command(alone)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  (typer has a click of its own inside)
        """Write the table, without importing a command for its help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])


def group(table: Table, **settings: Any) -> typer.Typer:  # noqa: ANN401
    """Return a group of commands; `settings` are typer's."""
    made = type("Group", (LazyGroup,), {"table": table})
    return typer.Typer(
        cls=made,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        **settings,
    )
