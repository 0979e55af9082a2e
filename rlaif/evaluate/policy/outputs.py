"""Ask a model all questions of a test: responses, letters of choice questions, log-probabilities of texts.

The result is the model's `PolicyOutputs`. Both models get the same questions with the same seeds. A question that fails
after all retries is kept as `Failed` and left out for both models, so that all differences are paired. A kind of
question that the server does not support is left out, with the reason.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from rlaif.errors import EndpointError, ReplyError, RequestError
from rlaif.evaluate.comparisons import Question, Result, ask_each
from rlaif.evaluate.policy.gains_and_losses import Side
from rlaif.evaluate.policy.questions import (
    LETTERS,
    ChoiceQuestion,
    Kind,
    NeutralText,
    PolicyTest,
    QuestionId,
)
from rlaif.executor import Failed
from rlaif.models.backend import USUAL_LOGPROBS, ChatRequest, ScoreRequest, user
from rlaif.models.model import LabelLogprobs, Model, read_labels
from rlaif.progress import Progress, Screen
from rlaif.records import Prompt
from rlaif.seeds import derive_seed
from rlaif.steps.sample import with_system
from rlaif.templates import Templates

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Responses:
    """One model's responses to one question."""

    texts: tuple[str, ...]
    cut: tuple[bool, ...]
    """For each text, whether it was cut at the largest number of tokens."""
    prompt_tokens: tuple[int, ...]
    """Token ids of the rendered question; empty where the server does not send them."""
    tokens: tuple[tuple[int, ...], ...]
    """Token ids of each response."""


@dataclass(frozen=True)
class ChoiceLogprobs:
    """One model's log-probabilities of the four letters of a choice question."""

    place: int
    """Position of the right option, 0 to 3."""
    letters: LabelLogprobs


@dataclass(frozen=True)
class TextLogprobs:
    """One model's log-probabilities of the tokens of a text."""

    tokens: tuple[int, ...]
    logprobs: tuple[float | None, ...]
    """None for the first token, which has no context."""
    characters: int
    """Length of the text; 0 for tokens that another model wrote."""


@dataclass(frozen=True)
class PolicyOutputs:
    """All outputs of one model."""

    name: str
    identity: str
    responses: Mapping[QuestionId, Responses | Failed]
    choices: Mapping[str, ChoiceLogprobs | Failed]
    texts: Mapping[str, TextLogprobs | Failed]
    unsupported: Mapping[str, str]
    """Reasons why a kind of question (`choices`, `texts`) could not be asked, by kind."""

    @property
    def failures(self) -> list[Failed]:
        """The questions that failed after all retries."""
        kinds: tuple[Mapping[Any, object], ...] = (self.responses, self.choices, self.texts)
        return [one for outputs in kinds for one in outputs.values() if isinstance(one, Failed)]


@dataclass(frozen=True)
class OutputsOfBoth:
    """All outputs of both models."""

    base: PolicyOutputs
    tuned: PolicyOutputs
    tuned_by_tuned: Mapping[str, TextLogprobs | Failed]
    """By prompt id: the tuned model's first response, scored by the tuned model."""
    tuned_by_base: Mapping[str, TextLogprobs | Failed]
    """By prompt id: the tuned model's first response, scored by the base."""
    unscored: str | None
    """Why those scores are missing; None where they are not."""

    @property
    def by_side(self) -> dict[Side, PolicyOutputs]:
        """The outputs of both models."""
        return {"base": self.base, "tuned": self.tuned}

    def unsupported(self, kind: str) -> str | None:
        """Return why a kind of question could not be asked of one of the models; None where it could."""
        return self.base.unsupported.get(kind) or self.tuned.unsupported.get(kind)

    def responses(self, test: PolicyTest, kind: Kind) -> Iterator[tuple[Prompt, dict[Side, Responses]]]:
        """Yield (question, both models' responses) for the questions of a kind to which both responded."""
        for key, prompt in test.questions():
            if key[0] == kind and (both := in_common(self.base.responses, self.tuned.responses, key)) is not None:
                yield prompt, both

    def choices(self, test: PolicyTest) -> list[dict[Side, ChoiceLogprobs]]:
        """Return both models' log-probabilities of the letters, for the choice questions that neither failed."""
        return all_in_common(self.base.choices, self.tuned.choices, (one.id for one in test.probes.questions))

    def texts(self, test: PolicyTest) -> list[dict[Side, TextLogprobs]]:
        """Return both models' log-probabilities of the neutral texts that neither failed."""
        return all_in_common(self.base.texts, self.tuned.texts, (one.id for one in test.probes.texts))


def in_common(
    base: Mapping[Key, Value | Failed], tuned: Mapping[Key, Value | Failed], key: Key
) -> dict[Side, Value] | None:
    """Return both models' outputs under a key; None where one is missing or failed."""
    one, other = base.get(key), tuned.get(key)
    if one is None or other is None or isinstance(one, Failed) or isinstance(other, Failed):
        return None
    return {"base": one, "tuned": other}


def all_in_common(
    base: Mapping[Key, Value | Failed], tuned: Mapping[Key, Value | Failed], keys: Iterable[Key]
) -> list[dict[Side, Value]]:
    """Return both models' outputs under every key that both have."""
    return [both for key in keys if (both := in_common(base, tuned, key)) is not None]


async def ask_policy(
    test: PolicyTest, model: Model, progress: Progress, screen: Screen, system: str = ""
) -> PolicyOutputs:
    """Ask one model all questions and return its outputs. Raises RequestError when it responds to none."""
    questions = list(test.questions())
    unsupported: dict[str, str] = {}

    async def respond(question: tuple[QuestionId, Prompt], priority: int) -> Responses:
        return await _respond(test, model, question[1], priority, system)

    async def choose(question: ChoiceQuestion, priority: int) -> ChoiceLogprobs:
        # `priority` is the question's index, so that the right option is equally often at each position.
        return await _choose(test.templates, model, question, priority % len(LETTERS))

    async def score(text: NeutralText, priority: int) -> TextLogprobs:
        return await score_text(model, text.text, len(text.text), priority)

    probes = test.probes
    responses = await ask_each(questions, respond, progress, screen)
    choices = await _if_supported(model, "choices", unsupported, probes.questions, choose, progress, screen)
    texts = await _if_supported(model, "texts", unsupported, probes.texts, score, progress, screen)
    return PolicyOutputs(
        name=model.name,
        identity=model.client.identity,
        responses=dict(zip((key for key, _ in questions), responses, strict=True)),
        choices=dict(zip((one.id for one in probes.questions), choices, strict=False)),
        texts=dict(zip((one.id for one in probes.texts), texts, strict=False)),
        unsupported=unsupported,
    )


async def score_responses(
    model: Model, responses: Mapping[str, Responses], progress: Progress, screen: Screen
) -> tuple[dict[str, TextLogprobs | Failed], str | None]:
    """Score the first response to every prompt with a model, with the token ids that the other model sampled.

    Returns (scores of the responses' tokens by prompt id, why there are none, or None).
    """
    unsupported: dict[str, str] = {}

    async def score(one: Responses, priority: int) -> TextLogprobs:
        found = await score_text(model, (*one.prompt_tokens, *one.tokens[0]), 0, priority)
        start = len(one.prompt_tokens)
        return TextLogprobs(found.tokens[start:], found.logprobs[start:], characters=0)

    with_tokens = {name: one for name, one in responses.items() if one.prompt_tokens and one.tokens and one.tokens[0]}
    if responses and not with_tokens:
        return {}, "the server of the tuned model does not send token ids (vLLM does)"
    found = await _if_supported(model, "responses", unsupported, list(with_tokens.values()), score, progress, screen)
    return dict(zip(with_tokens, found, strict=False)), unsupported.get("responses")


async def score_text(model: Model, text: str | tuple[int, ...], characters: int, priority: int) -> TextLogprobs:
    """Return a model's log-probabilities of a text. Raises ReplyError where the server scored other tokens."""
    reply = (await model.score(ScoreRequest(prompt=text), priority=priority)).reply
    if not isinstance(text, str) and reply.prompt_tokens != text:
        raise ReplyError("the server scored other tokens than the ones sent")
    return TextLogprobs(reply.prompt_tokens, reply.prompt_logprobs, characters)


async def _respond(test: PolicyTest, model: Model, prompt: Prompt, priority: int, system: str) -> Responses:
    sampling = test.sampling
    request = ChatRequest(
        messages=with_system(prompt.messages, system),
        tools=prompt.tools,
        n=sampling.n,
        seed=derive_seed(test.seed, prompt.id, "evaluate policy"),
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_tokens=sampling.max_tokens,
        return_token_ids=True,
    )
    reply = (await model.chat(request, priority=priority)).reply
    return Responses(
        texts=tuple(choice.text for choice in reply.choices),
        cut=tuple(choice.finish_reason == "length" for choice in reply.choices),
        prompt_tokens=reply.prompt_tokens,
        tokens=tuple(choice.tokens for choice in reply.choices),
    )


async def _choose(templates: Templates, model: Model, question: ChoiceQuestion, place: int) -> ChoiceLogprobs:
    text = templates.render("choice", question=question.question, options=question.options(place), letters=LETTERS)
    request = ChatRequest(
        messages=(user(text),),
        max_tokens=1,
        logprobs=True,
        top_logprobs=model.client.config.top_logprobs or USUAL_LOGPROBS,
    )
    stored = await model.chat(request, priority=place, labels=LETTERS)
    return ChoiceLogprobs(place, read_labels(LETTERS, stored.reply.choices[0].first_token))


async def _if_supported(
    model: Model,
    kind: str,
    unsupported: dict[str, str],
    questions: Sequence[Question],
    ask: Callable[[Question, int], Awaitable[Result]],
    progress: Progress,
    screen: Screen,
) -> Sequence[Result | Failed]:
    """Return the results of questions; if the server does not support them, store the reason and return []."""
    before = progress.done + progress.failed
    try:
        return await ask_each(questions, ask, progress, screen)
    except (RequestError, EndpointError) as error:
        await model.client.connect()  # raises if the server does not respond at all
        unsupported[kind] = f"{type(error).__name__}: {error}"
        progress.prompts -= len(questions) - (progress.done + progress.failed - before)
        return []
