"""`rlaif evaluate policy`: from what was typed to what is printed and written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from rlaif.composition import load_constitution
from rlaif.config import JudgingConfig, ModelConfig, PromptsConfig, SamplingConfig, model_from_text
from rlaif.datasets.prompts import read_prompts
from rlaif.errors import ConfigError
from rlaif.evaluate.asking import Failed, end_where_many_failed
from rlaif.evaluate.policy.asking import count_of
from rlaif.evaluate.policy.evaluation import PolicyEvaluation
from rlaif.evaluate.policy.heard import Heard, failures
from rlaif.evaluate.policy.job import check_usable, evaluate_policy
from rlaif.evaluate.policy.lines import SIDES
from rlaif.evaluate.policy.plan import PolicyTest, without_trained_on
from rlaif.evaluate.policy.probes import shipped_probes
from rlaif.evaluate.tables import EVALUATION, refuse_a_strangers_folder, write_file
from rlaif.models.folders import refuse_no_model
from rlaif.report.page import refuse_strangers
from rlaif.report.policy_page import write_policy_report
from rlaif.screen import stdout_console
from rlaif.screen.cases import DEFAULT_CACHE
from rlaif.screen.jobs import run_stoppable
from rlaif.screen.live import LiveScreen
from rlaif.screen.policytable import print_policy_evaluation
from rlaif.templates import TEMPLATE_NAMES, Templates
from rlaif.yamlfile import explain_validation


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
