"""An evaluation's verdicts as a table: one row per critic, item, principle and order."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rlaif.evaluate.outcomes import BETTER, Judged
from rlaif.records import Matchup, Verdict


def verdict_rows(judged: Mapping[str, Sequence[Judged]]) -> Iterator[dict[str, Any]]:
    """Yield the rows; an item that failed has one without a verdict."""
    for critic, items in judged.items():
        for one in items:
            shared = {
                "critic": critic,
                "subset": one.item.subset,
                "id": one.item.id,
                "outcome": one.outcome,
                "p_better": one.p,
                "logit_better": one.logit,
                "length_ratio": one.length_ratio,
            }
            matchup = one.asked.matchup
            if matchup is None:
                yield shared | _verdict(None, None) | {"error": one.asked.error}
                continue
            for verdict in matchup.verdicts:
                yield shared | _verdict(matchup, verdict) | {"error": None}
            others = [(scored.judge, scored.principle) for scored in matchup.scores]
            others += [(ranked.judge, ranked.principle) for ranked in matchup.rankings]
            for judge, principle in others:
                said = {"judge": judge, "principle": principle}
                yield shared | _verdict(None, None) | said | {"error": None}


def _verdict(matchup: Matchup | None, verdict: Verdict | None) -> dict[str, Any]:
    if matchup is None or verdict is None:
        return dict.fromkeys(("judge", "principle", "shown_first", "logit_first", "label_mass", "reply"))
    first = matchup.a if verdict.order == "ab" else matchup.b
    return {
        "judge": verdict.judge,
        "principle": verdict.principle,
        "shown_first": "better" if first == BETTER else "worse",
        "logit_first": verdict.logit(),
        "label_mass": verdict.label_mass,
        "reply": verdict.reply,
    }
