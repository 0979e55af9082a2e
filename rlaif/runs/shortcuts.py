"""The file `shortcuts.json`: effects of surface features on a run's judges, measured by `rlaif evaluate shortcuts`."""

from pathlib import Path

from pydantic import ValidationError

from rlaif.config.run import RunConfig
from rlaif.errors import ConfigError
from rlaif.preferences.shortcuts import ShortcutEffects

EFFECTS = "shortcuts.json"
"""File in a run directory: the effects that were measured on the run."""
COPY = "shortcuts-used.json"
"""File in a run directory: a copy of the effects of another run that its labels were corrected with."""


def effects_at(config: RunConfig, run: Path | None = None) -> ShortcutEffects | None:
    """Return the effects that a run's settings name. Raises ConfigError where a named file cannot be read.

    None without `judging.shortcuts`, and for `run` before anything was measured on it. A finished run (`run`) uses the
    copy in its directory; a run that starts uses the named file if it exists.
    """
    named, folder = config.judging.shortcuts, run or Path(config.out)
    if named is None:
        return None
    if named == "run":
        file = folder / EFFECTS
        return load_effects(file) if file.is_file() else None
    copy = folder / COPY
    return load_effects(copy if copy.is_file() and (run is not None or not Path(named).is_file()) else Path(named))


def load_effects(path: Path) -> ShortcutEffects:
    """Read a `shortcuts.json`. Raises ConfigError."""
    again = "make one with rlaif evaluate shortcuts RUN"
    try:
        return ShortcutEffects.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {again}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        where = f"{place}: " if place else ""
        raise ConfigError(f"{path}: does not have the effects of shortcuts: {where}{first['msg']}; {again}") from None
