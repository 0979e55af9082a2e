"""The text around the principles in requests to the critic: one Jinja template per kind of request.

Templates are sandboxed and strict: an unknown variable is an error, never an empty text. Texts of a model or a user are
inserted with the `fence` filter, whose tag their author cannot predict.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rlaif.errors import ConfigError, ReplyError
from rlaif.records import Message, Prompt
from rlaif.seeds import content_hash
from rlaif.shipped import TEMPLATES
from rlaif.template_limits import LARGEST_FILE, LARGEST_TEXT, refusals
from rlaif.text.control_tokens import without_roles

TEMPLATE_NAMES = ("critique", "revise", "compare")
AGAIN: Literal["compare_again"] = "compare_again"
"""Template of the comparison question in other words."""


class Templates:
    """The templates of one run: from a folder where it has them, else the shipped ones."""

    def __init__(self, folder: Path | None = None, names: Sequence[str] = TEMPLATE_NAMES) -> None:
        self.sources: dict[str, str] = {}
        self._compiled: dict[str, jinja2.Template] = {}
        environment = ImmutableSandboxedEnvironment(
            undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
        )
        environment.filters["fence"] = fence
        if folder is not None and not folder.is_dir():
            raise ConfigError(f"{folder}: no such folder of templates")
        for name in names:
            path = _template_path(name, folder)
            try:
                self.sources[name] = path.read_text(encoding="utf-8")
                self._compiled[name] = _compiled(environment, path, self.sources[name])
            except UnicodeDecodeError as error:
                raise ConfigError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from None
            except jinja2.TemplateSyntaxError as error:
                raise ConfigError(f"{path}:{error.lineno}: {error.message}") from None

    @property
    def hashes(self) -> dict[str, str]:
        """Content hash of every template."""
        return {name: content_hash(source) for name, source in self.sources.items()}

    def render(self, name: str, **values: object) -> str:
        """Return one template filled in. Raises ConfigError where a variable of the template has no value."""
        try:
            text = self._compiled[name].render(**values).strip()
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
            raise ConfigError(f"template {name}.jinja: {error}") from None
        if len(text) > LARGEST_TEXT:
            raise ConfigError(f"template {name}.jinja: the text has more than {LARGEST_TEXT:,} characters")
        return text

    def check(self, stand_ins: Mapping[str, Mapping[str, object]]) -> None:
        """Render every template once with placeholder values. Raises ConfigError for what would fail later."""
        principle = {"critique": "x", "revise": "x", "compare": "x", "check": "x", "why": "x"}
        own: dict[str, Mapping[str, object]] = {
            "critique": {"response": "x", "principles": [principle]},
            "revise": {"response": "x", "critique": "x", "principles": [principle]},
            "system": {"principles": [principle]},
        }
        for name in self.sources:
            self.render(name, conversation="x", tag="0000000000", **(own | dict(stand_ins))[name])


def _compiled(environment: ImmutableSandboxedEnvironment, path: Path, source: str) -> jinja2.Template:
    """Return a compiled template. Raises ConfigError for one that could take unbounded time or memory."""
    if len(source) > LARGEST_FILE:
        raise ConfigError(f"{path}: has more than {LARGEST_FILE:,} characters")
    try:
        for line, reason in refusals(environment.parse(source)):
            raise ConfigError(f"{path}:{line}: {reason}")
        return environment.from_string(source)
    except (RecursionError, MemoryError):
        raise ConfigError(f"{path}: is nested too deeply") from None


def fence(text: str, name: str, tag: str) -> str:
    """Return the text between `<name tag>` and `</name tag>`. Raises ReplyError for a text that contains the tag."""
    if tag in text:
        raise ReplyError(f"the text to be fenced as {name} contains the fence's tag {tag}")
    return f"<{name} {tag}>\n{text}\n</{name} {tag}>"


def fence_tag(prompt: Prompt, *texts: str) -> str:
    """Return the tag that fences these texts in requests about this prompt.

    It is a hash of the prompt's whole text, so neither the prompt nor a response can contain it on purpose, and
    requests about one prompt share their prefix. A critic does see the tag, and weak ones repeat it: a tag that occurs
    in one of the texts is skipped.
    """
    return fence_tags(prompt, *texts)[-1]


def fence_tags(prompt: Prompt, *texts: str) -> list[str]:
    """Return the tags that occur in these texts and were skipped, then the one that fences them."""
    conversation = [*(message.readable for message in prompt.messages), *filter(None, [prompt.tools])]
    tags: list[str] = []
    while not tags or any(tags[-1] in text for text in (*conversation, *texts)):
        tags.append(content_hash(*conversation, str(len(tags)), digits=10))
    return tags


def unfenced(text: str, *tags: str) -> str:
    """Return a model's text without the fences that it copied: the first fenced part, or the first part that remains.

    A fence is anything in brackets that contains one of the tags, whatever else is in the brackets. A tag outside
    brackets is not removed; `tag_in` finds it.
    """
    if tag_in(text, *tags) is None:
        return text
    pieces = re.split(f"({_fences(tags)})", text)
    parts, fences = [piece.strip() for piece in pieces[::2]], pieces[1::2]
    between = zip(fences, parts[1:], fences[1:], strict=False)
    inside = (part for before, part, after in between if before[1] != "/" and after[1] == "/")
    return next((part for part in (*inside, *parts) if part), "")


def tag_in(text: str, *tags: str) -> str | None:
    """Return the first of the tags that occurs in a text, or None."""
    return next((tag for tag in tags if tag in text), None)


def _fences(tags: Sequence[str]) -> str:
    other = r"[^<>\[\](){}\n]{0,80}"
    tag = "(?:" + "|".join(map(re.escape, tags)) + ")"
    return rf"[<\[({{]{other}{tag}(?:{other}[>\])}}])?"


def prompt_text(prompt: Prompt) -> str:
    """Return a prompt's conversation as text, after the tools that the assistant can call where there are any."""
    if prompt.tools is None:
        return conversation_text(prompt.messages)
    return f"[tools that the assistant can call]\n{tools_as_text(prompt.tools)}\n\n{_turns(prompt.messages)}"


def tools_as_text(tools: str) -> str:
    """Return the tools of a prompt, JSON text, as one line for each."""
    return "\n".join(_described(tool["function"]) for tool in json.loads(tools))


def conversation_text(messages: Sequence[Message]) -> str:
    """Return a conversation as text, each turn under its role; a single turn without."""
    return messages[0].readable if len(messages) == 1 else _turns(messages)


def _turns(messages: Sequence[Message]) -> str:
    called = {call.id: call.function.name for message in messages for call in message.tool_calls or () if call.id}
    tool = (message.name or called.get(message.tool_call_id or "") for message in messages)
    titles = (
        f"tool {name}" if message.role == "tool" and name else message.role
        for message, name in zip(messages, tool, strict=True)
    )
    return "\n\n".join(
        f"[{title}]\n{without_roles(message.readable)}" for title, message in zip(titles, messages, strict=True)
    )


def _described(function: Mapping[str, Any]) -> str:
    parameters = function.get("parameters", {}).get("properties", {})
    described = f": {function['description']}" if function.get("description") else ""
    return f"{function['name']}{described}\n  parameters: {json.dumps(parameters, ensure_ascii=False)}"


def _template_path(name: str, folder: Path | None) -> Path:
    if folder is not None and (folder / f"{name}.jinja").is_file():
        return folder / f"{name}.jinja"
    return TEMPLATES / f"{name}.jinja"
