"""What a server is told to load, where it is a file or folder here: is it a model at all?"""

from pathlib import Path

from rlaif.errors import UsageError
from rlaif.models.builtin import SMOLLM2

CONFIGS = ("config.json", "params.json")
"""One of these stands in a model's folder; the second is Mistral's."""


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
