"""Critics against gold labels, where it is known what they prefer: the figures must find what was planted."""

import json
import random
from pathlib import Path
from typing import Any

import pandas
import pytest

from rlaif.config.judging import JudgingConfig
from rlaif.constitution.schema import Constitution
from rlaif.errors import ConfigError, RequestError
from rlaif.evaluate.fitness import against_labels
from rlaif.evaluate.gold import read_gold
from rlaif.evaluate.judge_evaluation import Contender, JudgeTest, evaluate_judges
from rlaif.evaluate.judge_files import verdict_rows
from rlaif.evaluate.judge_metrics import JudgedItem
from rlaif.evaluate.judge_report import CriticReport, JudgeEvaluation
from rlaif.models.config import ModelConfig
from rlaif.stats.estimates import Estimate
from rlaif.templates import Templates
from rlaif.testing import Fault, SimulatedModel, SimulatedServer


def rules(*names: str) -> Constitution:
    principles = [{"id": name, "compare": f"Which is more {name}?", "compare_only": True} for name in names]
    return Constitution.model_validate({"name": "t", "version": 1, "description": "d", "principles": principles})


def gold_file(tmp_path: Path, n: int = 120, gap: float = 2.0, seed: int = 0) -> Path:
    """Write n items; the chosen answer's planted quality is higher by `gap`, its length has nothing to do with it."""
    rng = random.Random(seed)

    def text(quality: float) -> str:
        return " ".join(["word"] * rng.randint(4, 60)) + f" (quality {quality:+.3f})"

    rows = [
        {
            "id": k,
            "subset": "xy"[k % 2],
            "prompt": f"Number {k // 2}?",
            "chosen": text(gap / 2),
            "rejected": text(-gap / 2),
        }
        for k in range(n)
    ]
    path = tmp_path / "gold.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


async def evaluated(
    tmp_path: Path,
    model: SimulatedModel,
    *names: str,
    gold: Path | None = None,
    server: SimulatedServer | None = None,
    **judging: Any,
) -> tuple[JudgeEvaluation, list[JudgedItem]]:
    async with server or SimulatedServer(model) as running:
        critic = ModelConfig(url=(running.url,), retries=0)
        settings = JudgingConfig(**judging)
        test = JudgeTest(
            gold=read_gold(gold or gold_file(tmp_path)),
            constitution=rules(*(names or ("good",))),
            contenders=[Contender("it", "pairwise-logprob", critic, settings)],
            judging=settings,
            templates=settings.load_templates(None),
            cache=tmp_path / "replies.sqlite",
            logs=tmp_path,
        )
        found, judged = await evaluate_judges(test)
        return found, judged["it pairwise-logprob"]


async def reported(tmp_path: Path, model: SimulatedModel, *names: str, **options: Any) -> CriticReport:
    return (await evaluated(tmp_path, model, *names, **options))[0].critics[0]


async def test_what_was_planted_is_found(tmp_path: Path) -> None:
    gold = gold_file(tmp_path, n=300)
    model = SimulatedModel(scale=0.5, position_bias=2.0, length_bias=0.5, noise=0.5)
    critic = await reported(tmp_path, model, gold=gold)
    found = critic.overall
    assert found.position_bias.holds(2.0)
    assert found.length_bias.holds(0.5)
    assert found.length_choice.holds(0.5)  # all differ by the same quality, so nothing draws it to zero
    assert not found.length_bias.holds(0.0)
    assert not found.position_bias.holds(0.0)
    assert found.label_mass.value == pytest.approx(0.97, abs=1e-6)
    assert critic.position_bias.overall == pytest.approx(2.0, abs=0.1)


async def test_shares_equal_a_plain_count_of_the_verdicts(tmp_path: Path) -> None:
    model = SimulatedModel(scale=0.3, position_bias=0.4, noise=0.5)
    found, judged = await evaluated(tmp_path, model)
    overall = found.critics[0].overall
    rows = list(verdict_rows({"it": judged}))
    table: dict[str, dict[str, float]] = {}
    for row in rows:
        table.setdefault(row["id"], {})[row["shown_first"]] = row["logit_first"]
    assert len(rows) == 240
    # logit_first speaks for what is shown first: the better answer in one row, the worse one in the other
    kept = [one["better"] * one["worse"] < 0 for one in table.values()]
    right = [one["better"] - one["worse"] > 0 for one in table.values()]
    single = [(row["shown_first"] == "better") == (row["logit_first"] > 0) for row in rows]
    assert overall.order_agreement.value == sum(kept) / 120
    assert overall.accuracy_sign.value == sum(right) / 120
    assert overall.accuracy_one_order.value == sum(single) / 240
    assert overall.first.value == sum(row["logit_first"] > 0 for row in rows) / 240
    assert overall.position_bias.value == pytest.approx(sum(sum(one.values()) / 2 for one in table.values()) / 120)
    assert 0.1 < overall.order_agreement.value < 0.9
    assert sum(overall.outcomes.values()) == overall.items == 120
    labelled = [one for one in judged if one.outcome in {"right", "wrong"}]
    assert overall.accuracy_labels.n == len(labelled)
    assert overall.accuracy_labels.value == sum(one.outcome == "right" for one in labelled) / len(labelled)
    assert {name: figures.items for name, figures in found.critics[0].subsets.items()} == {"x": 60, "y": 60}


async def test_baselines_are_those_of_the_file(tmp_path: Path) -> None:
    found, _ = await evaluated(tmp_path, SimulatedModel())
    items = read_gold(tmp_path / "gold.jsonl").items
    assert found.baselines.longer_wins.value == sum(len(i.chosen) > len(i.rejected) for i in items) / 120
    assert found.baselines.first_wins.value is None
    assert (found.items, found.prompts, found.subsets) == (120, 60, {"x": 60, "y": 60})


async def test_a_perfect_critic_is_fit(tmp_path: Path) -> None:
    critic = await reported(tmp_path, SimulatedModel(scale=3.0))
    assert critic.overall.accuracy_labels.value == critic.overall.accuracy_sign.value == 1
    assert critic.overall.outcomes == {"right": 120}
    assert (critic.fitness.verdict, critic.fitness.settings, critic.fitness.reasons) == ("fit", {}, ())


async def test_a_critic_led_by_position_is_not_fit(tmp_path: Path) -> None:
    critic = await reported(tmp_path, SimulatedModel(scale=0.0, position_bias=3.0, noise=0.5))
    assert critic.overall.first.value == 1
    assert critic.overall.accuracy_sign.holds(0.5)
    assert critic.fitness.verdict == "not fit"
    assert "change with the order: it favours the response shown first" in critic.fitness.reasons[-1]


async def test_a_constant_position_bias_is_fit_with_both_orders_only(tmp_path: Path) -> None:
    both = await reported(tmp_path, SimulatedModel(position_bias=5.0))
    assert (both.overall.order_agreement.value, both.overall.accuracy_labels.value) == (0, 1)
    assert both.fitness.verdict == "fit with these settings"
    assert both.fitness.settings == {"judging.orders": "both"}
    one = await reported(tmp_path, SimulatedModel(position_bias=5.0), orders="one")
    assert one.overall.order_agreement.value is None
    assert one.overall.accuracy_sign.holds(0.5)  # always the first one, and which one that is was drawn
    assert one.fitness.verdict == "not fit"


async def test_a_stricter_margin_is_named_where_it_helps(tmp_path: Path) -> None:
    rng, path = random.Random(1), gold_file(tmp_path)
    rows = []
    for k in range(300):  # a quarter is clear, the others are all the same to the critic, whose noise decides
        gap = rng.choice([0.0, 0.0, 0.0, 3.0])
        answers = [f"{name} {k} (quality {sign * gap / 2:+.2f})" for name, sign in (("one", 1), ("two", -1))]
        rows.append({"prompt": f"{k}?", "chosen": answers[0], "rejected": answers[1]})
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found, judged = await evaluated(
        tmp_path, SimulatedModel(noise=1.2), gold=path, min_margin=0, allow_order_noise=True
    )
    critic = found.critics[0]
    assert critic.overall.accuracy_labels.value < 0.65
    assert critic.fitness.verdict == "fit with these settings"
    margin = critic.fitness.settings["judging.min_margin"]
    kept = [one.outcome == "right" for one in judged if abs(one.p - 0.5) >= margin]
    assert sum(kept) / len(kept) >= 0.65
    assert len(kept) >= 0.2 * 300


async def test_an_unreadable_critic_is_not_fit_and_abstains(tmp_path: Path) -> None:
    critic = await reported(tmp_path, SimulatedModel(label_mass=0.1))
    assert critic.overall.outcomes == {"unreadable": 120}
    assert critic.overall.accuracy_labels.value is None
    assert critic.overall.accuracy_sign.value == 1  # what its few per cent say is told, too
    assert critic.fitness.verdict == "not fit"
    assert "only 10% of its probability falls on the two labels" in critic.fitness.reasons[0]


async def test_ties_are_neither_right_nor_wrong(tmp_path: Path) -> None:
    critic = await reported(tmp_path, SimulatedModel(ties=1.0))
    assert critic.overall.outcomes == {"tie": 120}
    assert critic.overall.accuracy_sign.value is None
    assert critic.overall.brier.value == pytest.approx(0.25)
    assert critic.overall.calibration_error.value == pytest.approx(0, abs=1e-9)


async def test_all_principles_are_asked_or_as_many_as_are_drawn(tmp_path: Path) -> None:
    three = await reported(tmp_path, SimulatedModel(), "good", "kind", "short")
    assert three.cost.verdicts == 120 * 2 * 3
    drawn, judged = await evaluated(tmp_path, SimulatedModel(), "good", "kind", "short", principles=2)
    assert drawn.critics[0].cost.verdicts == 120 * 2 * 2
    asked = pandas.DataFrame(list(verdict_rows({"it": judged}))).groupby(["subset", "id"])["principle"].nunique()
    assert set(asked) == {2}


async def test_nothing_is_asked_twice_and_the_figures_are_the_same(tmp_path: Path) -> None:
    first, again = SimulatedServer(), SimulatedServer()
    one = await reported(tmp_path, SimulatedModel(), server=first)
    two = await reported(tmp_path, SimulatedModel(), server=again)
    assert (first.count("judge"), again.count("judge")) == (240, 0)
    assert (one.overall, one.fitness, one.reliability) == (two.overall, two.fitness, two.reliability)
    assert (one.cost.from_store, two.cost.from_store, two.cost.seconds) == (0, 240, None)


async def test_what_was_asked_before_a_fault_is_kept(tmp_path: Path) -> None:
    broken = SimulatedServer(SimulatedModel(faults=(Fault(kind="judge", status=401, after=100, times=None),)))
    with pytest.raises(Exception, match="401"):
        await evaluated(tmp_path, SimulatedModel(), server=broken)
    whole = SimulatedServer()
    critic = await reported(tmp_path, SimulatedModel(), server=whole)
    assert critic.cost.from_store >= 90
    assert whole.count("judge") + critic.cost.from_store == 240


async def test_an_item_that_cannot_be_asked_is_counted_apart(tmp_path: Path) -> None:
    fault = Fault(kind="judge", status=400, contains="Number 7?", times=None, message="too long")
    critic = await reported(tmp_path, SimulatedModel(scale=3.0, faults=(fault,)))
    assert critic.overall.outcomes == {"right": 118, "failed": 2}
    assert critic.overall.accuracy_labels.n == 118
    assert "too long" in (critic.error or "")
    assert "the requests of 2 of 120 items failed" in critic.fitness.notes


async def test_where_no_item_can_be_asked_the_error_is_raised_soon(tmp_path: Path) -> None:
    server = SimulatedServer(SimulatedModel(faults=(Fault(status=400, times=None, message="too long"),)))
    with pytest.raises(RequestError, match="too long"):
        await evaluated(tmp_path, SimulatedModel(), server=server)
    assert len(server.asked) < 480  # each at most twice, as no reply shows what the server can report


async def test_a_constitution_that_compares_nothing_asks_nobody(tmp_path: Path) -> None:
    principle = {"id": "p", "critique": "c", "revise": "r", "critique_only": True}
    nothing = Constitution.model_validate({"name": "t", "version": 1, "description": "d", "principles": [principle]})
    gold = read_gold(gold_file(tmp_path))
    settings = JudgingConfig()
    contenders = [Contender("it", "pairwise-logprob", ModelConfig(url=("http://127.0.0.1:9/v1",)), settings)]
    with pytest.raises(ConfigError, match="no principle with a compare question"):
        await evaluate_judges(
            JudgeTest(gold, nothing, contenders, settings, Templates(), tmp_path / "r.sqlite", tmp_path)
        )


def share(value: float, low: float, high: float, n: int = 100) -> Estimate:
    return Estimate(value=value, low=low, high=high, n=n, prompts=n)


@pytest.mark.parametrize(
    ("labelled", "accuracy", "longer", "words"),
    [
        (share(0.9, 0.8, 1), share(0.8, 0.7, 0.9), share(0.5, 0.4, 0.6), []),
        (share(0.9, 0.8, 1), share(0.8, 0.7, 0.9, n=29), share(0.5, 0.4, 0.6), ["only 29 of 100 items"]),
        (share(0.9, 0.8, 1), share(0.6, 0.5, 0.7), share(0.5, 0.4, 0.6), ["not shown to be better than random ones"]),
        (share(0.9, 0.8, 1), share(0.6, 0.55, 0.65), share(0.5, 0.4, 0.6), ["only 60%"]),
        (share(0.9, 0.8, 1), share(0.7, 0.6, 0.8), share(0.7, 0.6, 0.8), ['"the longer response wins"']),
        (share(0.1, 0, 0.2), share(0.8, 0.7, 0.9), share(0.5, 0.4, 0.6), ["only 10% of the items"]),
    ],
)
def test_what_speaks_against_labels(labelled: Estimate, accuracy: Estimate, longer: Estimate, words: list[str]) -> None:
    found = against_labels(labelled, accuracy, longer)
    assert len(found) == len(words)
    assert all(word in line for word, line in zip(words, found, strict=True))
