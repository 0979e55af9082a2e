"""The trained model as a folder that vLLM and this program's own server take. Imports torch, through the trainer."""

from pathlib import Path
from typing import Any

import torch


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
