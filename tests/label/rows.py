"""Rows in the layouts of known datasets, with responses whose quality the simulated critic reads."""

from collections.abc import Callable
from typing import Any

GOOD, FAIR, BAD = "Boil it first. (quality +2.00)", "Perhaps boil it. (quality +0.50)", "Drink it. (quality -2.00)"


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def ultrafeedback(prompt: str) -> dict[str, Any]:
    """Return a row of openbmb/UltraFeedback, without the annotations of single aspects."""
    texts = {"alpaca-7b": (GOOD, 4.5), "gpt-4": (BAD, 2.0), "falcon": (FAIR, 4.5)}
    return {
        "source": "test",
        "instruction": prompt,
        "models": list(texts),
        "completions": [
            {"model": model, "response": text, "annotations": {}, "overall_score": score, "custom_system_prompt": ""}
            for model, (text, score) in texts.items()
        ],
    }


def binarized(prompt: str) -> dict[str, Any]:
    """Return a row of HuggingFaceH4/ultrafeedback_binarized."""
    chosen = [user(prompt), assistant(GOOD)]
    return {
        "prompt": prompt,
        "prompt_id": f"id of {prompt}",
        "chosen": chosen,
        "rejected": [user(prompt), assistant(BAD)],
        "messages": chosen,
        "score_chosen": 8.5,
        "score_rejected": 3.0,
    }


def hh(prompt: str) -> dict[str, Any]:
    """Return a row of Anthropic/hh-rlhf with two turns of the person."""
    before = f"\n\nHuman: Hello\n\nAssistant: Hi. What is it?\n\nHuman: {prompt}\n\nAssistant: "
    return {"chosen": before + GOOD, "rejected": before + BAD}


def rewardbench(prompt: str) -> dict[str, Any]:
    """Return a row of allenai/reward-bench-2: one chosen, several rejected."""
    return {"id": f"7-{prompt}", "prompt": prompt, "chosen": [GOOD], "rejected": [FAIR, BAD], "subset": "Focus"}


def judgebench(prompt: str) -> dict[str, Any]:
    """Return a row of ScalerLab/JudgeBench."""
    return {
        "pair_id": f"pair {prompt}",
        "original_id": "0",
        "source": "test",
        "question": prompt,
        "response_model": "gpt-4o",
        "response_A": BAD,
        "response_B": GOOD,
        "label": "B>A",
    }


def llmbar(prompt: str) -> dict[str, Any]:
    """Return a row of princeton-nlp/LLMBar."""
    return {"input": prompt, "output_1": GOOD, "output_2": BAD, "label": 1}


def responses(prompt: str) -> dict[str, Any]:
    """Return a row of the project's own layout: texts, messages and objects side by side."""
    scored = {"text": FAIR, "model": "mine", "score": 0.5}
    return {"messages": [user(prompt)], "responses": [GOOD, [assistant(BAD)], scored, {"text": ""}]}


LAYOUTS: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "ultrafeedback": ("ultrafeedback", ultrafeedback),
    "binarized": ("pairs", binarized),
    "hh": ("hh", hh),
    "rewardbench": ("rewardbench", rewardbench),
    "judgebench": ("judgebench", judgebench),
    "llmbar": ("outputs", llmbar),
    "responses": ("responses", responses),
}
"""By a name: the value of `--shape`, and the function from a prompt to a row."""
