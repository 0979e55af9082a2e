"""Experiment trackers (`report_to`): which ones transformers knows, and whether their packages are installed.

The names are read from transformers' source, because importing it takes seconds; trackers are checked before anything
is loaded. The metrics are sent by transformers' own callbacks.
"""

import ast
import difflib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from rlaif.errors import ConfigError, UsageError

_PACKAGES: dict[str, tuple[str, ...]] = {
    "azure_ml": ("azureml",),
    "flyte": ("flytekit",),
    "kubeflow": (),
    "tensorboard": ("tensorboard", "tensorboardX"),
}
"""By tracker: the packages of which one is needed, where that is not the tracker's name."""
_PLACE = "TENSORBOARD_LOGGING_DIR"
TENSORBOARD = "tensorboard"
"""Folder of tensorboard's files in the folder of a trained model."""


def check_tracking(value: object, where: str) -> list[str]:
    """Return the trackers of `report_to`: a name, several by commas, or a list.

    Raises ConfigError for an unknown name, UsageError for a tracker whose package is not installed.
    """
    given = value.split(",") if isinstance(value, str) else value
    names = [str(one).strip() for one in given] if isinstance(given, list) else [] if given is None else [str(given)]
    if names in (["none"], []):
        return ["none"]
    if names == ["all"]:
        return names
    known = known_trackers()
    for name in names:
        if known and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"transformers has {', '.join(known)}, all, none"
            raise ConfigError(f"{where}: there is no tracker {name!r}; {hint}")
        packages = _PACKAGES.get(name, (name,))
        if packages and not any(find_spec(package) for package in packages):
            raise UsageError(
                f"{where}: {name} needs the package {packages[0]}, which is not installed; install it with: "
                f"pip install {packages[0].replace('_', '-')}"
            )
    return names


def known_trackers() -> list[str]:
    """Return the names of the trackers that the installed transformers knows; empty where its source has no list."""
    spec = find_spec("transformers")
    places = spec.submodule_search_locations if spec else None
    file = Path(places[0]) / "integrations" / "integration_utils.py" if places else None
    if file is None or not file.is_file():
        return []
    for line in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(line, ast.Assign) and isinstance(line.value, ast.Dict):
            named = [target.id for target in line.targets if isinstance(target, ast.Name)]
            keys = [key.value for key in line.value.keys if isinstance(key, ast.Constant)]
            if named == ["INTEGRATION_TO_CALLBACK"]:
                return list(map(str, keys))
    return []


def tracker_of(error: Exception) -> str | None:
    """Return the tracker whose package raised an error, such as one without a login; None for other errors."""
    package = type(error).__module__.partition(".")[0]
    packages = {one: name for name, all_ in _PACKAGES.items() for one in all_}
    found = packages.get(package, package)
    return found if found in known_trackers() else None


@contextmanager
def tensorboard_in(folder: Path) -> Iterator[None]:
    """Let a trainer that is made meanwhile write tensorboard's files into a model's folder, unless a place is set.

    Its default is the folder of the checkpoints, which is removed at the end. transformers reads the variable when it
    makes the trainer.
    """
    if _PLACE in os.environ:
        yield
        return
    os.environ[_PLACE] = str(folder / TENSORBOARD)
    try:
        yield
    finally:
        del os.environ[_PLACE]
