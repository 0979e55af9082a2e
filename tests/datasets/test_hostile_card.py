"""The card of a dataset whose rules, models and prompts were named by somebody who means harm."""

import json
import re
from pathlib import Path

import pytest
import yaml

from rlaif.config.run import RunConfig
from rlaif.generation import generate_async
from rlaif.testing import SimulatedModel, SimulatedServer
from rlaif.text.inert import inert, inert_code

EVIL = (
    "<script>alert(1)</script> [click](javascript:alert(1)) ![pixel](https://evil.example/p.png)\n\n# A heading\n"
    "\x1b[31mred\x1b[0m \u202eback <img src=x onerror=alert(1)> [ref]: http://evil.example"
)


async def test_a_card_shows_hostile_texts_and_does_nothing_else(tmp_path: Path) -> None:
    principles = [{"id": "evil", "critique": EVIL, "revise": EVIL, "compare": EVIL}]
    rules = {"name": "evil", "version": 1, "description": EVIL, "after": [EVIL], "principles": principles}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    (tmp_path / "<b>p.jsonl").write_text(json.dumps({"prompt": "Why?"}))
    async with SimulatedServer(SimulatedModel(name="<script>x</script>[m](javascript:x)")) as server:
        config = RunConfig.check(
            {
                "constitution": str(tmp_path / "c.yaml"),
                "prompts": str(tmp_path / "<b>p.jsonl"),
                "policy": {"url": server.url},
                "sampling": {"n": 2},
                "out": str(tmp_path / "run"),
            }
        )
        run = await generate_async(config)
    card = (run.path / "dataset" / "README.md").read_text(encoding="utf-8")
    head, body = card.split("\n---\n", 1)
    assert yaml.safe_load(head.removeprefix("---\n"))
    assert not re.search(r"<(?!/?(answer|response))[a-zA-Z/]", body)
    assert not re.search(r"(?<!\\)\]\(", body)
    assert "\n# A heading" not in card
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", card)
    assert str(tmp_path) not in card


@pytest.mark.parametrize("start", ["# x", "- x", "> x", "1. x", "| x | y |", "=====", "~~~", "***"])
def test_a_text_begins_no_block(start: str) -> None:
    assert inert(start)[0] == "\\" or inert(start).startswith("&gt;")


def test_a_text_stays_readable() -> None:
    assert inert("Be kind, and say why (in 3 words).") == "Be kind, and say why (in 3 words)."
    assert inert_code("a`b\n\x1b[0m") == "a'b \ufffd[0m"
