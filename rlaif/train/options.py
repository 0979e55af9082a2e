"""Which options TRL's configurations have, read from the installed source: importing TRL takes ten seconds.

A name that TRL does not know, or a value of another type, is refused with its place before anything is loaded.
"""

import ast
import difflib
import functools
import math
import re
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rlaif.errors import ConfigError, UsageError
from rlaif.train.config import Stage

INSTALL = "install it with: pip install 'rlaif[train]'"

_CLASSES: dict[Stage, tuple[str, str]] = {
    "sft": ("sft_config.py", "SFTConfig"),
    "dpo": ("dpo_config.py", "DPOConfig"),
    "reward": ("reward_config.py", "RewardConfig"),
}
_ELSEWHERE = {
    "output_dir": "`out:` says where the model goes",
    "resume_from_checkpoint": "the same command again goes on by itself",
    "seed": "set `seed:` beside `trl:`",
    "num_train_epochs": "set `epochs:` beside `trl:`",
    "learning_rate": "set `learning_rate:` beside `trl:`",
    "max_length": "set `max_length:` beside `trl:`",
    "gradient_accumulation_steps": "it follows from `batch_size:` beside `trl:` and per_device_train_batch_size",
}
"""Options that have one place already."""

_READERS: dict[str, Callable[[Any], Any]] = {
    "bool": lambda value: value if isinstance(value, bool) else _refuse(),
    "int": lambda value: value if isinstance(value, int) and not isinstance(value, bool) else _refuse(),
    "float": lambda value: float(value) if not isinstance(value, bool) and math.isfinite(float(value)) else _refuse(),
    "str": lambda value: value if isinstance(value, str) else _refuse(),
}


def check_options(stage: Stage, given: Mapping[str, Any], place: Callable[[str], str]) -> dict[str, Any]:
    """Return the options with their values read as TRL types them (YAML takes 1e-6 for a text).

    `place` gives where an option stands. Raises ConfigError for unknown names and values of a wrong type, UsageError
    where TRL is not installed.
    """
    known = known_options(stage)
    checked = {}
    for name, value in given.items():
        if name in _ELSEWHERE:
            raise ConfigError(f"{place(name)}: `{name}` can't be set here; {_ELSEWHERE[name]}")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean `{near[0]}`?" if near else ""
            raise ConfigError(f"{place(name)}: TRL's {_CLASSES[stage][1]} has no option `{name}`{hint}")
        checked[name] = _read(value, known[name], place(name), name)
    if stage == "dpo" and "loss_type" in checked:
        _check_losses(checked["loss_type"], place("loss_type"))
    return checked


@functools.cache
def known_options(stage: Stage) -> dict[str, str]:
    """Return the options of a kind of training, each with its type as TRL's source spells it."""
    file, name = _CLASSES[stage]
    trainers = _package("trl") / "trainer"
    return {
        **_fields(_package("transformers") / "training_args.py", "TrainingArguments"),
        **_fields(trainers / "base_config.py", "_BaseConfig"),
        **_fields(trainers / file, name),
    }


def _check_losses(value: object, where: str) -> None:
    """TRL looks at the names of losses when the first one is computed, which is after everything is loaded."""
    source = (_package("trl") / "trainer" / "dpo_trainer.py").read_text(encoding="utf-8")
    known = sorted(set(re.findall(r'loss_type == "(\w+)"', source)))
    for name in value if isinstance(value, list) else [value]:
        if known and name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"TRL has {', '.join(known)}"
            raise ConfigError(f"{where}: no loss is called {name!r}; {hint}")


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
        return "no"  # which YAML takes for false
    if not set(kinds) <= {*_READERS, "None"}:
        return value  # lists, dictionaries and enumerations: TRL says itself what it takes
    for one in ("bool", "int", "float", "str"):
        if one in kinds:
            try:
                return _READERS[one](value)
            except (TypeError, ValueError):
                continue
    raise ConfigError(f"{where}: `{name}` must be {' or '.join(kinds)}, not {value!r}")


def _refuse() -> Any:  # noqa: ANN401
    raise TypeError
