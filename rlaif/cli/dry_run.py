"""A run against a simulated model, to find mistakes and estimate the cost before using a GPU."""

from pathlib import Path

from rlaif.config.judging import JudgingConfig
from rlaif.config.run import RunConfig
from rlaif.models.config import ModelConfig
from rlaif.testing import SimulatedServer

DRY_RUN_PROMPTS = 8


def _by_the_critic(judging: JudgingConfig) -> JudgingConfig:
    """Return judges that all use the simulated critic, without gate and corrections, which belong to a real one."""
    judges = tuple(judge.model_copy(update={"critic": None}) for judge in judging.judges)
    return judging.model_copy(update={"judges": judges, "require": None, "recalibration": None, "shortcuts": None})


def simulated_config(config: RunConfig, server: SimulatedServer, folder: Path) -> RunConfig:
    """Return the same settings for a few prompts and a simulated model, with everything in `folder`."""
    endpoint = ModelConfig(model=server.model.name, url=(server.url,))
    limit = min(config.prompts.limit or DRY_RUN_PROMPTS, DRY_RUN_PROMPTS)
    given = config.responses
    rows = min(given.limit or DRY_RUN_PROMPTS, DRY_RUN_PROMPTS) if given else None
    return config.model_copy(
        update={
            "policy": endpoint,
            "policies": tuple(one.model_copy(update={"model": endpoint}) for one in config.policies),
            "critic": endpoint,
            "judging": _by_the_critic(config.judging),
            "prompts": config.prompts.model_copy(update={"limit": limit}),
            "responses": given.model_copy(update={"limit": rows}) if given else None,
            "cache": None,
            "out": str(folder / "run"),
        }
    )
