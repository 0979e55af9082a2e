"""`rlaif evaluate ...`: measure a judge, verdicts collected elsewhere, or what training made of a policy."""

from rlaif.cli.lazy import group

app = group(
    {
        "verdicts": ("rlaif.cli.evaluate.verdicts:verdicts_command", "Measure verdicts that others collected."),
        "judge": (
            "rlaif.cli.evaluate.judge:evaluate_judge",
            "Measure a critic against gold labels.",
        ),
        "policy": (
            "rlaif.cli.evaluate.policy:policy_command",
            "Tell what training made of a policy.",
        ),
    },
    help="Measure a judge, verdicts collected elsewhere, or what training made of a policy.",
)


@app.callback()
def _group() -> None:
    """Hold the commands of the table."""
