"""`rlaif constitution`: write, check, test and compare constitutions."""

from rlaif.cli.lazy import group

app = group(
    {
        "list": ("rlaif.cli.constitution.show:constitution_list", "List the shipped constitutions."),
        "show": ("rlaif.cli.constitution.show:constitution_show", "Show the principles of a constitution."),
        "test": ("rlaif.cli.constitution.test:constitution_test", "Ask a critic the cases of every principle."),
        "diff": ("rlaif.cli.constitution.diff:constitution_diff", "Show how one constitution differs from another."),
        "import": ("rlaif.cli.constitution.importing:constitution_import", "Turn published principles into one."),
        "schema": ("rlaif.cli.constitution.importing:schema_command", "Print the JSON Schema, for editors."),
        "check": ("rlaif.cli.constitution.check:constitution_check", "Check that files are constitutions; lint them."),
        "explain": ("rlaif.cli.constitution.check:constitution_explain", "Explain a code of `check`."),
    },
    help="Write, check, test and compare constitutions.",
)


@app.callback()
def _group() -> None:
    """Hold the commands of the table."""
