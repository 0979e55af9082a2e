"""Examples as the model will see them: which tokenizer, how long, and which ones have no room for an answer.

Imports transformers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import AutoTokenizer

from rlaif.errors import UsageError
from rlaif.records import Message
from rlaif.train.examples import PairExample, ResponseExample
from rlaif.train.trl_options import Stage

Tokenizer = Any


@dataclass(frozen=True)
class Length:
    """One example in tokens."""

    prompt: int
    answers: tuple[int, ...]
    """The chosen and the rejected answer, or the one to imitate."""
    spelled_alike: bool = True
    """Whether the prompt is spelled the same when an answer follows; where not, its end is not trained with."""

    @property
    def total(self) -> int:
        """Tokens that the model reads for it: the prompt stands before every answer."""
        return sum(self.prompt + answer for answer in self.answers)

    @property
    def longest(self) -> int:
        """Tokens of its longest sequence."""
        return self.prompt + max(self.answers)


@dataclass(frozen=True)
class Lengths:
    """All examples in tokens."""

    by_id: Mapping[str, Length]
    max_length: int

    def too_long(self, stage: Stage) -> list[str]:
        """Return the ids of examples without room for an answer; for a reward model, those that do not fit whole."""
        return [name for name, one in self.by_id.items() if not self._fits(one, stage)]

    def cut(self, stage: Stage) -> list[str]:
        """Return the ids of examples whose answers lose their end."""
        return [name for name, one in self.by_id.items() if self._fits(one, stage) and one.longest > self.max_length]

    def unlike(self) -> list[str]:
        """Return the ids of examples whose prompts the chat template spells otherwise when an answer follows."""
        return [name for name, one in self.by_id.items() if not one.spelled_alike]

    def mean_total(self, ids: Sequence[str]) -> float:
        """Return the tokens that the model reads for an example, on average."""
        return sum(min(self.by_id[name].total, 2 * self.max_length) for name in ids) / max(1, len(ids))

    def longest(self, ids: Sequence[str]) -> int:
        """Return the tokens of the longest sequence that is trained on."""
        return min(self.max_length, max((self.by_id[name].longest for name in ids), default=1))

    def mean_answer(self, ids: Sequence[str]) -> float:
        """Return the tokens of a chosen answer, on average."""
        return sum(self.by_id[name].answers[0] for name in ids) / max(1, len(ids))

    def _fits(self, one: Length, stage: Stage) -> bool:
        return one.longest <= self.max_length if stage == "reward" else one.prompt < self.max_length


def load_tokenizer(source: str, name: str) -> Tokenizer:
    """Return the tokenizer of a model. Raises UsageError when there is none, or none with a chat template."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
    except Exception as error:  # noqa: BLE001  (the hub's client and the tokenizers raise anything)
        raise UsageError(f"{name}: its tokenizer cannot be loaded: {' '.join(str(error).split())[:200]}") from None
    if tokenizer.chat_template is None:
        raise UsageError(
            f"{name}: its tokenizer has no chat template, so a conversation cannot be spelled for it; start from a "
            "chat model, or put a chat_template.jinja into its folder"
        )
    return tokenizer


def measure(
    examples: Sequence[PairExample | ResponseExample],
    tokenizer: Tokenizer,
    max_length: int,
    template: Mapping[str, Any],
) -> Lengths:
    """Return the length of every example. Raises UsageError when the chat template refuses a conversation."""
    return Lengths({one.id: _length(one, tokenizer, template) for one in examples}, max_length)


def _length(example: PairExample | ResponseExample, tokenizer: Tokenizer, template: Mapping[str, Any]) -> Length:
    texts = (example.chosen, example.rejected) if isinstance(example, PairExample) else (example.completion,)
    prompt = _spell(example.id, example.prompt, tokenizer, {"add_generation_prompt": True, **template})
    wholes = [
        _spell(example.id, (*example.prompt, Message(role="assistant", content=text)), tokenizer, template)
        for text in texts
    ]
    return Length(
        len(prompt),
        tuple(max(1, len(whole) - len(prompt)) for whole in wholes),
        all(whole[: len(prompt)] == prompt for whole in wholes),
    )


def _spell(name: str, turns: Sequence[Message], tokenizer: Tokenizer, options: Mapping[str, Any]) -> list[int]:
    messages = [turn.model_dump() for turn in turns]
    try:
        spelled = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)
    except Exception as error:  # noqa: BLE001  (a template is a program of the model's author)
        raise UsageError(f"{name}: the model's chat template refuses it: {error}") from None
    return list(spelled["input_ids"])
