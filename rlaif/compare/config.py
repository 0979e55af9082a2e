"""The settings of a comparison: its rule sets (constitutions, or runs made with them) and one run's settings."""

from pathlib import Path

from pydantic import Field

from rlaif.base import Section
from rlaif.config.run import RunConfig
from rlaif.constitution.load import load_constitution
from rlaif.constitution.schema import Constitution
from rlaif.errors import ConfigError
from rlaif.runs.directory import COMPARISON
from rlaif.runs.reader import Run

FLOOR_PROMPTS = 200


class RuleSet(Section):
    """A constitution that is compared, and its run."""

    name: str
    """Unique in a comparison: the constitution's name, or the run directory's where two runs share it."""
    run: str
    """Its run directory; created by the comparison when it does not exist."""
    constitution: str
    """Shipped name or file."""


class CompareConfig(Section):
    """The settings of a comparison, as in `comparison.yaml` in its directory."""

    rule_sets: tuple[RuleSet, ...]
    run: RunConfig
    """Settings of the runs that the comparison makes, and of judging the pool."""
    floor_prompts: int = Field(default=FLOOR_PROMPTS, ge=0)
    """Number of prompts judged twice to measure the noise floor; 0 leaves it out."""
    out: str

    def constitution(self, rules: RuleSet) -> Constitution:
        """Return the constitution of a rule set: the run's copy where the run exists."""
        made = Path(rules.run) / "manifest.json"
        return Run(rules.run).constitution if made.is_file() else load_constitution(rules.constitution)

    def made_here(self, rules: RuleSet) -> bool:
        """Whether the comparison makes the run of a rule set; False for a run that was given as a source."""
        return Path(rules.run).parent == Path(self.out) / "runs"

    def run_config(self, rules: RuleSet) -> RunConfig:
        """Return the configuration of a rule set's run."""
        if not self.made_here(rules):
            return Run(rules.run).config
        cache = self.run.cache or str(Path(self.out).parent / "replies.sqlite")
        return self.run.model_copy(update={"constitution": rules.constitution, "out": rules.run, "cache": cache})


def compare_config(sources: list[str], run: RunConfig | None, out: str, floor_prompts: int) -> CompareConfig:
    """Return the settings that compare constitutions and run directories.

    `run` may be None when all sources are runs; then the pool is judged with the first run's settings. Raises
    ConfigError.
    """
    finished = [Path(source) for source in sources if (Path(source) / "manifest.json").is_file()]
    if len(sources) < 2:
        raise ConfigError("a comparison needs at least two rule sets (constitutions or run directories)")
    for source in sources:
        _refuse_other_folders(Path(source))
    if run is None and len(finished) < len(sources):
        named = next(source for source in sources if Path(source) not in finished)
        raise ConfigError(
            f"{named} is not a run directory; to compare constitutions, give settings with --run FILE, or with "
            "--prompts and --policy"
        )
    run = run or _uncorrected(Run(finished[0]).config)
    rule_sets: list[RuleSet] = []
    for source in sources:
        if any(Path(source).resolve() == Path(rules.run).resolve() for rules in rule_sets):
            raise ConfigError(f"{source} is given twice; give different runs or constitutions")
        rule_sets.append(_rule_set(source, out, {rules.name for rules in rule_sets}))
    return CompareConfig(
        rule_sets=tuple(rule_sets), run=run.model_copy(update={"out": out}), floor_prompts=floor_prompts, out=out
    )


def _uncorrected(run: RunConfig) -> RunConfig:
    """Return a run's settings without corrections, because rule sets are compared by uncorrected verdicts."""
    corrections = dict.fromkeys(("length_effect", "shortcuts", "recalibration"))
    return run.model_copy(update={"judging": run.judging.model_copy(update=corrections)})


def _rule_set(source: str, out: str, taken: set[str]) -> RuleSet:
    path = Path(source)
    if (path / "manifest.json").is_file():
        run = Run(path)
        name = run.constitution.name if run.constitution.name not in taken else path.resolve().name
        rules = RuleSet(name=name, run=source, constitution=str(path / "constitution.yaml"))
    else:
        name = load_constitution(source).name
        rules = RuleSet(name=name, run=str(Path(out) / "runs" / name), constitution=source)
    if rules.name in taken:
        raise ConfigError(f"{source}: another rule set is also called {rules.name}; give this one another `name`")
    return rules


def _refuse_other_folders(path: Path) -> None:
    if (path / COMPARISON).is_file():
        raise ConfigError(f"{path} is a comparison; give the runs in {path / 'runs'}")
    if path.is_dir() and not (path / "manifest.json").is_file():
        raise ConfigError(f"{path} is a folder but not a run directory; give a run directory or a constitution")
