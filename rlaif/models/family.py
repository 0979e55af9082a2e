"""Which families of models a model belongs to, as far as its name tells.

Judges favour what their own relatives write (preference leakage: Li et al. 2025, arXiv:2502.01534), so it matters
whether a judge and the policy are related. A name is a hint, no proof: what can't be told is left open.
"""

import json
import re
from pathlib import Path

_NAMES: dict[str, str] = {
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
"""Patterns that give a family away in a name; a distilled model may belong to two."""

_ARCHITECTURES = {"llama", "mistral"}
"""Types that many families are built as: such a type in a config.json says nothing of where a model comes from."""


def families(name: str, identity: str = "") -> frozenset[str]:
    """Return the families of a model by its served name and by what it was loaded from; empty when nothing tells.

    `identity` is that of a client: `NAME<LOADED FROM#…>`. Of a local folder its config.json is asked.
    """
    root = re.sub(r"#[0-9a-f]+$", "", identity.partition("<")[2].rpartition(">")[0])
    words = " ".join((name.rpartition("/")[2], root.rpartition("/")[2], _model_type(root))).lower()
    return frozenset(family for family, pattern in _NAMES.items() if re.search(pattern, words))


def _model_type(root: str) -> str:
    try:
        kind = str(json.loads((Path(root) / "config.json").read_text(encoding="utf-8")).get("model_type", ""))
    except (OSError, ValueError, AttributeError):
        return ""
    return "" if kind in _ARCHITECTURES else kind
