"""What a verdict costs on a real vLLM server: one token with the principle last, and thinking first.

    python benchmarks/judge_cost.py [--pairs 24] [--tokens 256] [--reasoned-pairs 6]

SmolLM2 answers the project's seed prompts twice each; the pairs are judged under all 16 principles of `harmlessness`
in both orders, one token each; then some of them again by a reasoned judge (at most 160 tokens of thought). Printed:
verdicts a second, the share of prompt tokens that came from the server's cache, and how the two kinds compare.
Everything is new: no reply store is read.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rlaif.config.judging import JudgingConfig
from rlaif.config.run import PromptsConfig, SamplingConfig
from rlaif.constitution.load import load_constitution
from rlaif.constitution.schema import Principle
from rlaif.datasets.prompts import read_prompts
from rlaif.judges import judge_config
from rlaif.judges.base import Comparison
from rlaif.judges.panel import compare_pair, judges_of
from rlaif.models.config import ModelConfig
from rlaif.models.model import Meter, Model
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import open_models
from rlaif.records import Prompt, Response
from rlaif.steps.sample import sample
from rlaif.tasks import together

Pairs = Sequence[tuple[Prompt, Response, Response]]


async def main(pairs: int, tokens: int, reasoned_pairs: int) -> None:
    config = ModelConfig(model="smollm2", concurrency=32)
    rules = load_constitution("harmlessness").asked
    with tempfile.TemporaryDirectory() as folder, ReplyStore(Path(folder) / "replies.sqlite") as store:
        meter = Meter()
        opened = open_models(config, config, store=store, meter=meter, logs=Path(folder), say=print)
        async with opened as (policy, critic):
            answered = await answers(policy, pairs, tokens)
            lengths = [len(response.text) for _, a, b in answered for response in (a, b)]
            print(f"{len(answered)} pairs, answers of {sum(lengths) / len(lengths):.0f} characters on average")
            one_token = JudgingConfig()
            first = await timed("one token", one_token, critic, meter, answered, rules)
            thinking = JudgingConfig(judges=(judge_config(kind="pairwise-reasoned", max_tokens=160),))
            second = await timed("thinking first", thinking, critic, meter, answered[:reasoned_pairs], rules[:2])
            print(f"one token gives {first / second:.1f} times the verdicts a second")


async def answers(policy: Model, pairs: int, tokens: int) -> Pairs:
    """Return prompts with two different answers each."""
    prompts = read_prompts(PromptsConfig(path="seed", shuffle=True, limit=2 * pairs), 0).prompts
    sampling = SamplingConfig(n=2, temperature=0.8, max_tokens=tokens)
    sampled = await together(*(sample(policy, prompt, sampling, 0, place) for place, prompt in enumerate(prompts)))
    found = [(prompt, *responses) for prompt, (responses, _) in zip(prompts, sampled, strict=True)]
    return [(prompt, a, b) for prompt, a, b in found if a.text != b.text and a.text and b.text][:pairs]


async def timed(
    name: str, judging: JudgingConfig, critic: Model, meter: Meter, pairs: Pairs, rules: Sequence[Principle]
) -> float:
    """Judge all pairs, print what it took, and return the verdicts a second."""
    judges, templates = judges_of(judging.panel, critic), judging.load_templates(None)
    before = (meter.prompt_tokens, meter.cached_tokens, meter.completion_tokens)
    started = time.monotonic()
    compared = [Comparison(p, a, b, "design", rules, True, place) for place, (p, a, b) in enumerate(pairs)]
    judged = await together(*(compare_pair(judges, templates, comparison) for comparison in compared))
    seconds = time.monotonic() - started
    verdicts = sum(len(matchup.verdicts) for matchup, _ in judged)
    asked, cached, written = (
        now - then
        for now, then in zip((meter.prompt_tokens, meter.cached_tokens, meter.completion_tokens), before, strict=True)
    )
    print(
        f"{name}: {verdicts} verdicts in {seconds:.1f} s, {verdicts / seconds:.1f} a second; "
        f"{asked / verdicts:.0f} prompt tokens each, {cached / asked:.1%} cached; {written / verdicts:.0f} written each"
    )
    return verdicts / seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--reasoned-pairs", type=int, default=6)
    given = parser.parse_args()
    asyncio.run(main(given.pairs, given.tokens, given.reasoned_pairs))
