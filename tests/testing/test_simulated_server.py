"""The simulated server as a command, and that its replies stay the same from version to version."""

import json
import subprocess
import sys
import urllib.request
from typing import Any

import pytest

from rlaif.seeds import content_hash
from rlaif.testing import Knowledge, PlantedRule, SimulatedModel, SimulatedServer

COMMAND = [sys.executable, "-m", "rlaif.testing", "0"]
MODEL = SimulatedModel(
    noise=0.5,
    position_bias=0.7,
    length_bias=0.4,
    ties=0.1,
    unreadable=0.1,
    words=8,
    rules=(PlantedRule(contains="kinder", agrees=0.5),),
    knowledge=Knowledge(right=("Paris",)),
)


def fence(name: str, text: str) -> str:
    return f"<{name} 0123456789>\n{text}\n</{name} 0123456789>\n"


BOTH = fence("answer-A", "Yes (quality +1.0).") + fence("answer-B", "No, never (quality -0.5).")
ONE = fence("answer", "Yes (quality +1.0).")
OPTIONS = "Which is it?\nA) Rome\nB) Paris\nC) Oslo\nD) Bonn"
LISTED = BOTH.replace("answer-A", "answer-1").replace("answer-B", "answer-2")
LOGPROBS = {"logprobs": True, "top_logprobs": 20, "max_tokens": 1}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "sample": ("Tell me a story.", {"n": 2, "seed": 3, "max_tokens": 6, "return_token_ids": True}),
    "critique": (f"{ONE}What is wrong with it?", {"seed": 3}),
    "revise": (f"{ONE}{fence('critique', 'Short.')}Write it anew.", {"seed": 3}),
    "judge": (f"{BOTH}Which is kinder?", LOGPROBS),
    "one": (f"{ONE}Is it kind?\nReply with Yes or No and nothing else.", LOGPROBS),
    "deliberate": (f"{BOTH}Which is better?", {"seed": 3}),
    "rate": (f"{ONE}Answer with a whole number from 1 to 10.", LOGPROBS),
    "rank": (f"{LISTED}Order them.", {}),
    "choice": (OPTIONS, LOGPROBS),
}
REPLIES = {
    "sample": "acf2986e2a61",
    "critique": "f7d119786c5a",
    "revise": "68ea44edabef",
    "judge": "0907490a295b",
    "one": "fccd8ebe33f3",
    "deliberate": "328f3f33f020",
    "rate": "dfd7658f9b95",
    "rank": "8fc2ecdbb860",
    "choice": "e3332ade2ca6",
    "reward": "5556e51d4161",
    "score": "97cf4e38d6d4",
}
"""Hashes of the replies' JSON."""


@pytest.mark.parametrize("kind", REPLIES)
def test_a_reply_is_the_same_in_every_version(kind: str) -> None:
    assert content_hash(json.dumps(SimulatedServer(MODEL).reply_to(body(kind)))) == REPLIES[kind]


def body(kind: str) -> dict[str, Any]:
    """Return a request of a kind."""
    if kind == "score":
        return {"model": "simulated", "prompt": "Water runs down the hill."}
    if kind == "reward":
        turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So (quality +0.3)."}]
        return {"model": "simulated", "messages": turns, "use_activation": False}
    text, options = REQUESTS[kind]
    return {"model": "simulated", "messages": [{"role": "user", "content": text}], **options}


def test_the_command_prints_its_url_and_serves() -> None:
    server = subprocess.Popen([*COMMAND, '{"name": "planted"}'], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        started = json.loads(server.stdout.readline())
        with urllib.request.urlopen(f"{started['url']}/models", timeout=10) as listing:
            assert json.loads(listing.read())["data"][0]["id"] == started["model"] == "planted"
    finally:
        server.terminate()
        server.communicate()


def test_a_setting_that_does_not_exist_is_named() -> None:
    done = subprocess.run([*COMMAND, '{"nois": 1}'], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "nois" in done.stderr
    assert "Traceback" not in done.stderr
