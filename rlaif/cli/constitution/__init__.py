"""`rlaif constitution`: write, check, test and compare constitutions."""

from rlaif.cli.lazy import group

app = group(
    {
        "list": ("rlaif.cli.constitution.show:constitution_list", "List the shipped constitutions."),
        "show": ("rlaif.cli.constitution.show:constitution_show", "Show the principles of a constitution."),
        "test": (
            "rlaif.cli.constitution.test:constitution_test",
            "Test a critic on the labelled cases of every principle.",
        ),
        "diff": ("rlaif.cli.constitution.diff:constitution_diff", "Show how one constitution differs from another."),
        "import": (
            "rlaif.cli.constitution.importing:constitution_import",
            "Convert published principles (JSON) into a constitution.",
        ),
        "schema": ("rlaif.cli.constitution.importing:schema_command", "Print the JSON Schema, for editors."),
        "check": ("rlaif.cli.constitution.check:constitution_check", "Validate and lint constitution files."),
        "explain": ("rlaif.cli.constitution.check:constitution_explain", "Explain a code that `check` reports."),
    },
    help="Write, check, test and compare constitutions.",
)


@app.callback()
def _group() -> None:
    """Make typer treat this as a group of commands."""
