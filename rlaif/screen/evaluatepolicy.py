"""`rlaif evaluate policy`: what was gained, what it cost, and where nothing can be said."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rlaif.composition import load_constitution
from rlaif.config import JudgingConfig, ModelConfig, PromptsConfig, SamplingConfig, model_from_text
from rlaif.datasets.prompts import read_prompts
from rlaif.errors import ConfigError, UsageError
from rlaif.evaluate.policy.each import Failed
from rlaif.evaluate.policy.evaluation import Heard, PolicyEvaluation
from rlaif.evaluate.policy.job import check_usable, evaluate_policy
from rlaif.evaluate.policy.lines import SIDES, Finding
from rlaif.evaluate.policy.plan import PolicyTest, without_trained_on
from rlaif.evaluate.policy.probes import shipped_probes
from rlaif.evaluate.policy.words import GROUPS, HEADINGS, chance, difference_of, said_of, value_of
from rlaif.evaluate.tables import write_file
from rlaif.report.page import refuse_strangers
from rlaif.report.policy_page import write_policy_report
from rlaif.screen import plain, stdout_console
from rlaif.screen.cases import DEFAULT_CACHE
from rlaif.screen.jobs import run_stoppable
from rlaif.screen.live import LiveScreen
from rlaif.templates import TEMPLATE_NAMES, Templates
from rlaif.yamlfile import explain_validation

STYLES: dict[Finding, str] = {
    "loss": "bold yellow",
    "gain": "green",
    "change": "bold",
    "nothing shown": "dim",
    "not measured": "dim",
}


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
            print(f"figures  {asked.out / 'evaluation.json'}, report.html, answers.jsonl")


def write_policy_evaluation(folder: Path, found: PolicyEvaluation, heard: Heard) -> None:
    """Write figures, page, and every answer in words. Raises StorageError."""
    write_file(folder / "evaluation.json", found.model_dump_json(indent=1))
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
    if out is None:
        return
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: is a file; name a folder")
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
    folder = Path(config.model or "")
    if config.managed and folder.is_dir():
        if (folder / "adapter_config.json").is_file():
            raise UsageError(
                f"{flag} {text}: holds an adapter, not a whole model; merge it into its base, or serve both and give "
                "NAME@URL"
            )
        if not (folder / "config.json").is_file():
            raise UsageError(f"{flag} {text}: there is no config.json in it, so it is no model's folder")
    return config


def _judging(principles: str | None) -> JudgingConfig:
    if principles is None:
        return JudgingConfig()
    try:
        given = int(principles) if principles.isdecimal() else principles
        return JudgingConfig.model_validate({"principles": given})
    except ValidationError:
        raise ConfigError(f"--principles {principles}: must be `all`, or a number of at least 1") from None


def print_policy_evaluation(found: PolicyEvaluation, console: Console) -> None:
    """Print the table of gains and losses, and what it shows in words."""
    console.print(Text(f"{found.base.name} → {found.tuned.name}", style="bold"))
    rules = ", ".join(f"{one.constitution} v{one.version}" for one in found.wins)
    console.print(
        f"{found.prompts} prompts of {found.source}, {found.sampling.n} answers each · judged under {rules} by "
        f"{found.critic} · 95 % intervals, over prompts",
        markup=False,
    )
    console.print(_lines(found))
    for text in _typical(found):
        console.print(text, markup=False)
    if found.agreement is not None:
        of = found.agreement
        console.print(
            f"critic and rules read {of.agree} of {of.read} answers alike ({of.unread} more can't be read)",
            markup=False,
        )
    for finding, heading in HEADINGS.items():
        for line in _words(found, finding, heading):
            console.print(line)
    console.print(chance(found), markup=False)
    for warning in found.warnings:
        console.print(Text(f"! {warning}", style="bold yellow"))


def _words(found: PolicyEvaluation, finding: Finding, heading: str) -> list[Text]:
    """Return what is shown, line by line; what is not, by name only."""
    said = said_of(found, finding)
    if not said:
        return []
    if finding in {"nothing shown", "not measured"}:
        return [Text(f"{heading}: {', '.join(line.name for line in found.found(finding))}", style="dim")]
    return [Text(heading, style="bold"), *(Text(f"  {line}") for line in said)]


def _lines(found: PolicyEvaluation) -> Table:
    table = Table("", box=SIMPLE_HEAD)
    for column in ("base", "tuned", "difference"):
        table.add_column(column, justify="right")
    table.add_column("")
    shown = ""
    for line in found.lines:
        if GROUPS[line.group] != shown:
            shown = GROUPS[line.group]
            table.add_row(Text(shown, style="bold"))
        table.add_row(
            plain(line.label),
            value_of(line.base, line.unit),
            value_of(line.tuned, line.unit),
            difference_of(line),
            Text(line.finding, style=STYLES[line.finding]),
        )
    return table


def _typical(found: PolicyEvaluation) -> Sequence[str]:
    of = found.phrases
    said = []
    for name, phrases in (("typical of the tuned model", of.gained), ("no longer said as often", of.lost)):
        if phrases:
            shown = [f"“{one.text}” ({one.base:.0f} → {one.tuned:.0f} prompts)" for one in phrases[:8]]
            said.append(f"{name}: {', '.join(shown)}")
    return said or [f"no phrase of {of.looked_at:,} became typical of either model"]
