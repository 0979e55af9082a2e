"""A simulated model behind a real HTTP server: the OpenAI-compatible API, without a model.

For tests, benchmarks and `--dry-run`. Everything it says follows from the request and its settings, so runs
repeat exactly. Each answer carries its planted quality in its text, `(quality +0.73)`, and the judge's verdict is

    x = scale * (quality first - quality second) + length_bias * ln(length first / length second)
        + position_bias + noise * standard normal(question)

so that what a toolkit makes of its verdicts can be held against the truth. Asked to think first, it names the first
with probability sigmoid(x); asked for a number, it spreads its answer around the one that fits the quality; asked for
an order, it sorts by quality and noise, with the position bias handed out from the first to the last; as a reward model
it says scale * quality. It reads the fences that the shipped templates write; it simulates no tokenizer, no queue and
no cache. `faults` go wrong on order.
"""

import asyncio
import contextlib
import json
import math
import random
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, Self

from aiohttp import web
from pydantic import Field

from rlaif.records import Record
from rlaif.seeds import canonical_json, content_hash, derive_seed
from rlaif.stats.log_odds import sigmoid
from rlaif.testing.policy import (
    Habit,
    Knowledge,
    declines,
    habitual,
    is_choice,
    letter_probabilities,
    reads_refusals,
    scored,
    token_ids,
)

Kind = Literal["sample", "critique", "revise", "judge", "deliberate", "rate", "rank", "reward", "choice", "score"]

_WORDS = [
    "first",
    "then",
    "because",
    "water",
    "light",
    "answer",
    "reason",
    "small",
    "table",
    "garden",
    "letter",
    "number",
    "careful",
    "question",
    "window",
    "river",
    "simple",
    "measure",
    "paper",
    "morning",
    "result",
    "method",
    "clear",
    "direct",
    "example",
    "person",
    "safe",
    "open",
    "bread",
    "street",
]
_FENCE = re.compile(
    r"^<(?P<name>[a-zA-Z]+(?:-[^\s<>]+)?) (?P<tag>[0-9a-f]{10})>\n(?P<text>.*?)\n</(?P=name) (?P=tag)>$",
    re.M | re.S,
)
_QUALITY = re.compile(r"\(quality ([+-]\d+\.\d+)\)")


class Fault(Record):
    """Something that goes wrong with some of the requests."""

    kind: Kind | Literal["any"] = "any"
    does: Literal["status", "disconnect", "hang", "garbage"] = "status"
    status: int = 500
    retry_after: str | None = None
    message: str = "simulated fault"
    after: int = 0
    """Requests of this kind that are answered properly first."""
    times: int | None = 1
    """How many requests it befalls; None for all from then on."""
    contains: str = ""
    """Befalls only requests whose text holds this."""


class PlantedRule(Record):
    """How the simulated judge treats the questions of one principle."""

    contains: str
    """The questions it holds for: those with these words."""
    agrees: float = Field(default=1.0, ge=0, le=1)
    """Share of the matchups in which the better answer wins under it; in the others, drawn by the texts, it loses."""
    position_bias: float | None = None
    """Log-odds for being shown first, in place of the model's."""


class SimulatedModel(Record):
    """Settings of a simulated model."""

    name: str = "simulated"
    seed: int = 0
    quality_sd: float = 1.0
    """Standard deviation of the answers' planted quality, in logits of preference."""
    revision_gain: float = 0.5
    """How much better a revision is than its parent, on average."""
    scale: float = 1.0
    position_bias: float = 0.0
    """Log-odds for being shown first."""
    length_bias: float = 0.0
    """Log-odds for e times the length."""
    noise: float = 0.0
    """Standard deviation of the noise on each verdict, in logits."""
    label_mass: float = Field(default=0.97, ge=0, le=1)
    unreadable: float = Field(default=0.0, ge=0, le=1)
    """Share of the verdicts whose probability falls on neither label."""
    ties: float = Field(default=0.0, ge=0, le=1)
    """Share of the questions (both orders alike) whose verdict is exactly even."""
    rules: tuple[PlantedRule, ...] = ()
    revisions_copy: bool = False
    """Revisions repeat the question they were asked, as weak models do."""
    revisions_begin: str = ""
    """What stands before each revision, as weak models repeat fences; `TAG` is the tag of its question."""
    words: int = 40
    """Words in an answer, more or less."""
    quality_mean: float = 0.0
    """Mean of the answers' planted quality."""
    variety: int | None = Field(default=None, ge=1)
    """Different answers to one prompt at most; None for as many as are asked for."""
    habits: tuple[Habit, ...] = ()
    knowledge: Knowledge | None = None
    nats: float = Field(default=3.0, gt=0)
    """Mean negative log-probability of a token of a text that is to be scored."""
    nats_of_answers: float = Field(default=1.0, gt=0)
    """The same where the text comes as tokens: something that a model wrote."""
    scores: bool = True
    """Whether it scores prompts at all; not all servers do."""
    lines: int = Field(default=1, ge=1)
    """Answers stand on one to so many lines, drawn."""
    latency_s: float = 0.0
    api_key: str | None = None
    faults: tuple[Fault, ...] = ()


@dataclass
class Asked:
    """One request the server saw."""

    kind: Kind
    key: str
    received: float
    answered: float | None = None
    """time.time() when the answer was handed to the socket; None while open or when a fault took it."""


@dataclass
class SimulatedServer:
    """A server on a free loopback port; use as an async context manager."""

    model: SimulatedModel = field(default_factory=SimulatedModel)
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    def __post_init__(self) -> None:
        self._befallen = [0] * len(self.model.faults)
        self._seen = [0] * len(self.model.faults)

    @property
    def url(self) -> str:
        """Base URL, ending in /v1."""
        return f"http://127.0.0.1:{self.port}/v1"

    def count(self, kind: Kind) -> int:
        """Return how many requests of a kind came in."""
        return sum(asked.kind == kind for asked in self.asked)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**26)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/classify", self._chat)
        if self.model.scores:
            app.router.add_post("/v1/completions", self._chat)
        app.router.add_get("/simulated/asked", self._log)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _models(self, request: web.Request) -> web.Response:
        if not self._authorised(request):
            return _error(401, "invalid API key")
        settings = content_hash(self.model.model_dump_json(exclude={"faults", "latency_s", "api_key"}))
        entry = {"id": self.model.name, "object": "model", "root": f"simulated:{settings}"}
        return web.json_response({"object": "list", "data": [entry]})

    async def _log(self, _: web.Request) -> web.Response:
        return web.json_response([vars(asked) for asked in self.asked])

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        if not self._authorised(request):
            return _error(401, "invalid API key")
        try:
            body = await request.json()
        except ValueError:
            return _error(400, "the body is no JSON")
        if body.get("model") != self.model.name:
            return _error(404, f"the model {body.get('model')!r} does not exist")
        kind = _kind(body)
        asked = Asked(kind, content_hash(canonical_json(body), digits=32), time.time())
        self.asked.append(asked)
        fault = self._fault(kind, body)
        if fault is not None:
            return await _go_wrong(fault, request)
        if self.model.latency_s:
            await asyncio.sleep(self.model.latency_s)
        reply = self.answer(body)
        asked.answered = time.time()
        return web.json_response(reply)

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the chat completion for a request."""
        kind = _kind(body)
        if kind == "score":
            nats = self.model.nats if isinstance(body["prompt"], str) else self.model.nats_of_answers
            return {"choices": [scored(body["prompt"], nats, self.model.seed)]}
        last = _question(body)
        if kind == "reward":
            return self._rewarded(body, last)
        choices = self._choices(kind, body, last)
        prompt_tokens = sum(len(m["content"]) for m in body["messages"]) // 4
        written = sum(len(c["message"]["content"]) for c in choices) // 4
        completion_tokens = 1 if kind in {"judge", "rate", "choice"} else written
        ids = {"prompt_token_ids": token_ids(last)} if body.get("return_token_ids") else {}
        return {
            **ids,
            "id": "simulated",
            "object": "chat.completion",
            "model": self.model.name,
            "choices": [{"index": index, **choice} for index, choice in enumerate(choices)],
            "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens},
        }

    def _choices(self, kind: Kind, body: dict[str, Any], last: str) -> list[dict[str, Any]]:
        seed = body.get("seed", 0)
        match kind:
            case "judge":
                return [self._verdict(last, seed)]
            case "choice":
                found = letter_probabilities(self.model.knowledge, last, self.model.seed)
                return [_one_token(found[0][0], [(one, _log(self.model.label_mass * p)) for one, p in found])]
            case "rate":
                return [self._rating(body, last)]
            case "deliberate":
                return [self._deliberation(last, seed)]
            case "rank":
                return [self._ranking(last)]
            case _:
                return [self._text(kind, body, last, index) for index in range(body.get("n", 1))]

    def quality(self, text: str) -> float:
        """Return the planted quality of an answer; one without a mark gets one drawn from its text."""
        found = _QUALITY.search(text)
        if found:
            return float(found.group(1))
        return random.Random(derive_seed(self.model.seed, "quality", text)).gauss(0, self.model.quality_sd)

    def _text(self, kind: Kind, body: dict[str, Any], last: str, index: int) -> dict[str, Any]:
        index = index if self.model.variety is None else index % self.model.variety
        rng = random.Random(derive_seed(self.model.seed, canonical_json(body["messages"]), body.get("seed", 0), index))
        words = rng.choices(_WORDS, k=max(3, round(rng.gauss(self.model.words, self.model.words / 4))))
        text = " ".join(words).capitalize()
        if self.model.lines > 1 and kind != "critique":
            text = _on_lines(words, rng.randint(1, self.model.lines))
        if kind == "sample":
            text += f" (quality {rng.gauss(self.model.quality_mean, self.model.quality_sd):+.4f})."
            text = habitual(self.model.habits, last, text, rng)
        elif kind == "revise":
            if self.model.revisions_copy:
                text = last.rpartition("\n</")[2]
            text = self.model.revisions_begin.replace("TAG", _tag(last)) + text
            parent = self.quality(_fenced(last).get("answer", ""))
            text += f" (quality {rng.gauss(parent + self.model.revision_gain, self.model.quality_sd / 4):+.4f})."
        cut = len(words) > body.get("max_tokens", 10**6)
        return {
            "message": {"role": "assistant", "content": text},
            "finish_reason": "length" if cut else "stop",
            "logprobs": None,
            "token_ids": token_ids(text) if body.get("return_token_ids") else None,
        }

    def _verdict(self, question: str, seed: int) -> dict[str, Any]:
        answers = _answers(question)
        if reads_refusals(question):
            label, other = declines(question, _fenced(question).get("answer", ""))
            return _one_token(label, [(label, _log(self.model.label_mass * 0.9)), (other, _log(0.1))])
        if len(answers) != 2:
            return _one_token("?", [("?", 0.0)])
        (first_label, first), (second_label, second) = answers
        rule = question.rpartition("\n</")[2]
        rng = random.Random(derive_seed(self.model.seed, "verdict", question, *([seed] if seed else [])))
        both = random.Random(derive_seed(self.model.seed, "both", *sorted((first, second)), rule))
        mass = self.model.label_mass
        if rng.random() < self.model.unreadable:
            mass = 0.001
        x = 0.0 if both.random() < self.model.ties else self._logit(first, second, rule, rng)
        top = [(first_label, _log(mass * sigmoid(x))), (second_label, _log(mass * sigmoid(-x)))]
        rest = (1 - mass) / 8
        top += [(word, _log(rest)) for word in _WORDS[:8]]
        top.sort(key=lambda entry: -entry[1])
        return _one_token(top[0][0], top)

    def _deliberation(self, question: str, seed: int) -> dict[str, Any]:
        answers = _answers(question)
        rng = random.Random(derive_seed(self.model.seed, "deliberation", question, seed))
        (label, first), (other, second) = answers
        x = self._logit(first, second, question.rpartition("\n</")[2], rng)
        named = label if rng.random() < sigmoid(x) else other
        end = "and so I stop here" if rng.random() < self.model.unreadable else f"Verdict: {named}"
        return _said(f"Both have something for them. {' '.join(rng.choices(_WORDS, k=20))}.\n\n{end}")

    def _rating(self, body: dict[str, Any], question: str) -> dict[str, Any]:
        """Spread the answer over the scale; a 10 is two tokens, as most tokenizers have it."""
        low, high = (int(end) for end in _SCALE.findall(question)[-1])
        rng = random.Random(derive_seed(self.model.seed, "rating", question))
        middle = (low + high) / 2 + (high - low) / 6 * (
            self.quality(_fenced(question).get("answer", "")) + self.model.noise * rng.gauss(0, 1)
        )
        shares = [math.exp(-((number - middle) ** 2) / 2) for number in range(low, high + 1)]
        mass = 0.001 if rng.random() < self.model.unreadable else self.model.label_mass
        found = {str(low + place): mass * share / sum(shares) for place, share in enumerate(shares)}
        ten = found.pop("10", 0.0)
        if body["messages"][-1]["role"] == "assistant":
            zero = ten / (ten + found["1"])
            return _one_token("0", [("0", _log(zero)), (".", _log(1 - zero))])
        if ten:
            found["1"] += ten
        top = sorted([*found.items(), ("well", 1 - mass)], key=lambda entry: -entry[1])
        return _one_token(top[0][0], [(token, _log(p)) for token, p in top])

    def _ranking(self, question: str) -> dict[str, Any]:
        rng = random.Random(derive_seed(self.model.seed, "ranking", question))
        answers = _answers(question)
        worth = {}
        for place, (number, text) in enumerate(answers):
            early = 0.5 - place / max(1, len(answers) - 1)
            noise = self.model.noise * rng.gauss(0, 1)
            worth[number] = self.model.scale * self.quality(text) + self.model.position_bias * early + noise
        ranked = sorted(worth, key=lambda number: -worth[number])
        return _said("I would rather not." if rng.random() < self.model.unreadable else " > ".join(ranked))

    def _rewarded(self, body: dict[str, Any], answer: str) -> dict[str, Any]:
        rng = random.Random(derive_seed(self.model.seed, "reward", answer))
        score = self.model.scale * self.quality(answer) + self.model.noise * rng.gauss(0, 1)
        data = [{"index": 0, "label": "LABEL_0", "probs": [score], "num_classes": 1}]
        tokens = sum(len(m["content"]) for m in body["messages"]) // 4
        return {
            "id": "simulated",
            "object": "list",
            "model": self.model.name,
            "data": data,
            "usage": {"prompt_tokens": tokens},
        }

    def _logit(self, first: str, second: str, question: str, rng: random.Random) -> float:
        difference = self.quality(first) - self.quality(second)
        length = math.log(max(1, len(first)) / max(1, len(second)))
        position_bias = self.model.position_bias
        for rule in self.model.rules:
            if rule.contains in question:
                drawn = random.Random(derive_seed(self.model.seed, "rule", rule.contains, *sorted((first, second))))
                difference *= 1 if drawn.random() < rule.agrees else -1
                position_bias = position_bias if rule.position_bias is None else rule.position_bias
        return (
            self.model.scale * difference
            + self.model.length_bias * length
            + position_bias
            + self.model.noise * rng.gauss(0, 1)
        )

    def _authorised(self, request: web.Request) -> bool:
        return self.model.api_key is None or request.headers.get("Authorization") == f"Bearer {self.model.api_key}"

    def _fault(self, kind: Kind, body: dict[str, Any]) -> Fault | None:
        for place, fault in enumerate(self.model.faults):
            if fault.kind not in {"any", kind} or (fault.contains and fault.contains not in canonical_json(body)):
                continue
            self._seen[place] += 1
            if self._seen[place] <= fault.after:
                continue
            if fault.times is None or self._befallen[place] < fault.times:
                self._befallen[place] += 1
                return fault
        return None


def _on_lines(words: list[str], count: int) -> str:
    """Return the words on so many lines of about the same length."""
    ends = [round(len(words) * place / count) for place in range(count + 1)]
    return "\n".join(" ".join(words[start:end]).capitalize() for start, end in pairwise(ends))


_SCALE = re.compile(r"whole number from (\d+) to (\d+)")


def _kind(body: dict[str, Any]) -> Kind:
    if "prompt" in body or "use_activation" in body:
        return "score" if "prompt" in body else "reward"
    question = _question(body)
    if not body.get("logprobs"):
        return _kind_of_text(_fenced(question))
    if _SCALE.search(question):
        return "rate"
    return "choice" if is_choice(question) else "judge"


def _kind_of_text(names: dict[str, str]) -> Kind:
    """Tell what is to be written from the names of the fences."""
    if "answer-1" in names:
        return "rank"
    if any(name.startswith("answer-") for name in names):
        return "deliberate"
    if "critique" in names:
        return "revise"
    return "critique" if "answer" in names else "sample"


def _question(body: dict[str, Any]) -> str:
    """Return the last turn, or the user's before it where an answer is to be gone on with; of a score, the answer."""
    continued = body.get("continue_final_message") and len(body["messages"]) > 1
    content: str = body["messages"][-2 if continued else -1]["content"]
    return content


def _answers(question: str) -> list[tuple[str, str]]:
    """Return label and text of the answers shown, in their order."""
    fenced = _fenced(question).items()
    return [(name.removeprefix("answer-"), text) for name, text in fenced if name.startswith("answer-")]


def _said(text: str) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": text}, "finish_reason": "stop", "logprobs": None}


def _fenced(text: str) -> dict[str, str]:
    return {found["name"]: found["text"] for found in _FENCE.finditer(text)} if "</" in text else {}


def _tag(text: str) -> str:
    found = _FENCE.search(text)
    return found["tag"] if found else ""


def _one_token(token: str, top: Iterable[tuple[str, float]]) -> dict[str, Any]:
    entries = [{"token": word, "logprob": logprob, "bytes": None} for word, logprob in top]
    content = [{"token": token, "logprob": entries[0]["logprob"], "bytes": None, "top_logprobs": entries}]
    return {
        "message": {"role": "assistant", "content": token},
        "finish_reason": "length",
        "logprobs": {"content": content},
    }


def _log(p: float) -> float:
    return math.log(max(p, 1e-12))


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message, "code": status}}, status=status, headers=headers)


async def _go_wrong(fault: Fault, request: web.Request) -> web.StreamResponse:
    if fault.does == "hang":
        await asyncio.sleep(3600)
    if fault.does == "garbage":
        return web.Response(text="<html>not the reply you expected</html>", content_type="text/html")
    if fault.does == "disconnect":
        if request.transport is not None:
            request.transport.close()
        return web.Response()
    headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else None
    return _error(fault.status, fault.message, headers)


async def _serve(model: SimulatedModel, port: int) -> None:
    async with SimulatedServer(model, port=port) as server:
        print(json.dumps({"url": server.url, "model": model.name}), flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Serve in the foreground: `python -m rlaif.testing.server [PORT] [SETTINGS AS JSON]`."""
    import sys  # noqa: PLC0415

    import uvloop  # noqa: PLC0415

    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    settings = SimulatedModel.model_validate_json(sys.argv[2] if len(sys.argv) > 2 else "{}")
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve(settings, port))


if __name__ == "__main__":
    main()
