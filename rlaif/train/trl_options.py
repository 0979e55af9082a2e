"""Check the installed torch, transformers and TRL: whether they are installed, their versions, TRL's options.

Options are read from TRL's source, because importing it takes ten seconds: an unknown name, or a value of another type,
is refused before anything is loaded. Modules that import one of these libraries are imported after `prepare`.
"""

import ast
import difflib
import functools
import hashlib
import inspect
import os
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import FiniteFloat, StrictBool, StrictInt, StrictStr, TypeAdapter, ValidationError

from rlaif.errors import ConfigError, UsageError
from rlaif.train.tracking import check_tracking

Stage = Literal["sft", "dpo", "reward"]
"""Kinds of training: supervised on revisions, preference optimisation, reward model."""

INSTALL = "install it in a checkout with: pip install '.[train]'"

_CLASSES: dict[Stage, tuple[str, str]] = {
    "sft": ("sft_config.py", "SFTConfig"),
    "dpo": ("dpo_config.py", "DPOConfig"),
    "reward": ("reward_config.py", "RewardConfig"),
}
_ELSEWHERE = {
    "output_dir": "`out:` says where the model goes",
    "resume_from_checkpoint": "the same command continues by itself",
    "seed": "set `seed:` beside `trl:`",
    "num_train_epochs": "set `epochs:` beside `trl:`",
    "learning_rate": "set `learning_rate:` beside `trl:`",
    "max_length": "set `max_length:` beside `trl:`",
    "gradient_accumulation_steps": "it follows from `batch_size:` beside `trl:` and per_device_train_batch_size",
}
"""TRL options that must not be set under `trl:`, and where to set them."""

_TYPES: dict[str, TypeAdapter[Any]] = {
    "bool": TypeAdapter(StrictBool),
    "int": TypeAdapter(StrictInt),
    "float": TypeAdapter(FiniteFloat),
    "str": TypeAdapter(StrictStr),
}


def check_options(stage: Stage, given: Mapping[str, Any], place: Callable[[str], str]) -> dict[str, Any]:
    """Return the options with their values converted to TRL's types (YAML reads 1e-6 as a string).

    `place` returns an option's place for messages. Raises ConfigError for unknown names and wrong types, UsageError
    where TRL is not installed.
    """
    known = known_options(stage)
    checked = {}
    for name, value in given.items():
        if name in _ELSEWHERE:
            raise ConfigError(f"{place(name)}: `{name}` cannot be set here; {_ELSEWHERE[name]}")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean `{near[0]}`?" if near else ""
            raise ConfigError(f"{place(name)}: TRL's {_CLASSES[stage][1]} has no option `{name}`{hint}")
        checked[name] = _read(value, known[name], place(name), name)
    if "report_to" in checked:
        checked["report_to"] = check_tracking(checked["report_to"], place("report_to"))
    if stage == "dpo" and "loss_type" in checked:
        _check_losses(checked["loss_type"], place("loss_type"))
    return checked


@functools.cache
def known_options(stage: Stage) -> dict[str, str]:
    """Return {option: type} of a kind of training, with the types as in TRL's source."""
    file, name = _CLASSES[stage]
    trainers = _package("trl") / "trainer"
    return {
        **_fields(_package("transformers") / "training_args.py", "TrainingArguments"),
        **_fields(trainers / "base_config.py", "_BaseConfig"),
        **_fields(trainers / file, name),
    }


def _check_losses(value: object, where: str) -> None:
    """Raise ConfigError for losses that TRL does not have; TRL itself checks them only after loading the model."""
    source = (_package("trl") / "trainer" / "dpo_trainer.py").read_text(encoding="utf-8")
    known = sorted(set(re.findall(r'loss_type == "(\w+)"', source)))
    for name in value if isinstance(value, list) else [value]:
        if known and name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"TRL has {', '.join(known)}"
            raise ConfigError(f"{where}: there is no loss {name!r}; {hint}")


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"training needs {name}, which is not installed; {INSTALL}")
    return Path(spec.submodule_search_locations[0])


def _fields(file: Path, name: str) -> dict[str, str]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except OSError:
        raise UsageError(f"the installed TRL has no {file.name}; {INSTALL}") from None
    found = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), None)
    return {
        line.target.id: ast.unparse(line.annotation)
        for line in (found.body if found else [])
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and not line.target.id.startswith("_")
    }


def _read(value: Any, kind: str, where: str, name: str) -> Any:  # noqa: ANN401
    kinds = [part.strip() for part in kind.split("|")]
    if value is None and "None" in kinds:
        return None
    if value is False and any(one.endswith("Strategy") for one in kinds):
        return "no"  # YAML reads an unquoted `no` as false
    if not set(kinds) <= {*_TYPES, "None"}:
        return value  # lists, dictionaries and enumerations: TRL checks them itself
    for one in _TYPES if not isinstance(value, bool) or "bool" in kinds else ():
        if one in kinds:
            with suppress(ValidationError):
                return _TYPES[one].validate_python(value)
    raise ConfigError(f"{where}: `{name}` must be {' or '.join(kinds)}, not {value!r}")


NEEDED = ("torch", "transformers", "accelerate", "datasets", "peft", "trl")
TRL_RANGE = ">=1.16,<1.17"
"""The TRL versions that `softdpo.py` was checked with."""

KNOWN_SOURCES = {
    "DPOTrainer._compute_loss": "53c321c0b53c066a",
    "DPOTrainer._set_signature_columns_if_needed": "1a6630cdde777ef0",
    "DPOTrainer.compute_ref_log_probs": "a686523412f07153",
    "DPOTrainer._precompute_ref_logps": "34a291c13d49b628",
    "DataCollatorForPreference.torch_call": "45b96eb93ce5450f",
}
"""Hashes of the methods that `SoftDPOTrainer` overrides or depends on, in TRL 1.16.0."""


def prepare() -> None:
    """Turn off the libraries' own output. Raises UsageError where one is not installed."""
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
    import datasets  # noqa: PLC0415  (once the variables are set)
    import transformers  # noqa: PLC0415

    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def check_trl(trainer: Any, collator: Any, release: str | None = None) -> None:  # noqa: ANN401
    """Raise UsageError unless the DPO trainer is one that `softdpo.py` was checked with.

    `release` is the installed version by default.
    """
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415

    found = release or installed("trl")
    changed = [name for name, known in KNOWN_SOURCES.items() if source_hash(name, trainer, collator) != known]
    if changed or found not in SpecifierSet(TRL_RANGE, prereleases=True):
        reason = f"differs in {', '.join(changed)}" if changed else "is another version"
        raise UsageError(
            f"soft labels need the DPO loss of TRL {TRL_RANGE}, but the installed TRL ({found}) {reason}; run pip "
            f"install 'trl{TRL_RANGE}', or train with --labels hard and --weights none"
        )


def source_hash(name: str, trainer: Any, collator: Any) -> str:  # noqa: ANN401
    """Return a hash of a method's source without its indentation; "" where there is no such method."""
    owner = trainer if name.startswith(trainer.__name__) else collator
    method: Callable[..., Any] | None = getattr(owner, name.partition(".")[2], None)
    if method is None:
        return ""
    lines = [line.strip() for line in inspect.getsource(method).splitlines()]
    return hashlib.blake2b("\n".join(filter(None, lines)).encode(), digest_size=8).hexdigest()


def installed(name: str) -> str:
    """Return the installed version of a distribution; `none` where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def versions() -> dict[str, str]:
    """Return {name: version} of the libraries that training uses."""
    return {name: installed(name) for name in NEEDED}
