"""Which families of models a model belongs to, as far as its name tells.

Judges favour what their own relatives write (preference leakage: Li et al. 2025, arXiv:2502.01534), so it matters
whether a judge and the policy are related. A name is a hint, no proof: what can't be told is left open.
"""

import json
import re
from pathlib import Path

_NAMES: dict[str, tuple[str, ...]] = {
    "llama": ("llama", "vicuna", "alpaca", "tulu", "hermes"),
    "qwen": ("qwen", "qwq"),
    "mistral": ("mistral", "mixtral", "ministral", "zephyr", "magistral"),
    "gemma": ("gemma", "gemini"),
    "gpt": ("gpt", "o1-", "o3-", "o4-"),
    "claude": ("claude",),
    "deepseek": ("deepseek",),
    "phi": ("phi-", "phi3", "phi4"),
    "olmo": ("olmo",),
    "smollm": ("smollm",),
    "granite": ("granite",),
    "command": ("command-r", "command-a", "aya"),
    "falcon": ("falcon",),
    "glm": ("glm",),
    "yi": ("yi-",),
    "kimi": ("kimi", "moonshot"),
    "nemotron": ("nemotron",),
    "simulated": ("simulated",),
}
"""Words in a name that give a family away; a distilled model may belong to two."""


def families(name: str, identity: str = "") -> frozenset[str]:
    """Return the families of a model by its served name and by what it was loaded from; empty when nothing tells.

    `identity` is that of a client: `NAME<LOADED FROM#…>`. Of a local folder its config.json is asked.
    """
    root = re.sub(r"#[0-9a-f]+$", "", identity.partition("<")[2].rpartition(">")[0])
    words = " ".join((name.rpartition("/")[2], root.rpartition("/")[2], _model_type(root))).lower()
    return frozenset(family for family, hints in _NAMES.items() if any(_stands_in(hint, words) for hint in hints))


def _stands_in(hint: str, words: str) -> bool:
    return re.search(rf"(?<![a-z]){re.escape(hint)}", words) is not None


def _model_type(root: str) -> str:
    try:
        return str(json.loads((Path(root) / "config.json").read_text(encoding="utf-8")).get("model_type", ""))
    except (OSError, ValueError, AttributeError):
        return ""
