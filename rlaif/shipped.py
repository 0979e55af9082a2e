"""The paths of the files that come with the package: at the top of a checkout, or inside an installed wheel."""

from pathlib import Path

from rlaif.errors import UsageError

_PACKAGE = Path(__file__).parent
_ROOT = _PACKAGE.parent if (_PACKAGE.parent / "pyproject.toml").is_file() else _PACKAGE / "shipped"

CONSTITUTIONS = _ROOT / "constitutions"
TEMPLATES = _ROOT / "prompts"
DATA = _ROOT / "data"

SEED_PROMPTS = "seed"
"""Name of the project's own seed prompts, valid wherever a prompts file is expected."""


def find_constitution(name_or_path: str | Path) -> Path:
    """Return the file of a constitution given as a path or as a shipped name.

    Raises UsageError with the shipped names when there is neither.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    shipped = CONSTITUTIONS / f"{name_or_path}.yaml"
    if "/" not in str(name_or_path) and shipped.is_file():
        return shipped
    if path.is_dir():
        raise UsageError(f"{path} is a folder; a constitution is one YAML file")
    names = ", ".join(constitution_names())
    raise UsageError(f"no constitution {str(name_or_path)!r}: neither a file nor one of {names}")


def constitution_names() -> list[str]:
    """Return the names of the shipped constitutions, sorted."""
    return sorted(path.stem for path in CONSTITUTIONS.glob("*.yaml"))
