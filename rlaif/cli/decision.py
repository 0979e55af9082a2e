"""Why one answer was chosen over another, in lines: who speaks for it, who against it, and who has no say."""

from collections.abc import Iterable

from rlaif.preferences.judgement import Judgement, PrincipleJudgement, deciding_principles
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.preferences.pairs import Pair
from rlaif.preferences.rule import Rule
from rlaif.records import Matchup


def decided_by(pair: Pair, judgement: Judgement, matchup: Matchup, rule: Rule) -> list[str]:
    """Return the lines; every p is the probability that the chosen answer is the better one."""
    speaking = deciding_principles(judgement, rule)
    even = [part for part in speaking if abs(part.logit) < TIE_LOGIT]
    of = {part.principle: pair.principles[part.principle] - 0.5 for part in speaking if part not in even}
    read = {part.principle for part in judgement.principles}
    silent = [part.principle for part in judgement.principles if part.silent]
    lower = [p.principle for p in judgement.principles if p not in speaking and p.principle not in silent]
    asked = dict.fromkeys(
        [v.principle for v in matchup.verdicts]
        + [s.principle for s in matchup.scores]
        + [r.principle for r in matchup.rankings]
    )
    return _lines(
        {
            "decided by": _with_p((name for name in of if of[name] > 0), pair, rule),
            "against it": _with_p((name for name in of if of[name] < 0), pair, rule),
            "no difference": [*_names(even), *(f"{name} (a check that finds both alike)" for name in silent)],
            "not reached": [f"{name} (priority {rule.priorities.get(name, 1)})" for name in lower],
            "unreadable": [name for name in asked if name not in read],
        }
    )


def _with_p(names: Iterable[str], pair: Pair, rule: Rule) -> list[str]:
    ranked = sorted(names, key=lambda name: -abs(pair.principles[name] - 0.5) * rule.weight(name))
    return [f"{name} (p {pair.principles[name]:.3f}, weight {rule.weight(name):g})" for name in ranked]


def _names(parts: Iterable[PrincipleJudgement]) -> list[str]:
    return [part.principle for part in parts]


def _lines(said: dict[str, list[str]]) -> list[str]:
    return [f"{head:13} {', '.join(names)}" for head, names in said.items() if names]
