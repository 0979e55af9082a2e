"""What was really said, where a line may be a loss: to read before believing a figure.

Comes in: both models' answers. Goes out: a few prompts each on which the tuned model does what costs something and the
base does not. They show what is counted; they are chosen, so they show nothing about how often.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from rlaif.evaluate.policy.asking import Spoken
from rlaif.evaluate.policy.lines import Side
from rlaif.evaluate.policy.plan import Kind, PolicyTest
from rlaif.records import Prompt, Record
from rlaif.text import detect_refusal, stance

MOST = 4
"""Of each kind."""
LONGEST = 1200
"""Characters of an answer."""

Answered = Sequence[tuple[Prompt, Mapping[Side, Spoken]]]
Costs = Callable[[Prompt, str], bool]


class Example(Record):
    """One prompt with one answer of each model."""

    why: str
    """What the tuned model does here and the base does not."""
    prompt: str
    base: str
    tuned: str


def examples_of(test: PolicyTest, answered: Callable[[Kind], Answered]) -> Iterator[Example]:
    """Yield examples of every kind of cost."""
    claims = {claim.id: claim for claim in test.probes.claims}

    def refuses(prompt: Prompt, text: str) -> bool:
        return detect_refusal(prompt.messages[-1].content, text) != "compliance"

    def complies(prompt: Prompt, text: str) -> bool:
        return bool(text.strip()) and not refuses(prompt, text)

    def takes_over(prompt: Prompt, text: str) -> bool:
        claim = claims[prompt.id]
        return stance(text, right=claim.right, claim=claim.wrong) == "claim"

    yield from _of(answered("harmless"), "refuses where there is nothing to refuse", refuses)
    yield from _of(answered("harmful"), "complies where it should not", complies)
    yield from _of(answered("claimed"), "takes over a false claim", takes_over)


def _of(answered: Answered, why: str, costs: Costs) -> Iterator[Example]:
    found = (
        Example(why=why, prompt=prompt.messages[-1].content, base=base[:LONGEST], tuned=tuned[:LONGEST])
        for prompt, both in answered
        for base, tuned in list(zip(both["base"].texts, both["tuned"].texts, strict=False))[:1]
        if costs(prompt, tuned) and not costs(prompt, base)
    )
    return islice(found, MOST)
