"""What a reward model gives a response: kind `reward`."""

from rlaif.errors import ReplyError
from rlaif.models.model import Answer
from rlaif.records import Message, Response, Score
from rlaif.steps.comparison import Looked, Seat, Slate
from rlaif.tasks import together


async def reward(seat: Seat, slate: Slate) -> Looked:
    """Return the raw scores of all candidates, from a sequence classifier that vLLM serves."""

    async def one(response: Response) -> tuple[Score, Answer]:
        conversation = (*slate.prompt.messages, Message(role="assistant", content=response.text))
        answer = await seat.critic.reward(conversation, priority=slate.priority)
        value = answer.reply.choices[0].score
        if value is None:
            raise ReplyError("the server sent no score")
        return Score(value=value, reply=answer.key), answer

    found = await together(*(one(response) for response in slate.candidates))
    scores = {response.id: score for response, (score, _) in zip(slate.candidates, found, strict=True)}
    name = seat.config.called
    return Looked(scores={(name, f"{name}:reward"): scores}, answers=[answer for _, answer in found])
