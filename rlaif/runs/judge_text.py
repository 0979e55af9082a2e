"""How a run judges, in words: the same on the screen, on the dataset's card and in the report."""

from rlaif.config.judging import JudgingConfig
from rlaif.judges import KINDS, JudgeConfig
from rlaif.preferences.correction import Corrected
from rlaif.preferences.panel import Panel
from rlaif.stats.estimates import Estimate


def judge_words(judge: JudgeConfig) -> str:
    """Return what one judge does, in a few words."""
    how = KINDS[judge.kind].describe(judge)
    weight = "" if judge.weight == 1 else f"; weight {judge.weight:g}"
    return f"{judge.called}: {how}{weight}"


def strategy_words(judging: JudgingConfig) -> str:
    """Return how principles become one label."""
    return {
        "by-priority": "weighted mean of the principles, level by level",
        "weighted": "weighted mean of all principles, whatever their level",
        "pareto": "weighted mean, and no label where a principle by itself says the contrary",
    }[judging.strategy]


def corrected_words(corrected: Corrected) -> list[str]:
    """Return what was corrected in the log-odds, and from what."""
    found = []
    if corrected.length_effect is not None:
        measured = corrected.length_measured.ends("+.2f") if corrected.length_measured else ""
        source = "measured over this run" if corrected.length_measured else "given in the run file"
        found.append(
            f"length: {corrected.length_effect:+.2f} logits{measured} for e times the "
            f"characters taken out ({source}); what longer answers really are better by is gone, too"
        )
    if corrected.noise is not None:
        found.append(
            f"sureness: held back by the noise that the two orders show ({corrected.noise.reliability:.0%} of the "
            "variance of log-odds is the answers')"
        )
    if corrected.recalibrator is not None:
        fitted, gold = corrected.recalibrator, corrected.recalibrator.fitted_on
        what = f"log-odds times {fitted.slope:.2f}" if fitted.slope is not None else "an isotonic curve"
        found.append(
            f"sureness: {what}, fitted on {fitted.items} labelled items of {gold.gold} (hash {gold.gold_hash})"
        )
    return found


def panel_words(panel: Panel) -> list[str]:
    """Return how several judges get on, a line each."""
    lines = []
    for member in panel.members:
        parts = [f"read in {member.read} matchups"]
        parts += [] if member.agrees.value is None else [f"agrees with the others {_share(member.agrees)}"]
        parts += [] if member.decisive.value is None else [f"decides {_share(member.decisive)} of the labels"]
        related = f"; of the policy's family ({', '.join(member.related)})" if member.related else ""
        related = "; the policy itself" if member.related == ("itself",) else related
        lines.append(f"{member.judge} by {member.model}: {', '.join(parts)}{related}")
    lines += [
        f"{pair.one} and {pair.other}: the same winner {_share(pair.same)}, correlation of log-odds "
        f"{pair.correlation.value:+.2f}"
        for pair in panel.pairs
        if pair.same.value is not None and pair.correlation.value is not None
    ]
    return lines


def _share(estimate: Estimate) -> str:
    ends = (
        ""
        if estimate.low is None or estimate.high is None
        else f" ({100 * estimate.low:.0f} to {100 * estimate.high:.0f})"
    )
    return f"{estimate.value:.0%}{ends}"
