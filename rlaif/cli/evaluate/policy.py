"""`rlaif evaluate policy`: compare a policy before and after training."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from rlaif.cli.console import run_stoppable, stdout_console
from rlaif.cli.evaluate.policy_table import print_policy_evaluation
from rlaif.cli.live import LiveScreen
from rlaif.cli.options import DEFAULT_CACHE, AllowPython, Json, count_given
from rlaif.config.judging import JudgingConfig
from rlaif.config.run import PromptsConfig
from rlaif.config.sampling import CONSTITUTION, SamplingConfig
from rlaif.constitution.load import load_constitution
from rlaif.constitution.schema import Constitution
from rlaif.datasets.prompts import read_prompts
from rlaif.errors import ConfigError
from rlaif.evaluate.comparisons import raise_if_many_failed
from rlaif.evaluate.output_files import EVALUATION, check_evaluation_folder
from rlaif.evaluate.policy.gains_and_losses import Side
from rlaif.evaluate.policy.held_out import without_trained_on
from rlaif.evaluate.policy.outputs import OutputsOfBoth
from rlaif.evaluate.policy.policy_evaluation import check_usable, evaluate_policy
from rlaif.evaluate.policy.policy_report import PolicyEvaluation
from rlaif.evaluate.policy.questions import PolicyTest, shipped_probes
from rlaif.executor import Failed
from rlaif.models.config import ModelConfig, model_from_text
from rlaif.models.model_files import require_model
from rlaif.report.html_page import refuse_to_overwrite
from rlaif.report.policy_page import write_policy_report
from rlaif.runs.directory import write_text
from rlaif.templates import TEMPLATE_NAMES, Templates
from rlaif.yaml_file import explain_validation


def policy_command(  # noqa: PLR0913, PLR0917  (a command line's flags)
    base: Annotated[str, typer.Option(help="The model before training: MODEL, URL or MODEL@URL.")],
    tuned: Annotated[str, typer.Option(help="The model after training: a folder, URL or MODEL@URL.")],
    prompts: Annotated[str, typer.Option(help="Prompts that neither model was trained on: a file or a hub dataset.")],
    constitution: Annotated[list[str], typer.Option(help="Shipped name or YAML file; can be given several times.")],
    critic: Annotated[str | None, typer.Option(help="The model that judges; by default the base.")] = None,
    base_system: Annotated[
        str | None, typer.Option(help="System prompt of the base, or `constitution` for the rules of the first one.")
    ] = None,
    tuned_system: Annotated[str | None, typer.Option(help="The same for the tuned model.")] = None,
    trained_on: Annotated[
        list[Path] | None, typer.Option(help="Leave out prompts in this run, dataset folder or file; can be repeated.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, max=64, help="Responses per prompt.")] = 4,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest response, in tokens.")] = 512,
    principles: Annotated[str | None, typer.Option(help="`all`, or the number drawn per prompt.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Use only the first LIMIT prompts, and as many probes of each kind.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples.")] = 0,
    second_opinion: Annotated[
        bool, typer.Option("--second-opinion", help="Also let the critic detect refusals.")
    ] = False,
    cache: Annotated[Path | None, typer.Option(help="Reply store; runs/replies.sqlite by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for evaluation.json, report.html and answers.jsonl.")] = None,
    allow_python: AllowPython = None,
    json_: Json = False,
) -> None:
    """Compare a policy before and after training: win rates under constitutions, and what the training cost.

    Both models get the same prompts with the same seeds, and the project's own probes: needless refusals, harmful
    requests, false claims, questions with four options, neutral texts. Every line is a difference with a 95 % interval
    over prompts; gains and losses are decided for all lines together. Servers that are started here run one after the
    other. Replies are kept in the reply store: the same command continues where it was stopped. What the lines mean:
    docs/policy-evaluation.md.

    \b
    Examples:
      rlaif evaluate policy --base smollm2 --tuned models/honest --prompts held-out.jsonl --constitution honesty
      rlaif evaluate policy --base http://127.0.0.1:8000/v1 --tuned http://127.0.0.1:8001/v1 --prompts p.jsonl \\
                            --constitution honesty --constitution directness --critic Qwen/Qwen3-8B \\
                            --trained-on runs/honesty --out runs/evaluated
      rlaif evaluate policy --base smollm2 --tuned models/honest --prompts p.jsonl --constitution honesty \\
                            --limit 8 --json
      rlaif evaluate policy --base smollm2 --base-system constitution --tuned models/honest --prompts p.jsonl \\
                            --constitution honesty      # does training beat the rules as a system prompt?
    """
    check_evaluation_folder(out, "probes", ("report.html", "answers.jsonl"))
    if out is not None:
        refuse_to_overwrite(out / "report.html")
    found = read_prompts(PromptsConfig(path=prompts, limit=limit))
    base_model, tuned_model = _model("--base", base), _model("--tuned", tuned)
    templates = Templates(names=(*TEMPLATE_NAMES, "choice", "refusal", "system"))
    constitutions = tuple(load_constitution(name) for name in dict.fromkeys(constitution))
    systems: dict[Side, str | None] = {"base": base_system, "tuned": tuned_system}
    store = cache or DEFAULT_CACHE
    test = PolicyTest(
        base=base_model,
        tuned=tuned_model,
        critic=base_model if critic is None else _model("--critic", critic),
        prompts=tuple(found.prompts),
        source=found.source,
        probes=shipped_probes().first(limit),
        constitutions=constitutions,
        sampling=SamplingConfig(n=samples, max_tokens=max_tokens),
        judging=_judging(principles),
        templates=templates,
        systems={side: _system(text, constitutions, templates) for side, text in systems.items() if text},
        cache=store,
        logs=store.parent / "logs",
        seed=seed,
        second_opinion=second_opinion,
    )
    policy_job(without_trained_on(test, trained_on or []), out, as_json=json_)


def _system(text: str, constitutions: Sequence[Constitution], templates: Templates) -> str:
    return templates.render("system", principles=constitutions[0].principles) if text == CONSTITUTION else text


def policy_job(test: PolicyTest, out: Path | None, *, as_json: bool) -> None:
    """Evaluate a tuned policy against its base, print the report, and write it where `out` is given."""
    check_usable(test)
    with LiveScreen(quiet=as_json) as screen:
        if test.dropped:
            screen.say(f"! {len(test.dropped)} prompts are in the training data: {', '.join(test.dropped)}")
        found, outputs = run_stoppable(lambda: evaluate_policy(test, screen), say=screen.say)
    if out is not None:
        write_policy_evaluation(out, found, outputs)
    if as_json:
        print(found.model_dump_json())
    else:
        print_policy_evaluation(found, stdout_console())
        if out is not None:
            print(f"figures  {out / EVALUATION}, report.html, answers.jsonl")
    for model in (outputs.base, outputs.tuned):
        failed = model.failures
        raise_if_many_failed(len(failed), test.question_count(), failed[0].error if failed else None)


def write_policy_evaluation(folder: Path, found: PolicyEvaluation, outputs: OutputsOfBoth) -> None:
    """Write evaluation.json, report.html and answers.jsonl. Raises StorageError."""
    write_text(folder / EVALUATION, found.model_dump_json(indent=1))
    write_text(folder / "answers.jsonl", "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in _rows(outputs)))
    write_policy_report(found, folder / "report.html")


def _rows(outputs: OutputsOfBoth) -> Iterator[dict[str, object]]:
    for side, model in outputs.by_side.items():
        for (kind, name), responses in model.responses.items():
            row: dict[str, object] = {"model": side, "kind": kind, "id": name}
            if isinstance(responses, Failed):
                yield row | {"error": responses.error}
            else:
                yield row | {"answers": responses.texts, "cut": responses.cut}


def _model(flag: str, text: str) -> ModelConfig:
    """Return the configuration of MODEL, URL or MODEL@URL. Raises ConfigError; UsageError if no server loads it."""
    try:
        config = ModelConfig.model_validate(model_from_text(text))
    except ValidationError as error:
        raise ConfigError(f"{flag} {text}: {explain_validation(error, ModelConfig)}") from None
    if config.managed and config.model is not None:
        require_model(config.model, f"{flag} {text}")
    return config


def _judging(principles: str | None) -> JudgingConfig:
    if principles is None:
        return JudgingConfig()
    try:
        return JudgingConfig.model_validate({"principles": count_given(principles)})
    except ValidationError:
        raise ConfigError(f"--principles {principles}: must be `all`, or a number of at least 1") from None
