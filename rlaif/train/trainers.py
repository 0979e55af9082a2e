"""Make the TRL trainer of a plan, and save its model. Imports torch and TRL."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from datasets import Dataset, Features
from peft import LoraConfig, TaskType
from pydantic import BaseModel
from transformers import PrinterCallback
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from rlaif.datasets.columns import features, uses_tools, with_empty_calls
from rlaif.errors import UsageError
from rlaif.records import Message
from rlaif.runs.rows import response_turn
from rlaif.stats.log_odds import log_odds
from rlaif.train import config as settings
from rlaif.train.examples import PairExample, ResponseExample
from rlaif.train.plan import Prepared
from rlaif.train.softdpo import LABEL, WEIGHT, SoftDPOTrainer
from rlaif.train.tracking import tensorboard_in
from rlaif.train.trl_options import check_trl
from rlaif.train.watch import BEST, Watch

Row = dict[str, Any]


class Turns(BaseModel):
    """The columns of conversations, in TRL's layouts."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    completion: tuple[Message, ...]


def make_trainer(prepared: Prepared, checkpoints: Path, watch: Watch) -> Any:  # noqa: ANN401
    """Return a TRL trainer, ready to train. Raises UsageError for settings that TRL refuses."""
    trainer_of, config_of, row_of = {"sft": _sft, "dpo": _dpo, "reward": _reward}[prepared.plan.stage](prepared)
    examples = prepared.examples
    template = {"chat_template_kwargs": dict(examples.template)} if examples.template else {}
    splits = {
        split: [row_of(one) | template for one in part]
        for split, part in (("train", examples.train), ("test", examples.test))
    }
    try:
        args = config_of(**_arguments(prepared, checkpoints))
        with args.main_process_first(local=False):
            data = {split: _on_disk(rows, checkpoints / "data" / split) for split, rows in splits.items() if rows}
        with tensorboard_in(checkpoints.parent):
            trainer = trainer_of(
                model=prepared.source,
                args=args,
                train_dataset=data["train"],
                eval_dataset=data.get("test"),
                processing_class=prepared.tokenizer,
                peft_config=_adapters(prepared) if prepared.plan.method == "lora" else None,
            )
    except (ValueError, TypeError, NotImplementedError, ImportError) as error:
        raise UsageError(f"TRL refuses these settings: {' '.join(str(error).split())[:300]}") from None
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(watch)
    return trainer


def _sft(_: Prepared) -> tuple[Any, Any, Callable[[Any], Row]]:
    def row(one: ResponseExample) -> Row:
        return _prompt(one) | {"completion": _messages(response_turn(one.completion, one.reasoning))}

    return SFTTrainer, SFTConfig, row


def _dpo(prepared: Prepared) -> tuple[Any, Any, Callable[[Any], Row]]:
    config, examples = prepared.config, prepared.examples
    assert isinstance(config, settings.DpoConfig)
    by_margin = config.weights == "margin"

    def weight(one: PairExample) -> float:
        return abs(one.p_chosen - 0.5) if by_margin else 1.0

    soft = config.labels == "soft" and any(one.p_chosen < 1 for one in (*examples.train, *examples.test))
    scale = fmean(map(weight, examples.train))
    if scale == 0:
        raise UsageError("weights: margin leaves no pair with a weight above 0, as every p_chosen is 0.5")

    def row(one: PairExample) -> Row:
        sides = {
            "chosen": _messages(response_turn(one.chosen, one.chosen_reasoning)),
            "rejected": _messages(response_turn(one.rejected, one.rejected_reasoning)),
        }
        label = {LABEL: one.p_chosen if soft else 1.0, WEIGHT: weight(one) / scale} if soft or by_margin else {}
        return _prompt(one) | sides | label

    if not (soft or by_margin):
        return DPOTrainer, DPOConfig, row
    check_trl(DPOTrainer, DataCollatorForPreference)
    return SoftDPOTrainer, DPOConfig, row


def _reward(prepared: Prepared) -> tuple[Any, Any, Callable[[Any], Row]]:
    config, examples = prepared.config, prepared.examples
    assert isinstance(config, settings.RewardConfig)
    hard = all(one.p_chosen == 1 for one in (*examples.train, *examples.test))  # as in data without p_chosen

    def row(one: PairExample) -> Row:
        sides = ((one.chosen, one.chosen_reasoning), (one.rejected, one.rejected_reasoning))
        chosen, rejected = (_messages(one.prompt + response_turn(*side)) for side in sides)
        margin = {} if config.margins == "none" or hard else {"margin": log_odds(one.p_chosen)}
        return {"chosen": chosen, "rejected": rejected, **margin} | _tools(one)

    return RewardTrainer, RewardConfig, row


def _arguments(prepared: Prepared, checkpoints: Path) -> dict[str, Any]:
    plan, config, device = prepared.plan, prepared.config, prepared.device
    held_out = len(prepared.examples.test)
    number = "bfloat16" if plan.method == "lora" and device.bf16 else "float32"
    chosen: dict[str, Any] = {
        "output_dir": str(checkpoints),
        "per_device_train_batch_size": plan.at_a_time,
        # A divisor: TRL averages over batches, which is the mean over examples only if all batches have the same size.
        "per_device_eval_batch_size": next(n for n in range(max(1, plan.at_a_time), 0, -1) if held_out % n == 0),
        "gradient_accumulation_steps": plan.passes,
        "num_train_epochs": config.epochs,
        "learning_rate": plan.learning_rate,
        "warmup_steps": 0.1,
        "gradient_checkpointing": plan.checkpointing,
        "max_length": config.max_length,
        "seed": config.seed,
        "bf16": device.bf16,
        "use_cpu": device.kind == "cpu",
        "dataloader_pin_memory": device.kind == "cuda",
        "ddp_find_unused_parameters": False,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # it would hide non-finite losses from `Watch`
        "eval_strategy": "steps" if held_out else "no",
        "eval_steps": plan.evaluate_every,
        "save_strategy": "steps",
        "save_steps": plan.evaluate_every,
        "save_total_limit": 2,
        "load_best_model_at_end": bool(held_out),
        "metric_for_best_model": BEST if held_out else None,
        "greater_is_better": True if held_out else None,
        "report_to": "none",
        "disable_tqdm": True,
        **({"precompute_ref_log_probs": True} if plan.stage == "dpo" else {}),
    }
    given = config.trl | {"model_init_kwargs": {"dtype": number} | (config.trl.get("model_init_kwargs") or {})}
    return chosen | given


def _on_disk(rows: list[Row], folder: Path) -> Dataset:
    """Return the rows as a dataset on disk, which all processes share and beside which TRL caches its results.

    A training that continues finds the reference's log-probabilities in that cache.
    """
    if not folder.is_dir():
        unfinished = folder.with_name(f".{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        _dataset(rows).save_to_disk(unfinished)
        unfinished.rename(folder)
    return Dataset.load_from_disk(folder)


def _dataset(rows: list[Row]) -> Dataset:
    """Return rows as a dataset; with tools, the arguments of calls keep their own keys instead of those of all rows."""
    if not any(map(uses_tools, rows)):
        return Dataset.from_list(rows)
    of_turns = {name: kind for name, kind in features(Turns, tools=True).items() if name in rows[0]}
    rows = with_empty_calls({"tools": None} | row for row in rows)
    others = Dataset.from_list([{name: cell for name, cell in row.items() if name not in of_turns} for row in rows])
    return Dataset.from_list(rows, features=Features({**others.features, **of_turns}))


def _adapters(prepared: Prepared) -> LoraConfig:
    lora = prepared.config.lora
    scorer = prepared.plan.stage == "reward"
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets if isinstance(lora.targets, str) else list(lora.targets),
        task_type=TaskType.SEQ_CLS if scorer else TaskType.CAUSAL_LM,
        modules_to_save=["score"] if scorer else None,
    )


def _prompt(one: PairExample | ResponseExample) -> Row:
    return {"prompt": _messages(one.prompt)} | _tools(one)


def _tools(one: PairExample | ResponseExample) -> Row:
    return {} if one.tools is None else {"tools": one.tools}


def _messages(turns: Sequence[Message]) -> list[Row]:
    return [turn.model_dump() for turn in turns]


def save_model(trainer: Any, folder: Path, *, merge: bool, dtype: str) -> None:  # noqa: ANN401
    """Write the trainer's model and tokenizer into a folder.

    All weights are written in their original `dtype`; adapters are written separately, or with `merge` as part of the
    weights.
    """
    sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.config.use_cache = True  # off while activations are recomputed; servers read this setting
    adapters = hasattr(model, "merge_and_unload")
    if adapters and merge:
        # In float32: bfloat16 would round away part of a small change.
        merged = model.float().merge_and_unload().to(getattr(torch, dtype))
        if trainer.is_world_process_zero():
            merged.save_pretrained(folder)
            trainer.processing_class.save_pretrained(folder)
    else:
        if not adapters and not sharded:
            model.to(getattr(torch, dtype))
        trainer.save_model(str(folder))
    (folder / "training_args.bin").unlink(missing_ok=True)
