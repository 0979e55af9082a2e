"""The judges that look at answers one by one, or at all of them at once, see the candidates of one prompt."""

from collections.abc import Sequence

from rlaif.steps.comparison import Looked, Seat, Slate
from rlaif.steps.rank import rank
from rlaif.steps.rate import rate
from rlaif.steps.reward import reward
from rlaif.tasks import together
from rlaif.templates import Templates


async def look(seats: Sequence[Seat], templates: Templates, slate: Slate) -> Looked:
    """Return what all of them said; nothing where there are no two candidates to tell apart."""

    async def from_seat(seat: Seat) -> Looked:
        match seat.config.kind:
            case "rating":
                return await rate(seat, templates, slate)
            case "reward":
                return await reward(seat, slate)
            case "listwise":
                return await rank(seat, templates, slate)
            case _:
                return Looked()

    if len(slate.candidates) < 2:
        return Looked()
    found = await together(*map(from_seat, seats))
    return Looked(
        scores={key: scores for looked in found for key, scores in looked.scores.items()},
        rankings=[ranking for looked in found for ranking in looked.rankings],
        answers=[answer for looked in found for answer in looked.answers],
    )
