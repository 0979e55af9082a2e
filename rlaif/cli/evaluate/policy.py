"""`rlaif evaluate policy`: what training made of a policy."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from pydantic import ValidationError

from rlaif.cli.console import stdout_console
from rlaif.cli.evaluate.policy_table import print_policy_evaluation
from rlaif.cli.live import LiveScreen
from rlaif.cli.options import DEFAULT_CACHE, Json
from rlaif.cli.stopping import run_stoppable
from rlaif.config.judging import JudgingConfig
from rlaif.config.run import PromptsConfig, SamplingConfig
from rlaif.constitution.load import load_constitution
from rlaif.datasets.prompts import read_prompts
from rlaif.errors import ConfigError
from rlaif.evaluate.asking import end_where_many_failed
from rlaif.evaluate.policy.asking import count_of
from rlaif.evaluate.policy.evaluation import PolicyEvaluation
from rlaif.evaluate.policy.heard import Heard, failures
from rlaif.evaluate.policy.job import check_usable, evaluate_policy
from rlaif.evaluate.policy.lines import SIDES
from rlaif.evaluate.policy.plan import PolicyTest, without_trained_on
from rlaif.evaluate.policy.probes import shipped_probes
from rlaif.evaluate.tables import EVALUATION, refuse_a_strangers_folder, write_file
from rlaif.executor import Failed
from rlaif.models.config import ModelConfig, model_from_text
from rlaif.models.folders import refuse_no_model
from rlaif.report.page import refuse_strangers
from rlaif.report.policy_page import write_policy_report
from rlaif.templates import TEMPLATE_NAMES, Templates
from rlaif.yaml_file import explain_validation


def policy_command(  # noqa: PLR0913, PLR0917  (a command line's flags)
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
    asked = Asked(
        base, tuned, prompts, constitution, critic, trained_on or [],
        samples, max_tokens, principles, limit, seed, second_opinion, cache, out,
    )  # fmt: skip
    policy_job(asked, as_json=json_)


class Asked(NamedTuple):
    """What the command line says, as it was typed."""

    base: str
    tuned: str
    prompts: str
    constitutions: list[str]
    critic: str | None
    trained_on: list[Path]
    samples: int
    max_tokens: int
    principles: str | None
    limit: int | None
    seed: int
    second_opinion: bool
    cache: Path | None
    out: Path | None


def policy_job(asked: Asked, *, as_json: bool) -> None:
    """Evaluate a tuned policy against its base, print what came out, write it where asked."""
    _refuse_bad_out(asked.out)
    test = _test(asked)
    check_usable(test)
    with LiveScreen(quiet=as_json) as screen:
        if test.dropped:
            screen.say(f"! {len(test.dropped)} prompts stand in the training data: {', '.join(test.dropped)}")
        found, heard = run_stoppable(lambda: evaluate_policy(test, screen))
    if asked.out is not None:
        write_policy_evaluation(asked.out, found, heard)
    if as_json:
        print(found.model_dump_json())
    else:
        print_policy_evaluation(found, stdout_console())
        if asked.out is not None:
            print(f"figures  {asked.out / EVALUATION}, report.html, answers.jsonl")
    for said in (heard.base, heard.tuned):
        failed = failures(said)
        end_where_many_failed(len(failed), count_of(test), failed[0].error if failed else None)


def write_policy_evaluation(folder: Path, found: PolicyEvaluation, heard: Heard) -> None:
    """Write figures, page, and every answer in words. Raises StorageError."""
    write_file(folder / EVALUATION, found.model_dump_json(indent=1))
    write_file(folder / "answers.jsonl", "".join(f"{row}\n" for row in _answers(heard)))
    write_policy_report(found, folder / "report.html")


def _answers(heard: Heard) -> Iterator[str]:
    for side in SIDES:
        said = heard.said(side)
        for (kind, name), spoken in said.spoken.items():
            row = {"model": side, "kind": kind, "id": name}
            if isinstance(spoken, Failed):
                yield json.dumps(row | {"error": spoken.error}, ensure_ascii=False)
            else:
                yield json.dumps(row | {"answers": spoken.texts, "cut": spoken.cut}, ensure_ascii=False)


def _refuse_bad_out(out: Path | None) -> None:
    refuse_a_strangers_folder(out, "probes", ("report.html", "answers.jsonl"))
    if out is not None:
        refuse_strangers(out / "report.html")


def _test(asked: Asked) -> PolicyTest:
    cache = asked.cache or DEFAULT_CACHE
    prompts = read_prompts(PromptsConfig(path=asked.prompts, limit=asked.limit))
    base, tuned = _model("--base", asked.base), _model("--tuned", asked.tuned)
    test = PolicyTest(
        base=base,
        tuned=tuned,
        critic=base if asked.critic is None else _model("--critic", asked.critic),
        prompts=tuple(prompts.prompts),
        source=prompts.source,
        probes=shipped_probes().first(asked.limit),
        constitutions=tuple(load_constitution(name) for name in dict.fromkeys(asked.constitutions)),
        sampling=SamplingConfig(n=asked.samples, max_tokens=asked.max_tokens),
        judging=_judging(asked.principles),
        templates=Templates(names=(*TEMPLATE_NAMES, "choice", "refusal")),
        cache=cache,
        logs=cache.parent / "logs",
        seed=asked.seed,
        second_opinion=asked.second_opinion,
    )
    return without_trained_on(test, asked.trained_on)


def _model(flag: str, text: str) -> ModelConfig:
    """Read MODEL, URL or MODEL@URL. Raises ConfigError, UsageError for a folder that no server loads as it is."""
    try:
        config = ModelConfig.model_validate(model_from_text(text))
    except ValidationError as error:
        raise ConfigError(f"{flag} {text}: {explain_validation(error, ModelConfig)}") from None
    if config.managed and config.model is not None:
        refuse_no_model(config.model, f"{flag} {text}")
    return config


def _judging(principles: str | None) -> JudgingConfig:
    if principles is None:
        return JudgingConfig()
    try:
        given = int(principles) if principles.isdecimal() else principles
        return JudgingConfig.model_validate({"principles": given})
    except ValidationError:
        raise ConfigError(f"--principles {principles}: must be `all`, or a number of at least 1") from None
