"""A critic's understanding, against simulated critics of which it is known what they understand."""

from pathlib import Path

import pytest

from rlaif.constitution.schema import Constitution
from rlaif.errors import EndpointError, RequestError, UsageError
from rlaif.evaluate.case_report import CaseReport, PrincipleScore
from rlaif.evaluate.case_test import CaseTest, run_cases
from rlaif.models.config import ModelConfig
from rlaif.templates import Templates
from rlaif.testing import Fault, PlantedRule, SimulatedModel, SimulatedServer


def rules(**cases: int) -> Constitution:
    """Return a constitution with so many cases of each principle; the better answer's quality is 1.5 higher."""
    principles = [
        {
            "id": name,
            "compare": f"Which answer is more {name}?",
            "compare_only": True,
            "applies_to": ["some-tag"],
            "cases": [
                {"prompt": f"{name} {n}?", "better": f"Good {n} (quality +1.0).", "worse": f"Bad {n} (quality -0.5)."}
                for n in range(count)
            ],
        }
        for name, count in cases.items()
    ]
    return Constitution.model_validate({"name": "t", "version": 1, "description": "d", "principles": principles})


async def examined(
    tmp_path: Path, constitution: Constitution, model: SimulatedModel, server: SimulatedServer | None = None
) -> CaseReport:
    async with server or SimulatedServer(model) as running:
        critic = ModelConfig(url=(running.url,), retries=0)
        return await run_cases(CaseTest(constitution, critic, tmp_path / "r.sqlite", tmp_path, Templates()))


def scores(report: CaseReport) -> dict[str, PrincipleScore]:
    return {one.principle: one for one in report.principles}


async def test_a_critic_that_prefers_the_better_responses_understands_all_principles(tmp_path: Path) -> None:
    report = await examined(tmp_path, rules(kind=6, short=2), SimulatedModel(scale=2.0))
    assert report.overall.outcomes == {"right": 8}
    assert report.overall.order_agreement == 1
    assert report.overall.label_mass == pytest.approx(0.97, abs=1e-6)
    assert report.overall.p_better == pytest.approx(1 / (1 + 2.718281828**-3), abs=1e-4)  # 2 * (1.0 + 0.5) logits
    assert report.findings == ()
    found = scores(report)
    assert (found["kind"].understood, found["kind"].verdict) == (True, "understood")
    assert found["short"].understood is None
    assert found["short"].verdict == "none wrong, but 2 cases may be right by chance"


async def test_the_interval_is_wilsons_over_the_decided_cases(tmp_path: Path) -> None:
    rule = PlantedRule(contains="kind", agrees=0.7)
    report = await examined(tmp_path, rules(kind=40), SimulatedModel(rules=(rule,)))
    accuracy = report.overall.accuracy
    right, wrong = report.overall.count("right"), report.overall.count("wrong")
    assert right + wrong == accuracy.n == 40
    assert accuracy.value == right / 40
    assert accuracy.holds(0.7)
    assert not accuracy.holds(0.95)


async def test_a_rule_that_the_critic_inverts_is_named(tmp_path: Path) -> None:
    upside_down = tuple(PlantedRule(contains=f"more {name}", agrees=0.0) for name in ("short", "odd"))
    report = await examined(tmp_path, rules(kind=6, short=6, odd=2), SimulatedModel(rules=upside_down))
    assert scores(report)["short"].score.outcomes == {"wrong": 6}
    assert report.findings == (
        "not understood, or not decided: short, odd",
        "over all principles 6 of 14 verdicts are right, which may be chance",
    )


async def test_a_constant_position_bias_is_reported_and_costs_no_verdict(tmp_path: Path) -> None:
    report = await examined(tmp_path, rules(kind=10, short=10), SimulatedModel(position_bias=3.0))
    assert report.position_bias.overall == pytest.approx(3.0, abs=1e-3)
    assert report.overall.outcomes == {"right": 20}
    assert report.overall.order_agreement == 0  # as they came
    assert report.findings == (
        "in 100% of the questions, the critic named another winner when the responses were swapped",
    )


async def test_a_rule_that_is_decided_by_position_is_named_and_neither_right_nor_wrong(tmp_path: Path) -> None:
    rule = PlantedRule(contains="more short", position_bias=4.0)
    report = await examined(tmp_path, rules(kind=7, short=5), SimulatedModel(rules=(rule,)))
    short = scores(report)["short"]
    assert short.score.outcomes == {"by position": 5}
    assert (short.score.accuracy.value, short.score.unanswered, short.understood) == (None, 5, False)
    assert short.verdict == "decides by position"
    assert "not understood, or not decided: short" in report.findings


async def test_an_unreadable_critic_decides_nothing(tmp_path: Path) -> None:
    report = await examined(tmp_path, rules(kind=5), SimulatedModel(label_mass=0.07))
    assert report.overall.outcomes == {"unreadable": 5}
    assert report.overall.accuracy.value is None
    assert report.principles[0].verdict == "unreadable: label mass 7%"
    assert (
        report.findings[-1]
        == "this shows nothing about the rules, because this critic cannot judge; use another critic"
    )
    assert all(result.p_better is None and len(result.verdicts) == 2 for result in report.results)


async def test_a_tie_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    report = await examined(tmp_path, rules(kind=5), SimulatedModel(ties=1.0))
    assert report.overall.outcomes == {"tie": 5}
    assert report.principles[0].verdict == "sees no difference"
    assert report.findings[-1].startswith("this shows nothing about the rules")


async def test_outcomes_add_up_whatever_the_critic_does(tmp_path: Path) -> None:
    model = SimulatedModel(ties=0.3, unreadable=0.2, noise=2.0)
    report = await examined(tmp_path, rules(kind=20, short=20, odd=1), model)
    assert set(report.overall.outcomes) == {"right", "wrong", "tie", "unreadable", "by position"}
    for one in (report.overall, *(one.score for one in report.principles)):
        assert one.cases == sum(one.outcomes.values()) == one.count("right") + one.count("wrong") + one.unanswered
    assert [one.score.cases for one in report.principles] == [20, 20, 1]
    assert len(report.results) == 41


async def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    first, again = SimulatedServer(), SimulatedServer()
    one = await examined(tmp_path, rules(kind=3, short=2), SimulatedModel(), first)
    two = await examined(tmp_path, rules(kind=3, short=2), SimulatedModel(), again)
    assert (first.count("judge"), again.count("judge")) == (10, 0)
    assert one == two


async def test_principles_without_cases_are_listed_and_those_never_judged_are_not(tmp_path: Path) -> None:
    content = rules(kind=2, short=0).model_dump(mode="json")
    content["principles"].append({"id": "quiet", "critique": "c", "revise": "r", "critique_only": True})
    report = await examined(tmp_path, Constitution.model_validate(content), SimulatedModel())
    assert report.untested == ("short",)
    assert [one.principle for one in report.principles] == ["kind"]


async def test_a_constitution_without_cases_asks_nobody(tmp_path: Path) -> None:
    critic = ModelConfig(url=("http://127.0.0.1:9/v1",))
    with pytest.raises(UsageError, match="constitution t has no cases to judge"):
        await run_cases(CaseTest(rules(kind=0), critic, tmp_path / "r.sqlite", tmp_path, Templates()))
    assert list(tmp_path.iterdir()) == []


async def test_a_case_whose_request_fails_is_counted_separately(tmp_path: Path) -> None:
    fault = Fault(kind="judge", status=400, contains="kind 2?", times=None, message="too long")
    report = await examined(tmp_path, rules(kind=6), SimulatedModel(faults=(fault,)))
    assert report.overall.outcomes == {"right": 5, "failed": 1}
    (failed,) = [result for result in report.results if result.outcome == "failed"]
    assert failed.number == 3
    assert "too long" in (failed.error or "")
    assert scores(report)["kind"].verdict == "none wrong, but 5 cases may be right by chance"


async def test_where_all_requests_fail_the_error_is_raised(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="too long"):
        await examined(
            tmp_path, rules(kind=3), SimulatedModel(faults=(Fault(status=400, times=None, message="too long"),))
        )


async def test_a_critic_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    critic = ModelConfig(url=("http://127.0.0.1:9/v1",), retries=0)
    with pytest.raises(EndpointError):
        await run_cases(CaseTest(rules(kind=1), critic, tmp_path / "r.sqlite", tmp_path, Templates()))


async def test_a_conversation_of_several_turns_is_asked_whole(tmp_path: Path) -> None:
    turns = [("user", "First?"), ("assistant", "Yes."), ("user", "And then?")]
    content = rules(kind=1).model_dump(mode="json", exclude_defaults=True)
    content["principles"][0]["cases"][0] |= {"messages": [{"role": r, "content": c} for r, c in turns]}
    del content["principles"][0]["cases"][0]["prompt"]
    rejects = Fault(kind="judge", status=400, contains="[assistant]\\nYes.", times=None, message="seen")
    with pytest.raises(RequestError, match="seen"):
        await examined(tmp_path, Constitution.model_validate(content), SimulatedModel(faults=(rejects,)))
