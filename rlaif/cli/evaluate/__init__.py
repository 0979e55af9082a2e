"""`rlaif evaluate ...`: measure judges, verdicts from another source, or a policy before and after training."""

from rlaif.cli.lazy import group

app = group(
    {
        "verdicts": ("rlaif.cli.evaluate.verdicts:verdicts_command", "Measure verdicts from another source."),
        "judge": (
            "rlaif.cli.evaluate.judge:evaluate_judge",
            "Measure a critic against gold labels.",
        ),
        "shortcuts": (
            "rlaif.cli.evaluate.shortcuts:shortcuts_command",
            "Measure what surface features are worth to a run's judges.",
        ),
        "policy": (
            "rlaif.cli.evaluate.policy:policy_command",
            "Compare a policy before and after training.",
        ),
    },
    help="Measure a judge, verdicts from another source, or a policy before and after training.",
)


@app.callback()
def _group() -> None:
    """Make typer treat this as a group of commands."""
