"""One TRL trainer for each kind of training, made from a plan, and how its model is saved. Imports torch and TRL."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, TaskType
from transformers import PrinterCallback
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from rlaif.errors import UsageError
from rlaif.records import Message
from rlaif.stats.log_odds import log_odds
from rlaif.train import config as settings
from rlaif.train.examples import Examples, PairExample, ResponseExample
from rlaif.train.measurements import Device
from rlaif.train.plan import Plan
from rlaif.train.softdpo import LABEL, WEIGHT, SoftDPOTrainer
from rlaif.train.trl_options import check_trl
from rlaif.train.watch import BEST, Watch


@dataclass(frozen=True)
class Parts:
    """What a trainer is made of."""

    config: settings.TrainConfig
    plan: Plan
    device: Device
    source: str
    """Where the weights are loaded from."""
    tokenizer: Any
    examples: Examples[Any]
    """Their `template` is passed to the chat template."""
    checkpoints: Path
    watch: Watch


def make_trainer(parts: Parts) -> Any:  # noqa: ANN401
    """Return a trainer, ready to train. Raises UsageError for settings that TRL refuses."""
    make = {"sft": _sft, "dpo": _dpo, "reward": _reward}[parts.plan.stage]
    try:
        trainer = make(parts)
    except (ValueError, TypeError, NotImplementedError, ImportError) as error:
        raise UsageError(f"TRL refuses these settings: {' '.join(str(error).split())[:300]}") from None
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(parts.watch)
    return trainer


def _sft(parts: Parts) -> Any:  # noqa: ANN401
    def row(one: ResponseExample) -> dict[str, Any]:
        return {"prompt": _turns(one.prompt), "completion": [_response(one.completion)]}

    train, test = ([row(one) for one in part] for part in (parts.examples.train, parts.examples.test))
    return SFTTrainer(**_common(parts, SFTConfig(**_arguments(parts)), train, test))


def _dpo(parts: Parts) -> Any:  # noqa: ANN401
    config = parts.config
    assert isinstance(config, settings.DpoConfig)
    soft = config.labels == "soft" and any(one.p_chosen < 1 for one in _all(parts.examples))
    labelled = soft or config.weights != "none"
    scale = _mean([_weight(one, config) for one in parts.examples.train])

    def row(one: PairExample) -> dict[str, Any]:
        label = {LABEL: one.p_chosen if soft else 1.0, WEIGHT: _weight(one, config) / scale} if labelled else {}
        return {
            "prompt": _turns(one.prompt),
            "chosen": [_response(one.chosen)],
            "rejected": [_response(one.rejected)],
            **label,
        }

    if labelled:
        check_trl(DPOTrainer, DataCollatorForPreference)
    kind = SoftDPOTrainer if labelled else DPOTrainer
    train, test = ([row(one) for one in part] for part in (parts.examples.train, parts.examples.test))
    arguments = {"precompute_ref_log_probs": True} | _arguments(parts)
    return kind(**_common(parts, DPOConfig(**arguments), train, test))


def _reward(parts: Parts) -> Any:  # noqa: ANN401
    config = parts.config
    assert isinstance(config, settings.RewardConfig)

    hard = all(one.p_chosen == 1 for one in _all(parts.examples))  # as in data without p_chosen

    def row(one: PairExample) -> dict[str, Any]:
        turns = _turns(one.prompt)
        sides = {"chosen": [*turns, _response(one.chosen)], "rejected": [*turns, _response(one.rejected)]}
        return sides if config.margins == "none" or hard else sides | {"margin": log_odds(one.p_chosen)}

    train, test = ([row(one) for one in part] for part in (parts.examples.train, parts.examples.test))
    return RewardTrainer(**_common(parts, RewardConfig(**_arguments(parts)), train, test))


def _arguments(parts: Parts) -> dict[str, Any]:
    plan, config, device = parts.plan, parts.config, parts.device
    held_out = len(parts.examples.test)
    evaluated = "steps" if held_out else "no"
    number = "bfloat16" if plan.method == "lora" and device.bf16 else "float32"
    chosen: dict[str, Any] = {
        "output_dir": str(parts.checkpoints),
        "per_device_train_batch_size": plan.at_a_time,
        # A divisor: TRL takes the mean over batches, which is the mean over examples for batches of one size only.
        "per_device_eval_batch_size": _largest_divisor(held_out, plan.at_a_time),
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
        "logging_nan_inf_filter": False,  # it hides what the watch must see
        "eval_strategy": evaluated,
        "eval_steps": plan.evaluate_every,
        "save_strategy": "steps",
        "save_steps": plan.evaluate_every,
        "save_total_limit": 2,
        "load_best_model_at_end": bool(held_out),
        "metric_for_best_model": BEST if held_out else None,
        "greater_is_better": True if held_out else None,
        "report_to": "none",
        "disable_tqdm": True,
    }
    given = config.trl | {"model_init_kwargs": {"dtype": number} | (config.trl.get("model_init_kwargs") or {})}
    return chosen | given


def _common(parts: Parts, args: Any, train: list[dict[str, Any]], test: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: ANN401
    template = {"chat_template_kwargs": dict(parts.examples.template)} if parts.examples.template else {}
    splits = {"train": [row | template for row in train], "test": [row | template for row in test]}
    with args.main_process_first(local=False):
        on_disk = {split: _on_disk(rows, parts.checkpoints / "data" / split) for split, rows in splits.items() if rows}
    return {
        "model": parts.source,
        "args": args,
        "train_dataset": on_disk["train"],
        "eval_dataset": on_disk.get("test"),
        "processing_class": parts.tokenizer,
        "peft_config": _adapters(parts) if parts.plan.method == "lora" else None,
    }


def _on_disk(rows: list[dict[str, Any]], folder: Path) -> Dataset:
    """Return the rows as a dataset that all processes share, with what TRL computes of it beside it.

    A continued training finds the reference's log-probabilities there; the manifest makes sure of the same rows.
    """
    if not folder.is_dir():
        unfinished = folder.with_name(f".{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        Dataset.from_list(rows).save_to_disk(unfinished)
        unfinished.rename(folder)
    return Dataset.load_from_disk(folder)


def _adapters(parts: Parts) -> LoraConfig:
    lora = parts.config.lora
    scorer = parts.plan.stage == "reward"
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets if isinstance(lora.targets, str) else list(lora.targets),
        task_type=TaskType.SEQ_CLS if scorer else TaskType.CAUSAL_LM,
        modules_to_save=["score"] if scorer else None,
    )


def _weight(one: PairExample, config: settings.DpoConfig) -> float:
    return abs(one.p_chosen - 0.5) if config.weights == "margin" else 1.0


def _all(examples: Examples[PairExample]) -> tuple[PairExample, ...]:
    return (*examples.train, *examples.test)


def _mean(numbers: Sequence[float]) -> float:
    mean = sum(numbers) / len(numbers)
    if mean == 0:
        raise UsageError("weights: margin leaves no pair with a weight above 0, as every p_chosen is 0.5")
    return mean


def _largest_divisor(number: int, most: int) -> int:
    return next(n for n in range(max(1, most), 0, -1) if number % n == 0)


def _turns(turns: Sequence[Message]) -> list[dict[str, Any]]:
    return [turn.model_dump() for turn in turns]


def _response(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def save_model(trainer: Any, folder: Path, *, merge: bool, dtype: str) -> None:  # noqa: ANN401
    """Write the trainer's model and tokenizer into a folder.

    All weights are written as they were stored before (`dtype`); adapters alone, or merged into the weights.
    """
    sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.config.use_cache = True  # off while activations are computed again; servers read it
    adapters = hasattr(model, "merge_and_unload")
    if adapters and merge:
        # In float32: adding a small change to weights of 8 bits loses part of it.
        merged = model.float().merge_and_unload().to(getattr(torch, dtype))
        if trainer.is_world_process_zero():
            merged.save_pretrained(folder)
            trainer.processing_class.save_pretrained(folder)
    else:
        if not adapters and not sharded:
            model.to(getattr(torch, dtype))
        trainer.save_model(str(folder))
    (folder / "training_args.bin").unlink(missing_ok=True)
