"""What a rating judge rates: the shipped sets of aspects, or those of the run file."""

from functools import cache

import yaml

from rlaif.judgeconfig import Aspect, JudgeConfig
from rlaif.shipped import TEMPLATES


def aspects_of(judge: JudgeConfig) -> tuple[Aspect, ...]:
    """Return the aspects of a rating judge; the principle its scores go by is `JUDGE:ASPECT`."""
    return shipped_aspects()[judge.aspects] if isinstance(judge.aspects, str) else judge.aspects


@cache
def shipped_aspects() -> dict[str, tuple[Aspect, ...]]:
    """Return the sets that come with the package; their words stand in prompts/aspects.yaml."""
    content = yaml.safe_load((TEMPLATES / "aspects.yaml").read_text(encoding="utf-8"))
    return {name: tuple(Aspect.model_validate(one) for one in aspects) for name, aspects in content.items()}
