"""`rlaif evaluate policy` on the command line. Everything heavy is imported inside."""

from pathlib import Path
from typing import Annotated

import typer

from rlaif.cli_constitution import Json
from rlaif.cli_evaluate import evaluate_app

__all__ = ["evaluate_app"]


@evaluate_app.command("policy")
def evaluate_policy(  # noqa: PLR0913, PLR0917  (a command line's flags)
    base: Annotated[str, typer.Option(help="The model before training: MODEL, URL or MODEL@URL.")],
    tuned: Annotated[str, typer.Option(help="The model after it: a folder, URL or MODEL@URL.")],
    prompts: Annotated[str, typer.Option(help="Prompts that nobody was trained on: a file, or a hub dataset.")],
    constitution: Annotated[list[str], typer.Option(help="Shipped name or YAML file; give others again.")],
    critic: Annotated[str | None, typer.Option(help="Who judges; the base by default.")] = None,
    trained_on: Annotated[
        list[Path] | None, typer.Option(help="Run, dataset folder or file whose prompts are left out; again for more.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, max=64, help="Answers to each prompt.")] = 4,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 512,
    principles: Annotated[str | None, typer.Option(help="`all`, or how many are drawn per prompt.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many prompts, and of each probe as many.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another one draws other answers.")] = 0,
    second_opinion: Annotated[
        bool, typer.Option("--second-opinion", help="Let the critic read refusals, too, beside the rules.")
    ] = False,
    cache: Annotated[Path | None, typer.Option(help="Reply store; runs/replies.sqlite by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for evaluation.json, report.html, answers.jsonl.")] = None,
    json_: Json = False,
) -> None:
    """Tell what training made of a policy: who wins under the rules, at equal length too, and what that cost.

    Both models answer the same prompts with the same seeds, and the project's own probes: needless refusals, harmful
    requests, false claims, questions with four options, neutral texts. Every line is a difference with a 95 % interval
    over prompts. Servers that are started here run one after the other. Everything asked is kept in the reply store:
    the same command goes on. What the figures mean: docs/policy-evaluation.md.

    \b
    Examples:
      rlaif evaluate policy --base smollm2 --tuned models/honest --prompts held-out.jsonl --constitution honesty
      rlaif evaluate policy --base http://127.0.0.1:8000/v1 --tuned http://127.0.0.1:8001/v1 --prompts p.jsonl \\
                            --constitution honesty --constitution directness --critic Qwen/Qwen3-8B \\
                            --trained-on runs/honesty --out runs/evaluated
      rlaif evaluate policy --base smollm2 --tuned models/honest --prompts p.jsonl --constitution honesty \\
                            --limit 8 --json
    """
    from rlaif.screen.evaluatepolicy import Asked, policy_job  # noqa: PLC0415

    asked = Asked(
        base, tuned, prompts, constitution, critic, trained_on or [],
        samples, max_tokens, principles, limit, seed, second_opinion, cache, out,
    )  # fmt: skip
    policy_job(asked, as_json=json_)
