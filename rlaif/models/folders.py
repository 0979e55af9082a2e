"""What a server is told to load, as far as it is on this machine: is it a model at all, of what shape, how large?"""

import contextlib
import json
from pathlib import Path
from typing import Any

from rlaif.errors import UsageError
from rlaif.models.builtin import SMOLLM2

CONFIGS = ("config.json", "params.json")
"""One of these stands in a model's folder; the second is Mistral's."""

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
GIB = 2**30


def refuse_no_model(model: str, named: str | None = None) -> None:
    """Raise UsageError for a file or folder that no server loads as it is; `named` is what the message calls it.

    A server would find out by itself, after half a minute, and say it in a traceback.
    """
    if model == SMOLLM2:
        return
    path, called = Path(model), named or model
    if path.is_file() and path.suffix.lower() != ".gguf":
        raise UsageError(f"{called}: is a file; name a model's folder, a hub id, smollm2, or the URL of a server")
    if not path.is_dir() or any((path / name).is_file() for name in CONFIGS):
        return
    if (path / "adapter_config.json").is_file():
        raise UsageError(
            f"{called}: holds an adapter, not a whole model; train with --merge, or serve it (vllm serve BASE "
            "--enable-lora --lora-modules NAME=FOLDER) and give NAME@URL"
        )
    raise UsageError(f"{called}: there is no config.json in it, so it is no model's folder")


def local_folder(source: str) -> Path | None:
    """Return the folder with a model's files: itself, or where a hub's model was downloaded to; None if neither."""
    if Path(source).exists():
        return Path(source)
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415  (slow to import)
    from huggingface_hub.errors import HFValidationError  # noqa: PLC0415

    with contextlib.suppress(HFValidationError):
        found = try_to_load_from_cache(source, CONFIGS[0])
        return Path(found).parent if isinstance(found, str) else None
    return None


def model_shape(source: str) -> dict[str, Any]:
    """Return a model's config.json; empty where its files are not on this machine."""
    folder = local_folder(source)
    try:
        found = json.loads((folder / CONFIGS[0]).read_text(encoding="utf-8")) if folder else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def stored_dtype(shape: dict[str, Any]) -> str | None:
    """Return the dtype of a model's files, as its config.json tells it."""
    inner = shape.get("text_config")
    parts = [shape, *([inner] if isinstance(inner, dict) else [])]
    found = [part.get(name) for part in parts for name in ("dtype", "torch_dtype")]
    return next((dtype for dtype in found if isinstance(dtype, str)), None)


def weights_gib(source: str, dtype: str | None) -> float:
    """Return what a model's weights take in memory in a dtype; 0 where its files are not on this machine."""
    folder = local_folder(source)
    files = [] if folder is None else [*folder.glob("*.safetensors"), *folder.glob("*.bin")]
    stored, of_files = sum(file.stat().st_size for file in files) / GIB, stored_dtype(model_shape(source))
    return stored * BYTES[dtype] / BYTES[of_files] if dtype in BYTES and of_files in BYTES else stored
