"""What is read from a metrics file, and how it is said."""

import json
import math
from pathlib import Path

import pytest

from rlaif.stats.log_odds import LARGEST, log_odds
from rlaif.train.config import DpoConfig, load_config
from rlaif.train.metrics import Progress, final_figures, keep_until, read_metrics, result_lines
from rlaif.train.plan import count, duration, left_out_line


def look(step: int, accuracy: float, loss: float) -> dict[str, float]:
    return {"step": step, "eval_loss": loss, "eval_rewards/accuracies": accuracy}


METRICS = [
    {"step": 1, "loss": 0.7},
    look(2, 0.8, 0.5),
    look(4, 0.9, 0.4),
    look(6, 0.9, 0.3),
    look(8, 0.7, 0.1),
    {"step": 8, "loss": 0.1, "rewards/accuracies": 1.0},
]


def test_the_kept_step_has_the_best_accuracy_and_of_equal_ones_the_lower_loss() -> None:
    figures = final_figures(METRICS, "dpo", best_kept=True, held_out=20)
    assert (figures["kept_step"], figures["held_out_accuracy"], figures["held_out_loss"]) == (6, 0.9, 0.3)
    assert (figures["loss_first"], figures["loss_last"], figures["steps"]) == (0.7, 0.1, 8)


def test_for_sft_the_lowest_loss_is_kept_and_without_a_choice_the_last_step() -> None:
    assert final_figures(METRICS, "sft", best_kept=True, held_out=20)["kept_step"] == 8
    assert final_figures(METRICS, "dpo", best_kept=False, held_out=20)["held_out_accuracy"] == 0.7
    assert final_figures(METRICS[:1], "dpo", best_kept=True, held_out=20)["kept_step"] == 1


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (
            20,
            ["held out 90.0% of 20 pairs right (70% to 97%) at step 6, kept as the best of 4 evaluations"],
        ),
        (
            4,
            [
                "held out 90.0% of 4 pairs right (40% to 100%) at step 6, kept as the best of 4 evaluations",
                "! the held-out pairs do not show that the model learned anything: the interval includes 50 %",
            ],
        ),
    ],
)
def test_a_share_of_few_pairs_is_said_with_how_far_it_may_be_off(pairs: int, said: list[str]) -> None:
    assert result_lines(final_figures(METRICS, "dpo", best_kept=True, held_out=pairs), "dpo") == said


def test_an_accuracy_that_guessing_may_give_is_warned_of() -> None:
    figures = final_figures([look(2, 0.6, 0.69)], "dpo", best_kept=True, held_out=10)
    assert result_lines(figures, "dpo") == [
        "held out 60.0% of 10 pairs right (31% to 83%) at step 2, which is kept",
        "! the held-out pairs do not show that the model learned anything: the interval includes 50 %",
    ]
    assert result_lines(final_figures([{"step": 1, "loss": 0.7}], "dpo", best_kept=True, held_out=0), "dpo") == []


def test_an_accuracy_below_one_half_is_warned_of() -> None:
    figures = final_figures([look(2, 0.1, 0.9)], "dpo", best_kept=True, held_out=20)
    assert result_lines(figures, "dpo")[1].startswith("! fewer than half of the held-out pairs are right")
    del figures["held_out"]
    assert result_lines(figures, "dpo") == ["held out 10.0% of the pairs right at step 2, which is kept"]


def test_what_was_logged_after_a_checkpoint_is_forgotten_and_a_line_cut_off_too(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in METRICS) + '{"step": 9, "lo')
    keep_until(file, 4)
    assert [line["step"] for line in read_metrics(file)] == [1, 2, 4]


def test_progress_has_the_numbers_logged_last() -> None:
    progress = Progress("dpo", steps=10, step=4)
    progress.update({"loss": 0.5, "rewards/accuracies": 0.75})
    progress.update({"eval_loss": 0.4, "eval_rewards/accuracies": 0.9})
    assert (progress.loss, progress.accuracy, progress.held_out, progress.held_out_step) == (0.5, 0.75, 0.9, 4)


def test_log_odds_are_symmetric_and_bounded() -> None:
    assert log_odds(0.5) == 0
    assert log_odds(0.9) == pytest.approx(math.log(9))
    assert log_odds(0.1) == pytest.approx(-log_odds(0.9))
    assert (log_odds(1.0), log_odds(0.0), log_odds(1 - 1e-9)) == (LARGEST, -LARGEST, LARGEST)


def test_numbers_and_times_are_short() -> None:
    assert (count(134_515_008), count(8_030_000_000), count(950)) == ("135 million", "8.03 billion", "950")
    assert (duration(0.2), duration(75), duration(600), duration(7200)) == ("1 s", "75 s", "10 min", "2.0 h")
    line = left_out_line([f"p{n}" for n in range(7)], 512, "prompts are left out, as long as")
    assert line.startswith("! 7 prompts are left out, as long as 512 tokens: p0, p1, p2, p3, p4 and 2 more;")


def test_the_example_is_a_configuration() -> None:
    file = Path(__file__).parents[2] / "examples" / "training" / "dpo.yaml"
    flags = {("data",): "runs/first", ("out",): "models/first"}
    assert load_config(DpoConfig, file, flags).trl == {"beta": 0.1, "lr_scheduler_type": "cosine"}
