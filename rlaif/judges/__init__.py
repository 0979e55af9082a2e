"""The kinds of judges, one file each, and the panel that asks them.

A new kind is one file here with a `JudgeKind` called `KIND`, its template in prompts/, and one line in `KINDS` below
(with its import). `base.py` documents the parts of a `JudgeKind`; CONTRIBUTING.md has an example.
"""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Discriminator, Tag, TypeAdapter

from rlaif.judges import listwise, pairwise_logprob, pairwise_reasoned, rating, reward, satisfies
from rlaif.judges.base import JudgeConfigBase, JudgeKind

KINDS: Mapping[str, JudgeKind] = {
    kind.name: kind
    for kind in (
        pairwise_logprob.KIND,
        pairwise_reasoned.KIND,
        rating.KIND,
        satisfies.KIND,
        listwise.KIND,
        reward.KIND,
    )
}
"""All kinds, by the value of `kind` in a run file."""

PAIRWISE = tuple(name for name, kind in KINDS.items() if kind.ask_pair is not None)
"""The kinds that compare two responses."""

_DEFAULTS = {
    option: (
        field.get_default(call_default_factory=True),
        [n for n, k in KINDS.items() if option in k.config.model_fields],
    )
    for kind in KINDS.values()
    for option, field in kind.config.model_fields.items()
}
"""By option: (default, names of the kinds that have it)."""


def _without_other_options(data: object) -> object:
    """Raise ValueError for an option of another kind; drop it where it equals its default.

    Run files of older versions contain all options of all kinds.
    """
    if not isinstance(data, dict):
        return data
    if data.get("kind") not in KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(KINDS)}, not {data.get('kind')!r}")
    own = KINDS[data["kind"]].config.model_fields
    kept = {}
    for option, value in data.items():
        default, kinds = _DEFAULTS.get(option, (None, []))
        if option in own or not kinds:
            kept[option] = value
        elif (tuple(value) if isinstance(value, list) else value) != default:
            raise ValueError(f"a {data['kind']} judge has no option `{option}`; it belongs to {', '.join(kinds)}")
    return kept


if TYPE_CHECKING:
    JudgeConfig: TypeAlias = JudgeConfigBase
else:
    JudgeConfig = Annotated[
        reduce(or_, (Annotated[kind.config, Tag(name)] for name, kind in KINDS.items())),
        Discriminator(lambda judge: judge.get("kind") if isinstance(judge, dict) else getattr(judge, "kind", None)),
        BeforeValidator(_without_other_options),
    ]
"""One judge: a kind of question, its options, and the model that answers it; at run time the union of all kinds."""

_ADAPTER: TypeAdapter[JudgeConfig] = TypeAdapter(JudgeConfig)


def judge_config(kind: str, **options: Any) -> JudgeConfig:  # noqa: ANN401
    """Return the configuration of one judge. Raises pydantic's ValidationError."""
    return _ADAPTER.validate_python({"kind": kind, **options})


def own_options(judge: Mapping[str, Any]) -> dict[str, Any]:
    """Return a judge's options from a manifest without options of other kinds, which older manifests contain."""
    kind = KINDS.get(str(judge.get("kind")))
    others = set(_DEFAULTS) - set(kind.config.model_fields if kind else _DEFAULTS)
    return {option: value for option, value in judge.items() if option not in others}


__all__ = ["KINDS", "PAIRWISE", "JudgeConfig", "JudgeKind", "judge_config", "own_options"]
