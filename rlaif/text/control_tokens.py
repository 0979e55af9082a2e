"""Texts that chat templates and tokenizers take as control tokens, such as `<|im_end|>`, written so that they are none.

A server tokenises the whole request: a response that contains `<|im_end|>` would end the turn that shows it to a judge,
whatever fence is around it. One space after the first character (`< |im_end|>`) makes it ordinary text, which a reader
still recognises; where spaces stand there already, one more, so that `restored` gives back exactly what was written.
"""

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from itertools import pairwise

_ANGLE = (
    r"\|[^|<>\n]{1,60}\|",  # ChatML, Llama 3, Phi, GLM, gpt-oss, Command R, Granite
    r"｜[^｜<>\n]{1,60}｜",  # DeepSeek
    r"/?s",
    r"/?(?:bos|eos|pad|unk|cls|sep|mask|sop|eop|eod)",
    r"(?:start|end)_of_[a-z]{1,20}",  # Gemma
    r"(?:unused|reserved|extra_id|extra_token|special)_?[0-9]{1,5}",
    r"(?:fim|repo|file|jupyter|image|audio|video)_[a-z_]{1,30}",
    r"</?SYS>",  # Llama 2
    r"/?tool_(?:call|calls|response)",
)
_THINKING = r"/?think"
_SQUARE = (
    r"/?INST",
    r"/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|MODEL_SETTINGS|THINK|ARGS|CALL_ID)",
    r"(?:IMG|IMG_BREAK|IMG_END|AUDIO|BEGIN_AUDIO|PREFIX|MIDDLE|SUFFIX)",  # Mistral
    r"(?:CLS|SEP|MASK|PAD|UNK|BOS|EOS|gMASK)",
    r"UNUSED_TOKEN_[0-9]{1,5}",
)
_CANDIDATE = re.compile(r"<[^\s<>]{1,60}>|\[/?[A-Za-z][A-Za-z_]{1,40}\]")
_ROLE = re.compile(r"^\[( *)(?=(?:system|developer|user|assistant|tool(?: [^\]\n]{1,80})?)\]$)", re.MULTILINE)


def candidates(text: str) -> set[str]:
    """Return the parts of a text that a tokenizer might have as one token: its own special ones look like this."""
    return {found.group() for place in _openings(text) if (found := _CANDIDATE.match(text, place))}


def neutral(text: str, also: Collection[str] = (), *, thinking: bool = True) -> str:
    """Return a text in which nothing is a control token; `also` are those of one tokenizer.

    Without `thinking`, `<think>` stays: an assistant's own turn may begin with its reasoning.
    """
    marker = _markers(frozenset(also), thinking)
    ends = sorted(found.end() for place in _openings(text) if (found := marker.match(text, place)))
    return " ".join(text[start:end] for start, end in pairwise([0, *ends, len(text)])) if ends else text


def restored(text: str, also: Collection[str] = ()) -> str:
    """Return the text that `neutral` was given, or what a model wrote after it."""
    return _neutral_markers(frozenset(also)).sub(lambda found: found.group()[:-1], text)


def without_roles(text: str) -> str:
    """Return a turn in which no line is the heading of another turn, as a conversation is shown to a critic."""
    return _ROLE.sub(lambda found: f"{found.group()} ", text) if "[" in text else text


def _openings(text: str) -> Iterator[int]:
    """Yield where a control token may begin; searching for one letter is five times faster than for a pattern."""
    for letter in "<[":
        place = text.find(letter)
        while place >= 0:
            yield place
            place = text.find(letter, place + 1)


@lru_cache(maxsize=64)
def _markers(also: frozenset[str], thinking: bool) -> re.Pattern[str]:
    return re.compile(_pattern(also, r" *", thinking=thinking))


@lru_cache(maxsize=64)
def _neutral_markers(also: frozenset[str]) -> re.Pattern[str]:
    return re.compile(_pattern(also, r" +", thinking=True))


def _pattern(also: frozenset[str], spaces: str, *, thinking: bool) -> str:
    angle = "|".join((*_ANGLE, *([_THINKING] if thinking else [])))
    square = "|".join(_SQUARE)
    others = "".join(f"|{re.escape(one[0])}{spaces}(?={re.escape(one[1:])})" for one in sorted(also))
    return rf"<{spaces}(?=(?:{angle})>)|\[{spaces}(?=(?:{square})\]){others}"
