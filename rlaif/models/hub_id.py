"""Names on the Hugging Face Hub: which models and files have one, as opposed to a folder, a file or an API's model."""

import re
from pathlib import Path

from rlaif.models.model_files import SMOLLM2

SMOLLM2_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""The model of which `smollm2` is a quantised copy."""
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_DATA_FILES = {".jsonl", ".json", ".csv", ".parquet", ".txt", ".ndjson", ".gz"}


def hub_id(name: str) -> str | None:
    """Return the hub id that a model's name is; None for a folder on this machine or a name without an owner."""
    if name == SMOLLM2:
        return SMOLLM2_ID
    return name if _ID.fullmatch(name) and not Path(name).exists() else None


def hub_id_of_served(name: str, identity: str) -> str | None:
    """Return the hub id of a served model from what its server loaded; None for a folder, or where it is not known.

    `identity` is that of a client: `NAME<LOADED FROM#…>`, where `#…` is there for a folder only.
    """
    if name == SMOLLM2:
        return SMOLLM2_ID
    root = identity.partition("<")[2].rpartition(">")[0]
    return root if _ID.fullmatch(root) else None


def dataset_id(source: str) -> str | None:
    """Return the hub id that the source of rows is; None for a file or folder."""
    looks_like_file = Path(source).suffix in _DATA_FILES or Path(source).exists()
    return source if _ID.fullmatch(source) and not looks_like_file else None
