"""Trainings from top to bottom on a model of a few thousand weights: what comes out, what is refused, going on."""

import json
import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlaif.errors import RunDirectoryError, StoppedError, TrainingError, UsageError
from rlaif.generation import generate_async
from rlaif.testing import SimulatedServer
from rlaif.train.config import CaiConfig, DpoConfig, RewardConfig, SftConfig
from rlaif.train.metrics import Progress, read_metrics
from rlaif.train.training import train
from tests.conftest import MakeConfig
from tests.train.tiny import TEMPLATE, tiny_model

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Said:
    """A screen that remembers, and does something of one's own at every step."""

    def __init__(self, at_step: Callable[[Progress], None] = lambda _: None) -> None:
        self.lines: list[str] = []
        self._at_step = at_step

    def say(self, line: str) -> None:
        self.lines.append(line)

    def show(self, progress: Progress) -> None:
        self._at_step(progress)

    def rest(self) -> None:
        pass


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset with a planted taste: answers in two short sentences."""
    folder = tmp_path_factory.mktemp("data")
    draw = random.Random(0)
    pairs, answers = [], []
    for n in range(60):
        prompt = f"what is {' '.join(draw.choices(['one', 'two', 'three', 'four', 'five'], k=4))} ?"
        short = f"{draw.choice(['yes', 'no'])} . {draw.choice(['yes', 'no'])} ."
        long = " ".join(draw.choices(["very", "long", "answer", "and", "so", "on", "much", "more"], k=9))
        pairs.append({"prompt_id": f"p{n}", "prompt": prompt, "chosen": short, "rejected": long, "p_chosen": 0.9})
        answers.append({"prompt_id": f"p{n}", "prompt": prompt, "completion": short})
    for part, rows in (("preference", pairs), ("sft", answers)):
        (folder / part).mkdir()
        for split, some in (("train", rows[:48]), ("test", rows[48:])):
            (folder / part / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    return folder


@pytest.fixture
def settings(base: Path, data: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "data": str(data),
        "model": str(base),
        "out": str(tmp_path / "trained"),
        "max_length": 64,
        "batch_size": 8,
        "learning_rate": 3e-3,
        "epochs": 2,
        "evaluate_every": 3,
    }


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def assert_equal_weights(one: Path, other: Path) -> None:
    import torch

    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_a_planted_taste_is_learned(settings: dict[str, Any], base: Path) -> None:
    screen = Said()
    out = Path(settings["out"])
    manifest = train(DpoConfig(**settings), screen)
    assert (manifest.figures["held_out_accuracy"] or 0) > 0.9
    assert "48 examples, 12 held out" in screen.lines[0]
    assert any("soft labels" in line for line in screen.lines)
    assert any(line.startswith("takes    about") for line in screen.lines)
    card = (out / "README.md").read_text()
    for words in (manifest.settings["data"], manifest.settings["model"], "soft labels", "held out accuracy", "trl 1."):
        assert words in card
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    steps = [line["step"] for line in read_metrics(out / "metrics.jsonl") if "loss" in line]
    assert steps == list(range(1, 13))
    assert not (out / "checkpoints").exists()
    assert (
        json.loads((out / "config.json").read_text())["dtype"]
        == json.loads((base / "config.json").read_text())["dtype"]
    )
    again = Said()
    assert train(DpoConfig(**settings), again).figures == manifest.figures
    assert again.lines == [f"{out} is already finished; for another training, choose another --out"]


async def test_what_a_run_warns_of_is_said_first_and_stands_on_the_card(
    settings: dict[str, Any], make_config: MakeConfig
) -> None:
    async with SimulatedServer() as server:
        run = await generate_async(make_config(server, prompts=8, judging={"min_margin": 0.0}))
    screen, warning = Said(), "protective thresholds are switched off (min_margin is 0): do not train on these pairs"
    train(DpoConfig(**{**settings, "data": str(run.path), "max_length": 128, "trl": {"max_steps": 1}}), screen)
    plan = next(n for n, line in enumerate(screen.lines) if line.startswith("dpo "))
    assert f"! {warning}" in screen.lines[:plan]
    assert f"> - {warning}" in (Path(settings["out"]) / "README.md").read_text()


def test_what_is_written_loads_and_answers(settings: dict[str, Any]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    train(DpoConfig(**settings | {"labels": "hard", "trl": {"loss_type": "nca_pair", "max_steps": 2}}), Said())
    model = AutoModelForCausalLM.from_pretrained(settings["out"])
    tokenizer = AutoTokenizer.from_pretrained(settings["out"])
    turns = [{"role": "user", "content": "what is this ?"}]
    asked = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    assert model.generate(**asked, max_new_tokens=3).shape[1] > asked["input_ids"].shape[1]


def test_interrupted_and_gone_on_with_is_the_same_as_never_interrupted(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.step == 4:  # shown while the fifth step begins
            os.kill(os.getpid(), signal.SIGINT)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(DpoConfig(**settings | {"out": str(whole)}), Said())
    config = DpoConfig(**settings | {"out": str(parts)})
    with pytest.raises(StoppedError, match="stopped after step 5; the same command continues"):
        train(config, Said(interrupt))
    (parts / "checkpoints" / "checkpoint-7").mkdir()  # cut off while it was written
    screen = Said()
    train(config, screen)
    assert "continues from checkpoint 5" in screen.lines
    assert_equal_weights(whole, parts)
    kept = ("step", "loss", "rewards/accuracies", "eval_loss", "learning_rate")
    logged = [
        [{name: line.get(name) for name in kept} for line in read_metrics(folder / "metrics.jsonl")]
        for folder in (whole, parts)
    ]
    assert logged[0] == logged[1]


def test_what_was_chosen_for_the_device_holds_when_it_goes_on(settings: dict[str, Any]) -> None:
    out = Path(settings["out"])

    def stop(progress: Progress) -> None:
        if progress.step == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(StoppedError):
        train(DpoConfig(**settings), Said(stop))
    manifest = json.loads((out / "training.json").read_text())
    manifest["plan"] |= {"at_a_time": 2}
    (out / "training.json").write_text(json.dumps(manifest))
    screen = Said()
    train(DpoConfig(**settings), screen)
    assert any("12 steps of 8 (2 at a time)" in line for line in screen.lines)


def test_another_seed_gives_another_model_and_the_same_seed_the_same(settings: dict[str, Any], tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(SftConfig(**settings | {"out": str(tmp_path / name), "seed": seed, "trl": {"max_steps": 3}}), Said())
    assert_equal_weights(tmp_path / "a", tmp_path / "b")
    with pytest.raises(AssertionError):
        assert_equal_weights(tmp_path / "a", tmp_path / "c")


def test_a_folder_with_another_training_is_refused_with_what_differs(
    settings: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    shutil.copytree(data, tmp_path / "less")
    file = tmp_path / "less" / "preference" / "train.jsonl"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]))
    other = tiny_model(tmp_path / "other", seed=1)

    def stop(progress: Progress) -> None:
        if progress.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError):
        train(DpoConfig(**settings), Said(stop))
    for change, says in (
        ({"model": str(other)}, "model "),
        ({"data": str(tmp_path / "less")}, "data "),
        ({"labels": "hard"}, "labels soft → hard"),
    ):
        with pytest.raises(RunDirectoryError, match=f"holds another training; what differs: {says}"):
            train(DpoConfig(**settings | change), Said())
    with pytest.raises(RunDirectoryError, match="dpo → sft"):
        train(SftConfig(**settings), Said())


def test_a_loss_that_is_no_number_stops_it_with_the_reason(settings: dict[str, Any]) -> None:
    config = DpoConfig(**settings | {"learning_rate": 1e30, "trl": {"max_grad_norm": 0.0, "warmup_steps": 0}})
    with pytest.raises(TrainingError, match=r"is nan at step \d+, .*lower --learning-rate"):
        train(config, Said())


def test_good_answers_that_are_unlearned_without_end_stop_it(settings: dict[str, Any]) -> None:
    steep = {"learning_rate": 0.01, "epochs": 20, "max_fall": 0.01, "trl": {"beta": 5.0, "loss_type": "apo_down"}}
    with pytest.raises(TrainingError, match="nats per token less likely than at the start, and still falling"):
        train(DpoConfig(**settings | steep | {"labels": "hard"}), Said())


def test_adapters_are_written_alone_or_merged(settings: dict[str, Any], base: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    lora = settings | {"method": "lora", "lora": {"r": 4}, "trl": {"max_steps": 3}}
    train(DpoConfig(**lora | {"out": str(tmp_path / "adapter")}), Said())
    assert (tmp_path / "adapter" / "adapter_config.json").is_file()
    assert not (tmp_path / "adapter" / "model.safetensors").exists()
    train(DpoConfig(**lora | {"out": str(tmp_path / "merged"), "merge": True}), Said())
    beside = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path / "adapter")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    for name, value in beside.merge_and_unload().state_dict().items():
        assert (merged.state_dict()[name] - value).abs().max() < 1e-6, name
    assert not (tmp_path / "merged" / "adapter_config.json").exists()
    assert "--enable-lora" in (tmp_path / "adapter" / "README.md").read_text()


def test_a_reward_model_scores_the_chosen_answers_higher(settings: dict[str, Any]) -> None:
    manifest = train(RewardConfig(**settings), Said())
    assert (manifest.figures["held_out_accuracy"] or 0) > 0.9
    shape = json.loads((Path(settings["out"]) / "config.json").read_text())
    assert shape["architectures"] == ["LlamaForSequenceClassification"]
    assert shape.get("num_labels", len(shape.get("id2label", {}))) == 1


def test_cai_trains_on_revisions_and_goes_on_from_there(settings: dict[str, Any], tmp_path: Path) -> None:
    from rlaif.train.training import train_cai

    recipe = {name: settings[name] for name in ("max_length", "batch_size", "learning_rate")}
    config = CaiConfig(
        data=settings["data"],
        model=settings["model"],
        out=str(tmp_path / "cai"),
        sft={**recipe, "method": "lora"},
        dpo={**recipe, "epochs": 2},
    )
    (first, supervised), (second, preferred) = train_cai(config, Said())
    assert (supervised.stage, preferred.stage) == ("sft", "dpo")
    assert preferred.model == str(first)
    assert (first / "model.safetensors").is_file()
    assert (second / "model.safetensors").is_file()
    losses = [line["loss"] for line in read_metrics(first / "metrics.jsonl") if "loss" in line]
    assert losses[-1] < losses[0]


def test_revisions_judged_worse_are_left_out_and_counted(settings: dict[str, Any], tmp_path: Path) -> None:
    judged = [(0.2, "no ."), (0.5, "yes ."), (0.9, "yes yes ."), (None, "so on .")] * 5
    rows = [
        {"prompt": f"what is {'very ' * n}?", "completion": text, "p_better": p} for n, (p, text) in enumerate(judged)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = {**settings, "data": str(tmp_path / "rows.jsonl"), "evaluate_every": None}
    said = Said()
    train(SftConfig.model_validate({**given, "out": str(tmp_path / "most")}), said)
    left_out = "5 of 20 revisions are left out: they have a probability below 0.5 of being better than what they revise"
    assert f"{left_out} (min_p_better)" in said.lines
    said = Said()
    train(SftConfig.model_validate({**given, "min_p_better": 0, "out": str(tmp_path / "all")}), said)
    assert not any("left out" in line for line in said.lines)


def test_the_chat_template_is_told_what_the_settings_say(settings: dict[str, Any], tmp_path: Path) -> None:
    hasty = TEMPLATE.replace("<|assistant|> {% endif %}", "<|assistant|> {% if quiet %}no {% endif %}{% endif %}")
    model = tiny_model(tmp_path / "hasty", template=hasty)
    one_step = settings | {"model": str(model), "trl": {"max_steps": 1}}
    for told, said in (({}, False), ({"quiet": True}, True)):
        screen = Said()
        out = str(tmp_path / f"out-{said}")
        train(DpoConfig(**one_step | {"chat_template_kwargs": told, "out": out}), screen)
        assert (
            any("renders 60 prompts differently when a response follows (p0, …)" in line for line in screen.lines)
            is said
        )


def test_prompts_without_room_for_an_answer_are_named_and_left_out(settings: dict[str, Any], data: Path) -> None:
    file = data / "preference" / "long.jsonl"
    rows = [json.loads(line) for line in (data / "preference" / "train.jsonl").read_text().splitlines()]
    rows[3] |= {"prompt_id": "the-long-one", "prompt": "very " * 80}
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    screen = Said()
    train(DpoConfig(**settings | {"data": str(file), "trl": {"max_steps": 1}}), screen)
    assert "! 1 prompts are left out, as long as 64 tokens: the-long-one; --max-length sets the limit" in screen.lines


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"max_length": 16, "data": "long"}, "no example fits into 16 tokens"),
        ({"max_length": 4096}, "supports at most 128 tokens"),
        ({"model": "bare"}, "its tokenizer has no chat template"),
        ({"model": "/nowhere/at-all"}, "the model cannot be loaded"),
        ({"trl": {"loss_type": "nca_pair"}}, "nca_pair, train with --labels hard"),
        ({"trl": {"eval_steps": 2, "save_steps": 3}}, "TRL refuses these settings"),
    ],
)
def test_what_cannot_work_is_refused_in_a_line(
    settings: dict[str, Any], tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    tiny_model(tmp_path / "bare", template=None)
    row = {"prompt": "very " * 40, "chosen": "yes", "rejected": "no"}
    (tmp_path / "long").write_text(json.dumps(row))
    (tmp_path / "long").rename(tmp_path / "long.jsonl")
    places = {"long": str(tmp_path / "long.jsonl"), "bare": str(tmp_path / "bare")}
    change = {name: places.get(value, value) if isinstance(value, str) else value for name, value in change.items()}
    with pytest.raises(UsageError, match=says) as error:
        train(DpoConfig(**settings | change), Said())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [DpoConfig, RewardConfig, SftConfig])
def test_a_conversation_with_tools_is_rendered_with_them(
    settings: dict[str, Any], tmp_path: Path, kind: type[DpoConfig | RewardConfig | SftConfig]
) -> None:
    """The template raises an error where a call's arguments are not its own, or tools are missing."""
    template = (
        "{% if tools and tools[0].function.name != 'ask' %}{{ raise_exception('tools') }}{% endif %}"
        "{% for m in messages %}<|{{ m['role'] }}|> {{ m['content'] }} {% for c in m.tool_calls or [] %}"
        "{% if c.function.arguments | length != 1 or not tools %}{{ raise_exception('arguments') }}{% endif %}"
        "{% for k, v in c.function.arguments.items() %}{{ k }} {{ v }} {% endfor %}{% endfor %}<|end|> {% endfor %}"
        "{% if add_generation_prompt %}<|assistant|> {% endif %}"
    )
    rows = []
    for n in range(8):
        call = {
            "id": "c",
            "type": "function",
            "function": {"name": "ask", "arguments": {["what", "this"][n % 2]: "one"}},
        }
        turns = [
            {"role": "user", "content": "question"},
            *([{"role": "assistant", "content": "", "tool_calls": [call]}] if n < 6 else []),
            *([{"role": "tool", "tool_call_id": "c", "content": "two"}] if n < 6 else []),
        ]
        texts = {"chosen": "yes .", "rejected": "no .", "completion": "yes ."}
        tools = [{"type": "function", "function": {"name": "ask"}}] if n < 6 else None
        rows.append({"prompt_id": f"p{n}", "prompt": turns, "tools": tools, **texts})
    file = tmp_path / "tools.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = tiny_model(tmp_path / "tools", template=template)
    chosen = {key: value for key, value in settings.items() if key in kind.model_fields}
    result = train(kind(**chosen | {"data": str(file), "model": str(model), "trl": {"max_steps": 1}}), Said())
    assert result.figures is not None
    assert result.figures["steps"] == 1
