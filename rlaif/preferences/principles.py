"""What each principle contributed: does it decide anything, agree with the others, contradict one, turn with the order?

Comes in: judgements. Goes out: tallies by (what, principle) that add up over matchups and prompts:

    ("read", k)         matchups in which principle k was read
    ("labelled", k)     of these, those that got a label
    ("decisive", k)     of the labelled, those whose label would be another, or none, without k
    ("met", k)          matchups in which k and the other principles both name a winner
    ("agrees", k)       of these, those in which it is the same winner
    ("ordered", k)      matchups in which k was asked in both orders
    ("turned", k)       of these, those whose two orders name different winners
    ("both", k, m)      matchups in which k and m both name a winner
    ("same", k, m)      of these, those in which it is the same one
"""

from itertools import combinations

from rlaif.preferences.judgement import Judgement, decide
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.preferences.rule import Rule
from rlaif.stats.estimates import Tally


def tally_principles(judgement: Judgement, rule: Rule) -> Tally:
    """Return what the principles of one matchup did, as counts."""
    tally = tally_voices(judgement, rule)
    for one, other in combinations([part for part in judgement.principles if abs(part.logit) >= TIE_LOGIT], 2):
        tally["both", one.principle, other.principle] += 1
        tally["same", one.principle, other.principle] += (one.logit > 0) == (other.logit > 0)
    return tally


def tally_voices(judgement: Judgement, rule: Rule) -> Tally:
    """Return the same without the pairs of principles, which take most of the time and room."""
    tally: Tally = Tally()
    parts = judgement.principles
    label = decide(parts, rule, judgement.length_shift).label
    for part in parts:
        k = part.principle
        rest = decide([other for other in parts if other is not part], rule, judgement.length_shift)
        tally["read", k] += 1
        tally["labelled", k] += label is not None
        tally["decisive", k] += label is not None and rest.label != label
        if rest.logit is not None and abs(rest.logit) >= TIE_LOGIT and abs(part.logit) >= TIE_LOGIT:
            tally["met", k] += 1
            tally["agrees", k] += (rest.logit > 0) == (part.logit > 0)
        if part.turned is not None:
            tally["ordered", k] += 1
            tally["turned", k] += part.turned
    return tally
