"""Measured codes: from matchups made by hand, and from a finished run against the simulated server."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from rlaif.config.judging import JudgingConfig
from rlaif.constitution.load import resolve_constitution
from rlaif.constitution.schema import Constitution, Principle
from rlaif.errors import UsageError
from rlaif.generation import generate_async
from rlaif.lint.codes import MEASURED, RULES, Hit, codes
from rlaif.lint.findings import lint
from rlaif.lint.subject import ENOUGH_FOR_ALWAYS, Measurement, PromptTags, Subject
from rlaif.records import Matchup, Message, Order, Prompt, Verdict
from rlaif.runs.reader import Run
from rlaif.testing import SimulatedModel, SimulatedServer
from tests.conftest import MakeConfig

Says = tuple[float, float, float]
"""Logit in order ab, logit in order ba, label mass."""
Critic = Callable[[int], dict[str, Says]]
"""For the n-th prompt what each principle says."""


def prefers(logit: float, mass: float = 0.9) -> Says:
    """A verdict for a of this size, the same in both orders."""
    return logit, -logit, mass


def side(n: int, period: int = 2) -> float:
    """A winner that changes from prompt to prompt."""
    return 1.0 if (n // period) % 2 else -1.0


def verdict(principle: str, order: Order, logit: float, mass: float) -> Verdict:
    return Verdict(principle=principle, order=order, first=-1.0, second=-1.0 - logit, label_mass=mass, reply="r")


def measured(critic: Critic, prompts: int = 100, **changes: dict[str, object]) -> list[tuple[str, Hit]]:
    """Return the hits of all measured rules; `changes` are keys of the principles."""
    names = list(critic(0))
    rules = Constitution(
        name="t",
        version=1,
        description="d",
        principles=tuple(
            Principle.model_validate({"id": n, "compare": f"Which {n}?", "compare_only": True} | changes.get(n, {}))
            for n in names
        ),
    )
    judged = []
    for number in range(prompts):
        answers = critic(number).items()
        verdicts = [verdict(n, "ab", ab, mass) for n, (ab, _, mass) in answers]
        verdicts += [verdict(n, "ba", ba, mass) for n, (_, ba, mass) in answers]
        prompt = Prompt(id=str(number), messages=(Message(role="user", content="?"),), tags=("even",) * (number % 2))
        judged.append((prompt, [Matchup(a="s0", b="s1", verdicts=tuple(verdicts))]))
    judging = JudgingConfig(min_margin=0, min_label_mass=0, allow_order_noise=True)
    found = Measurement.of_matchups("runs/x", judged, rules, judging.rule(rules.weights, rules.priorities))
    subject = Subject(
        rules, dict.fromkeys(names, "t.yaml"), frozenset(names), PromptTags("", 0, frozenset(), False), found
    )
    return [(code, hit) for code, rule in RULES.items() if code.startswith(MEASURED) for hit in rule(subject)]


def findings_of(critic: Critic, prompts: int = 100, **changes: dict[str, object]) -> set[tuple[str, str | None]]:
    return {(code, hit.principle) for code, hit in measured(critic, prompts, **changes)}


def independent(n: int) -> dict[str, Says]:
    """Three principles of which each decides now and then."""
    return {"k": prefers(side(n, 1)), "l": prefers(1.1 * side(n, 2)), "m": prefers(0.9 * side(n, 4))}


def among(**others: Callable[[int], Says]) -> Critic:
    return lambda n: independent(n) | {name: says(n) for name, says in others.items()}


TRIPPING: dict[str, tuple[Critic, str]] = {
    "C301": (among(x=lambda n: prefers(0.01 * side(n, 8))), "x"),
    "C302": (among(x=lambda n: prefers(0.7 * side(n, 1))), "x"),
    "C303": (among(x=lambda n: prefers(-0.7 * side(n, 1))), "x"),
    "C304": (among(x=lambda n: (2.0, 1.5 + side(n, 8) / 4, 0.9)), "x"),
    "C305": (among(x=lambda n: prefers(side(n, 8), mass=0.2)), "x"),
}
UNREPORTED: dict[str, Critic] = {
    "C301": among(x=lambda n: prefers(side(n, 8) * (3.0 if n % 20 == 0 else 0.01))),
    "C302": among(x=lambda n: prefers(0.7 * side(n, 1) * (-1 if n % 10 == 0 else 1))),
    "C303": among(x=lambda n: prefers(-0.7 * side(n, 1) * (-1 if n % 10 == 0 else 1))),
    "C304": among(x=lambda n: (2.0, -1.0 if n % 5 < 3 else 1.0, 0.9)),
    "C305": among(x=lambda n: prefers(side(n, 8), mass=0.2 if n % 2 else 0.9)),
}


def test_every_measured_code_is_tested() -> None:
    assert set(TRIPPING) == set(UNREPORTED) == {code for code in codes() if code.startswith(MEASURED)}


@pytest.mark.parametrize("code", TRIPPING)
def test_what_a_run_shows_is_reported(code: str) -> None:
    critic, principle = TRIPPING[code]
    assert (code, principle) in findings_of(critic)
    assert not {(code, name) for name in ("k", "l", "m")} & findings_of(critic)


@pytest.mark.parametrize("code", UNREPORTED)
def test_what_a_run_does_not_show_clearly_is_not_reported(code: str) -> None:
    assert code not in {found for found, _ in findings_of(UNREPORTED[code])}


@pytest.mark.parametrize("code", ["C301", "C302", "C303"])
def test_few_prompts_never_show_that_something_is_always_so(code: str) -> None:
    critic, principle = TRIPPING[code]
    assert (code, principle) not in findings_of(critic, ENOUGH_FOR_ALWAYS - 1)
    assert (code, principle) in findings_of(critic, ENOUGH_FOR_ALWAYS)


def test_the_message_gives_the_share_its_interval_and_what_it_was_measured_on() -> None:
    critic, _ = TRIPPING["C302"]
    [hit] = [hit for code, hit in measured(critic) if code == "C302"]
    # Of 100 prompts, all: the open end is 0.025^(1/100).
    assert hit.message == (
        'names the same winner as "k" in 100.0% of 100 matchups (95 % interval 96.4% to 100.0%, 100 prompts)'
    )


def test_what_most_principles_share_is_reported_once_about_the_critic() -> None:
    found = measured(lambda n: dict.fromkeys("klmx", prefers(side(n))))
    assert [(code, hit.principle) for code, hit in found] == [("C301", None), ("C302", None)]
    assert found[1][1].message.startswith(
        "3 of 4 principles, so the cause is probably the critic and not their wording"
    )


def test_principles_of_different_levels_may_contradict_each_other() -> None:
    critic, _ = TRIPPING["C303"]
    assert not any(code == "C303" for code, _ in findings_of(critic, x={"priority": 2}))


def test_a_level_that_is_never_reached_decides_nothing() -> None:
    hits = measured(among(x=lambda n: prefers(3 * side(n, 8))), x={"priority": 2})
    [hit] = [hit for code, hit in hits if code == "C301"]
    assert hit.principle == "x"
    assert "at level 2 it only decides where higher levels abstain" in hit.message


def test_a_principle_counts_only_where_it_applies() -> None:
    # Against k on even prompts, where it would not be asked; with k on the others.
    critic = among(x=lambda n: prefers(0.7 * side(n, 1) * (1 if n % 2 else -1)))
    assert ("C302", "x") not in findings_of(critic, 200)
    assert ("C302", "x") in findings_of(critic, 200, x={"applies_to": ["even"]})


# A finished run


async def finished(make_config: MakeConfig, model: SimulatedModel, prompts: int) -> Run:
    async with SimulatedServer(model) as server:
        return await generate_async(make_config(server, prompts, revision={"rounds": 0}, judging={"min_margin": 0.0}))


def found_in(run: Run, constitution: Path) -> dict[str, str | None]:
    resolved = resolve_constitution(constitution)
    tags = PromptTags.read()
    findings = lint(resolved, tags, Measurement.of(run, resolved.constitution))
    return {finding.code: finding.principle for finding in findings if finding.code.startswith(MEASURED)}


async def test_two_questions_with_the_same_winners_are_found_in_a_run(
    make_config: MakeConfig, constitution_file: Path
) -> None:
    run = await finished(make_config, SimulatedModel(), 80)
    assert found_in(run, constitution_file).get("C302") == "short"


async def test_a_critic_that_decides_by_position_is_found_in_a_run(
    make_config: MakeConfig, constitution_file: Path
) -> None:
    run = await finished(make_config, SimulatedModel(position_bias=6, noise=0.1), 40)
    assert "C304" in found_in(run, constitution_file)


async def test_a_critic_that_does_not_answer_is_found_in_a_run(
    make_config: MakeConfig, constitution_file: Path
) -> None:
    run = await finished(make_config, SimulatedModel(label_mass=0.1), 40)
    assert "C305" in found_in(run, constitution_file)


async def test_a_noisy_critic_without_faults_has_no_findings(make_config: MakeConfig, constitution_file: Path) -> None:
    run = await finished(make_config, SimulatedModel(noise=1.5), 80)
    assert found_in(run, constitution_file) == {}


def _changed(file: Path, old: str, new: str) -> Constitution:
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    return resolve_constitution(file).constitution


def test_a_run_with_other_questions_is_refused(make_config: MakeConfig, constitution_file: Path) -> None:
    run = asyncio.run(finished(make_config, SimulatedModel(), 3))
    with pytest.raises(UsageError, match=r'was made with another question for "kind" \("Which answer is kinder\?"\)'):
        Measurement.of(run, _changed(constitution_file, "is kinder?", "sounds kinder?"))


def test_a_run_with_other_principles_is_refused(make_config: MakeConfig, constitution_file: Path) -> None:
    run = asyncio.run(finished(make_config, SimulatedModel(), 3))
    with pytest.raises(UsageError, match=r'was made without principle "kindly".*; its principles are kind, short'):
        Measurement.of(run, _changed(constitution_file, "id: kind", "id: kindly"))


def test_weights_may_differ_from_the_runs(make_config: MakeConfig, constitution_file: Path) -> None:
    run = asyncio.run(finished(make_config, SimulatedModel(), 3))
    assert Measurement.of(run, _changed(constitution_file, "weight: 2", "weight: 3")).matchups > 0


def test_a_run_without_comparisons_is_refused(make_config: MakeConfig, constitution_file: Path) -> None:
    async def nothing_judged() -> Run:
        async with SimulatedServer() as server:
            return await generate_async(make_config(server, 2, judging={"kind": "none"}))

    run = asyncio.run(nothing_judged())
    with pytest.raises(UsageError, match="has compared no responses yet"):
        Measurement.of(run, resolve_constitution(constitution_file).constitution)
