"""Torch, transformers and TRL: are they there, are they kept quiet, and is TRL the one that `softdpo.py` was made for?

Every module that imports one of them is imported after `prepare`.
"""

import hashlib
import inspect
import os
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from rlaif.errors import UsageError
from rlaif.train.options import INSTALL

NEEDED = ("torch", "transformers", "accelerate", "datasets", "peft", "trl")
TRL_RANGE = ">=1.16,<1.17"
"""The releases whose loss `softdpo.py` was held against."""

KNOWN_SOURCES = {
    "DPOTrainer._compute_loss": "53c321c0b53c066a",
    "DPOTrainer._set_signature_columns_if_needed": "1a6630cdde777ef0",
    "DPOTrainer.compute_ref_log_probs": "a686523412f07153",
    "DPOTrainer._precompute_ref_logps": "34a291c13d49b628",
    "DataCollatorForPreference.torch_call": "45b96eb93ce5450f",
}
"""Hashes of what `SoftDPOTrainer` overrides or counts on, in TRL 1.16.0."""


def prepare() -> None:
    """Make the libraries silent: they are told what to show by nobody but the screen. Raises UsageError."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(f"training needs {', '.join(missing)}, which is not installed; {INSTALL}")
    quiet = {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TQDM_DISABLE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
        "ACCELERATE_LOG_LEVEL": "ERROR",
    }
    for name, value in quiet.items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore")
    _silence()


def check_trl(trainer: Any, collator: Any, release: str | None = None) -> None:  # noqa: ANN401
    """Raise UsageError when the DPO trainer is not one whose loss is known to be what soft labels add to.

    `release` is the installed one where it is not given.
    """
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415

    found = release or installed("trl")
    changed = [name for name, known in KNOWN_SOURCES.items() if source_hash(name, trainer, collator) != known]
    if changed or found not in SpecifierSet(TRL_RANGE, prereleases=True):
        what = f"differs from them in {', '.join(changed)}" if changed else "is none of them"
        raise UsageError(
            f"soft labels add to the DPO loss of TRL {TRL_RANGE}, and the installed one ({found}) {what}; install one "
            f"of those (pip install 'trl{TRL_RANGE}'), or train with --labels hard and --weights none"
        )


def source_hash(name: str, trainer: Any, collator: Any) -> str:  # noqa: ANN401
    """Return a hash of a method's source without its indentation; nothing where there is no such method."""
    owner = trainer if name.startswith(trainer.__name__) else collator
    method: Callable[..., Any] | None = getattr(owner, name.partition(".")[2], None)
    if method is None:
        return ""
    lines = [line.strip() for line in inspect.getsource(method).splitlines()]
    return hashlib.blake2b("\n".join(filter(None, lines)).encode(), digest_size=8).hexdigest()


def installed(name: str) -> str:
    """Return a distribution's version."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def versions() -> dict[str, str]:
    """Return the versions of what training depends on."""
    return {name: installed(name) for name in NEEDED}


def _silence() -> None:
    import datasets  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
