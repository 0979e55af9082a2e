"""Everything one policy is asked: prompts and probes in words, questions by their first token, texts by their tokens.

Comes in: a test and a model. Goes out: `Said`. Both models get the same questions with the same seeds. A question that
fails for good is kept as `Failed`; where a server cannot do what a whole kind needs, that kind is left out with the
reason. No figure is computed here.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from rlaif.errors import EndpointError, ReplyError, RequestError
from rlaif.evaluate.asking import Question, Result, ask_each
from rlaif.evaluate.policy.plan import Place, PolicyTest
from rlaif.evaluate.policy.probes import LETTERS, ChoiceQuestion, NeutralText
from rlaif.executor import Failed
from rlaif.models.labels import LabelLogprobs, read_labels
from rlaif.models.model import Model
from rlaif.models.wire import USUAL_LOGPROBS, ChatRequest, ScoreRequest, user
from rlaif.progress import Progress, Screen
from rlaif.records import Prompt
from rlaif.seeds import derive_seed
from rlaif.templates import Templates


@dataclass(frozen=True)
class Spoken:
    """The answers to one question."""

    texts: tuple[str, ...]
    cut: tuple[bool, ...]
    """Whether each was cut at the largest number of tokens."""
    prompt_tokens: tuple[int, ...]
    """Ids of the question as the model read it; empty where the server does not say."""
    tokens: tuple[tuple[int, ...], ...]
    """Ids of each answer's tokens."""


@dataclass(frozen=True)
class Picked:
    """How probable a model finds each of the four letters."""

    place: int
    """Where the right option stood, 0..3."""
    read: LabelLogprobs


@dataclass(frozen=True)
class Scored:
    """How likely a model finds every token of a text."""

    tokens: tuple[int, ...]
    logprobs: tuple[float | None, ...]
    """None for the first, which has nothing before it."""
    letters: int
    """Characters of the text; 0 for tokens that another model wrote."""


@dataclass(frozen=True)
class Said:
    """All that one model said."""

    name: str
    identity: str
    spoken: Mapping[Place, Spoken | Failed]
    picked: Mapping[str, Picked | Failed]
    scored: Mapping[str, Scored | Failed]
    unable: Mapping[str, str]
    """Why a whole kind (`picked`, `scored`) could not be asked."""


def count_of(test: PolicyTest) -> int:
    """Return how many questions one model is asked by `ask_policy`."""
    return sum(1 for _ in test.questions()) + len(test.probes.questions) + len(test.probes.texts)


async def ask_policy(test: PolicyTest, model: Model, progress: Progress, screen: Screen) -> Said:
    """Ask one model everything. Raises RequestError when no question in words is answered."""
    questions = list(test.questions())
    unable: dict[str, str] = {}

    async def spoken(question: tuple[Place, Prompt], priority: int) -> Spoken:
        return await _speak(test, model, question[1], priority)

    async def picked(question: ChoiceQuestion, priority: int) -> Picked:
        # Counted among all questions, so that the right option stands equally often at every place.
        return await _pick(test.templates, model, question, priority % len(LETTERS))

    async def scored(text: NeutralText, priority: int) -> Scored:
        return await score(model, text.text, len(text.text), priority)

    answers = await ask_each(questions, spoken, progress, screen)
    letters = await _if_able(model, "picked", unable, test.probes.questions, picked, progress, screen)
    scores = await _if_able(model, "scored", unable, test.probes.texts, scored, progress, screen)
    return Said(
        name=model.name,
        identity=model.client.identity,
        spoken=dict(zip((place for place, _ in questions), answers, strict=True)),
        picked=dict(zip((one.id for one in test.probes.questions), letters, strict=False)),
        scored=dict(zip((one.id for one in test.probes.texts), scores, strict=False)),
        unable=unable,
    )


async def score_answers(
    model: Model, answers: Mapping[str, Spoken], progress: Progress, screen: Screen
) -> tuple[dict[str, Scored | Failed], str | None]:
    """Let a model score the first answer to every prompt, token by token as another one drew it.

    Returns the scores of the answers' tokens (the prompts' left out), and why there are none.
    """
    unable: dict[str, str] = {}

    async def scored(spoken: Spoken, priority: int) -> Scored:
        found = await score(model, (*spoken.prompt_tokens, *spoken.tokens[0]), 0, priority)
        start = len(spoken.prompt_tokens)
        return Scored(found.tokens[start:], found.logprobs[start:], letters=0)

    able = {name: one for name, one in answers.items() if one.prompt_tokens and one.tokens and one.tokens[0]}
    if answers and not able:
        return {}, "the server of the tuned model does not send the ids of tokens (vLLM does)"
    found = await _if_able(model, "answers", unable, list(able.values()), scored, progress, screen)
    return dict(zip(able, found, strict=False)), unable.get("answers")


async def score(model: Model, prompt: str | tuple[int, ...], letters: int, priority: int) -> Scored:
    """Let a model score one text. Raises ReplyError where it read other tokens than it was given."""
    reply = (await model.score(ScoreRequest(prompt=prompt), priority=priority)).reply
    if not isinstance(prompt, str) and reply.prompt_tokens != prompt:
        raise ReplyError("the server scored other tokens than it was given")
    return Scored(reply.prompt_tokens, reply.prompt_logprobs, letters)


async def _speak(test: PolicyTest, model: Model, prompt: Prompt, priority: int) -> Spoken:
    sampling = test.sampling
    answer = await model.chat(
        ChatRequest(
            messages=prompt.messages,
            n=sampling.n,
            seed=derive_seed(test.seed, prompt.id, "evaluate policy"),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            return_token_ids=True,
        ),
        priority=priority,
    )
    choices = answer.reply.choices
    return Spoken(
        texts=tuple(choice.text for choice in choices),
        cut=tuple(choice.finish_reason == "length" for choice in choices),
        prompt_tokens=answer.reply.prompt_tokens,
        tokens=tuple(choice.tokens for choice in choices),
    )


async def _pick(templates: Templates, model: Model, question: ChoiceQuestion, place: int) -> Picked:
    text = templates.render("choice", question=question.question, options=question.options(place), letters=LETTERS)
    request = ChatRequest(
        messages=(user(text),),
        max_tokens=1,
        logprobs=True,
        top_logprobs=model.client.config.top_logprobs or USUAL_LOGPROBS,
    )
    answer = await model.chat(request, priority=place, labels=LETTERS)
    return Picked(place, read_labels(LETTERS, answer.reply.choices[0].first_token))


async def _if_able(
    model: Model,
    kind: str,
    unable: dict[str, str],
    questions: Sequence[Question],
    ask: Callable[[Question, int], Awaitable[Result]],
    progress: Progress,
    screen: Screen,
) -> Sequence[Result | Failed]:
    """Ask questions that not every server can answer; where this one can't, note why and go on without."""
    before = progress.done + progress.failed
    try:
        return await ask_each(questions, ask, progress, screen)
    except (RequestError, EndpointError) as error:
        await model.client.connect()  # a server that is gone altogether ends the evaluation here
        unable[kind] = f"{type(error).__name__}: {error}"
        progress.prompts -= len(questions) - (progress.done + progress.failed - before)
        return []
