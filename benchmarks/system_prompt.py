"""Does a model that is trained on policy-vs-policy pairs do without a system prompt what it did with the rules in it?

    python benchmarks/system_prompt.py [OUT] [--tuned FOLDER]

SmolLM2 responds to 96 prompts with the rules of `examples/brief` as its system prompt (`ruled`) and without (`plain`);
the rules are programs, so no model judges. `rlaif train dpo` trains the plain model on the pairs in which the ruled
response is the better one. Then three policies respond to 48 prompts that are in no pair: the trained model, and as
controls the plain model with and without the system prompt. The table has the share of responses that keep each rule,
and which policy wins, with 95 % intervals over prompts. At last `rlaif evaluate policy` measures what training costs,
beside the base with the system prompt and beside the base alone. `--tuned` takes a model that was trained already.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from rlaif.checks import run_check
from rlaif.config.run import PromptsConfig
from rlaif.datasets.prompts import read_prompts
from rlaif.runs.description import policy_lines, share
from rlaif.runs.policy_wins import PolicyWins
from rlaif.runs.reader import Run
from rlaif.stats.estimates import Estimate, Tally, tallies_of

RUN_FILE = Path("examples/two-policies.yaml")
RULES = "examples/brief/rules.yaml"
HELD_OUT = 48
BASE = {"model": "smollm2", "eager": True}


def main() -> None:
    """Make the pairs, train, compare the three policies, evaluate, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", nargs="?", type=Path, default=None)
    parser.add_argument("--tuned", type=Path)
    asked = parser.parse_args()
    out = asked.out or Path(tempfile.mkdtemp(prefix="system-prompt-"))
    tuned = asked.tuned or out / "tuned"
    rlaif("generate", RUN_FILE, "--out", out / "pairs")
    if asked.tuned is None:
        rlaif("train", "dpo", out / "pairs", "--model", "smollm2", "--out", tuned)
    rlaif("generate", three_policies(out, tuned))
    for name in ("pairs", "three"):
        print_policies(out / name)
    evaluate(out, tuned)


def rlaif(*words: object) -> None:
    """Run a command; what it says is on the screen."""
    subprocess.run([sys.executable, "-m", "rlaif", *map(str, words)], check=True)


def three_policies(out: Path, tuned: Path) -> Path:
    """Write the run file of the comparison, with prompts that are not in the run of the pairs; return its path."""
    known = {trace.prompt.id for trace in Run(out / "pairs").traces()}
    prompts = read_prompts(PromptsConfig(path="seed", shuffle=True), 0).prompts
    rows = [one.model_dump(mode="json") for one in prompts if one.id not in known][:HELD_OUT]
    (out / "held-out.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings: dict[str, Any] = yaml.safe_load(RUN_FILE.read_text(encoding="utf-8")) | {
        "prompts": str(out / "held-out.jsonl"),
        "policies": [
            {"name": "trained", "model": {"model": str(tuned), "eager": True}},
            {"name": "ruled", "model": BASE, "system": "constitution"},
            {"name": "plain", "model": BASE},
        ],
        "critic": BASE,
        "pairs": {},
        "seed": 1,
        "out": str(out / "three"),
    }
    (out / "three.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return out / "three.yaml"


def print_policies(path: Path) -> None:
    """Print, for each policy of a run, the shares of its responses that keep the rules; then which policy wins."""
    run = Run(path)
    checks = {principle.id: principle.check for principle in run.constitution.comparing if principle.check is not None}
    prompts = []
    for trace in run.traces():
        tally = Tally()
        for response in trace.responses:
            kept = {name: run_check(check, response.text, trace.prompt).passed for name, check in checks.items()}
            tally.add({(response.policy, name): float(passed) for name, passed in kept.items()})
            tally.add({(response.policy, "all"): all(kept.values()), response.policy: 1})
            tally.add({(response.policy, "words"): len(response.text.split())})
        prompts.append((trace.prompt.id, tally))
    tallies = tallies_of(prompts)
    print(f"\n| {path.name} | {' | '.join(checks)} | all rules | words |\n|---|{'---|' * (len(checks) + 2)}")
    for policy in (one.name for one in run.config.policies):
        shares: list[Estimate] = [tallies.ratio((policy, name), policy) for name in (*checks, "all")]
        words = tallies.ratio((policy, "words"), policy, share=False)
        print(f"| {policy} | {' | '.join(map(share, shares))} | {words.value:.0f}{words.ends('.0f')} |")
    summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
    print("\n".join(line for wins in summary["policies"] for line in policy_lines(PolicyWins.model_validate(wins))))


def evaluate(out: Path, tuned: Path) -> None:
    """Evaluate the trained model against the base with the system prompt, then against the base alone."""
    what = ("--tuned", tuned, "--constitution", RULES, "--prompts", out / "held-out.jsonl", "--limit", HELD_OUT // 2)
    size = ("--samples", 2, "--max-tokens", 96, "--cache", out / "replies.sqlite")
    for name, control in (("beside-ruled", ("--base-system", "constitution")), ("beside-plain", ())):
        rlaif("evaluate", "policy", "--base", "smollm2", *control, *what, *size, "--out", out / name)


if __name__ == "__main__":
    main()
