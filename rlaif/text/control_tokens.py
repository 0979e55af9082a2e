"""Texts that chat templates and tokenizers take as control tokens, such as `<|im_end|>`, written so that they are none.

A server tokenises the whole request: a response that contains `<|im_end|>` would end the turn that shows it to a judge,
whatever fence is around it. One space after the first character (`< |im_end|>`) makes it ordinary text, which a reader
still recognises; where spaces stand there already, one more, so that `restored` gives back exactly what was written.
"""

import re
from collections.abc import Collection
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
_CANDIDATES = (re.compile(r"<[^\s<>]{1,60}>"), re.compile(r"\[/?[A-Za-z][A-Za-z_]{1,40}\]"))
"""Two patterns, here and below: a search for a pattern that begins with one letter is several times faster."""
_ROLE = re.compile(r"^\[( *)(?=(?:system|developer|user|assistant|tool(?: [^\]\n]{1,80})?)\]$)", re.MULTILINE)


def candidates(text: str) -> set[str]:
    """Return the parts of a text that a tokenizer might have as one token: its own special ones look like this."""
    return {found for pattern in _CANDIDATES for found in pattern.findall(text)}


def neutral(text: str, also: Collection[str] = (), *, thinking: bool = True) -> str:
    """Return a text in which nothing is a control token; `also` are those of one tokenizer.

    Without `thinking`, `<think>` stays: an assistant's own turn may begin with its reasoning.
    """
    patterns = _markers(frozenset(also), thinking)
    ends = sorted(found.end() for pattern in patterns for found in pattern.finditer(text))
    return " ".join(text[start:end] for start, end in pairwise([0, *ends, len(text)])) if ends else text


def restored(text: str, also: Collection[str] = ()) -> str:
    """Return the text that `neutral` was given, or what a model wrote after it."""
    return _neutral_markers(frozenset(also)).sub(lambda found: found.group()[:-1], text)


def without_roles(text: str) -> str:
    """Return a turn in which no line is the heading of another turn, as a conversation is shown to a critic."""
    return _ROLE.sub(lambda found: f"{found.group()} ", text) if "[" in text else text


@lru_cache(maxsize=64)
def _markers(also: frozenset[str], thinking: bool) -> tuple[re.Pattern[str], ...]:
    return tuple(map(re.compile, _patterns(also, r" *", thinking=thinking)))


@lru_cache(maxsize=64)
def _neutral_markers(also: frozenset[str]) -> re.Pattern[str]:
    return re.compile("|".join(_patterns(also, r" +", thinking=True)))


def _patterns(also: frozenset[str], spaces: str, *, thinking: bool) -> tuple[str, str]:
    """Return the patterns of what begins with `<` and with `[`, up to where a space is put; `also` begin likewise."""
    angle = (*(f"{inner}>" for inner in (*_ANGLE, *([_THINKING] if thinking else []))), *_rests(also, "<"))
    square = (*(rf"{inner}\]" for inner in _SQUARE), *_rests(also, "["))
    return rf"<{spaces}(?={'|'.join(angle)})", rf"\[{spaces}(?={'|'.join(square)})"


def _rests(also: frozenset[str], letter: str) -> list[str]:
    return [re.escape(one[1:]) for one in sorted(also) if one.startswith(letter)]
