"""How often intervals of a policy's evaluation hold the truth, and how often they show a difference that is not there.

python benchmarks/policy_intervals.py [ROUNDS]
"""

import math
import random
import sys

from rlaif.evaluate.policy.duels import Duel, Judged
from rlaif.evaluate.policy.lines import SIDES, What, line, paired
from rlaif.evaluate.policy.wins import win_rate_at_equal_length
from rlaif.records import Message, Prompt
from rlaif.stats.estimates import Tally
from rlaif.stats.log_odds import sigmoid

DUELS, PROMPTS, ANSWERS = 100, 42, 4
ADVANTAGE, WORTH = 0.3, 2.0
"""Log-odds of the tuned answer at equal length, and for e times the length."""


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    held = [_at_equal_length(seed).holds(sigmoid(ADVANTAGE)) for seed in range(rounds)]
    print(f"win rate at equal length: its interval holds the truth in {sum(held) / rounds:.1%} of {rounds} rounds")
    alarms = [_share_line(seed).finding != "nothing shown" for seed in range(rounds)]
    print(f"share of {PROMPTS} prompts, two equal models: a difference shown in {sum(alarms) / rounds:.1%}")


def _at_equal_length(seed: int):  # noqa: ANN202
    """Return the figure for duels whose winner hangs on an advantage and, twice as much, on length."""
    rng, judged = random.Random(seed), []
    for place in range(DUELS):
        length = round(200 * math.exp(rng.gauss(0.4, 0.3)))
        prompt = Prompt(id=str(place), messages=(Message(role="user", content="x"),))
        duel = Duel(prompt, base="x" * 200, tuned="y" * length)
        won = rng.random() < sigmoid(ADVANTAGE + WORTH * duel.length_ratio)
        judged.append(Judged(duel, "tuned" if won else "base", None, None))
    return win_rate_at_equal_length(judged)


def _share_line(seed: int):  # noqa: ANN202
    """Return the line of two models that do something equally often, in some prompts more than in others."""
    rng, tallies = random.Random(seed), []
    for _ in range(PROMPTS):
        share = rng.betavariate(0.6, 3)
        counts = {side: sum(rng.random() < share for _ in range(ANSWERS)) for side in SIDES}
        tallies.append({side: Tally({"so": counts[side], "answers": ANSWERS}) for side in SIDES})
    return line(paired(tallies), What("x", "manner", "x", "lower"), "so", "answers")


if __name__ == "__main__":
    main()
