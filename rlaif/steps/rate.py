"""A number for one response under each aspect, as the expectation over the numbers' probabilities: kind `rating`.

The aspect stands last in the question, so that all aspects of one response share a prefix in the server's cache.
"""

import math
from collections.abc import Sequence

from rlaif.aspects import aspects_of
from rlaif.judgeconfig import Aspect
from rlaif.models.model import Answer
from rlaif.models.wire import ChatRequest
from rlaif.records import Response, Score
from rlaif.steps.compare import after_preamble, continued
from rlaif.steps.comparison import Looked, Seat, Slate
from rlaif.steps.examples import user
from rlaif.tasks import together
from rlaif.templates import Templates, conversation_text, fence_tag

UNLIKELY_ONE = 0.002
"""A `1` that is less likely than this can't hide a 10 worth asking for."""


async def rate(seat: Seat, templates: Templates, slate: Slate) -> Looked:
    """Return the scores of all candidates under all aspects."""
    rated = await together(*(_rate_one(seat, templates, slate, one) for one in slate.candidates))
    scores = {
        (seat.config.called, f"{seat.config.called}:{aspect.id}"): {
            response.id: found[place][0] for response, found in zip(slate.candidates, rated, strict=True)
        }
        for place, aspect in enumerate(aspects_of(seat.config))
    }
    return Looked(scores=scores, answers=[answer for found in rated for _, answers in found for answer in answers])


async def _rate_one(
    seat: Seat, templates: Templates, slate: Slate, response: Response
) -> list[tuple[Score | None, list[Answer]]]:
    ahead, *others = aspects_of(seat.config)
    first = await _under(seat, templates, slate, response, ahead)
    return [first, *await together(*(_under(seat, templates, slate, response, one) for one in others))]


async def _under(
    seat: Seat, templates: Templates, slate: Slate, response: Response, aspect: Aspect
) -> tuple[Score | None, list[Answer]]:
    question = templates.render(
        "rate",
        conversation=conversation_text(slate.prompt.messages),
        response=response.text,
        aspect=aspect,
        tag=fence_tag(slate.prompt, response.text),
    )
    request = ChatRequest(messages=(user(after_preamble(seat.config.preamble, question)),), max_tokens=1)
    numbers = [str(number) for number in range(aspect.scale[0], aspect.scale[1] + 1)]
    read, answer = await seat.critic.choose(request, tuple(numbers), priority=slate.priority)
    masses = [0.0 if logprob is None else math.exp(logprob) for logprob in read.logprobs]
    answers = [answer]
    if "10" in numbers and not masses[-1] and masses[numbers.index("1")] > UNLIKELY_ONE:
        zero, followed = await _zero_after_one(seat, request, slate.priority)
        answers.append(followed)
        one = numbers.index("1")
        masses[-1], masses[one] = masses[one] * zero, masses[one] * (1 - zero)
    return _score(masses, aspect, answer.key), answers


async def _zero_after_one(seat: Seat, request: ChatRequest, priority: int) -> tuple[float, Answer]:
    """Return the probability of a 0 after a 1: most tokenizers write 10 as two tokens, and the first looks like a 1."""
    read, answer = await seat.critic.choose(continued(request, "1"), ("0",), priority=priority)
    return read.label_mass, answer


def _score(masses: Sequence[float], aspect: Aspect, reply: str) -> Score | None:
    total = sum(masses)
    if total <= 0:
        return None
    probabilities = tuple(mass / total for mass in masses)
    value = sum((aspect.scale[0] + place) * p for place, p in enumerate(probabilities))
    return Score(value=value, probabilities=probabilities, label_mass=min(1.0, total), reply=reply)
