"""What does `rlaif train dpo` cost beside plain TRL, in time and memory?

    python benchmarks/train_gpu.py [--shape 1b] [--shape 7b] [--steps 12]
    python benchmarks/train_gpu.py --shape tiny          # on any machine: shows that it works, measures nothing

DPO of all weights and of adapters, on random models of 1 and 7 billion weights, with soft labels here and without in
a plain script of TRL's, both with the same batches. Every measurement is a process of its own. The first third of the
steps is not counted. All weights of 7b take about 130 GB; what does not fit is said to, and the rest goes on.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from random_model import random_model

TOKENS = {"tiny": 24, "1b": 480, "7b": 480}
"""Words of an answer; a prompt has 32."""
AT_A_TIME, PASSES = 4, 2
COLUMNS = ("tokens a second", "peak memory, GiB", "seconds a step")


def main() -> None:
    """Measure everything asked for and print a table as Markdown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", action="append", choices=list(TOKENS))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        who, method, folder, steps = asked.one
        print(json.dumps({"ours": ours, "plain": plain}[who](Path(folder), method, int(steps))))
        return
    print(f"| model | trains | by | {' | '.join(COLUMNS)} |\n|---|---|---|---|---|---|")
    for shape in asked.shape or ["1b", "7b"]:
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder), shape, asked.steps)
            for method in ("full", "lora"):
                for who in ("ours", "plain"):
                    print(f"| {shape} | {method} | {who} | {measured(who, method, folder, asked.steps)} |", flush=True)


def prepare(folder: Path, shape: str, steps: int) -> None:
    """Write a random model and as many pairs as the steps take."""
    words = random_model(folder / "base", shape)
    draw = random.Random(0)

    def text(length: int) -> str:
        return " ".join(draw.choices(words, k=length))

    rows = [
        {"prompt_id": f"p{n}", "prompt": text(32), "chosen": text(TOKENS[shape]), "rejected": text(TOKENS[shape])}
        for n in range(steps * AT_A_TIME * PASSES)
    ]
    (folder / "data").mkdir()
    (folder / "data" / "train.jsonl").write_text("".join(json.dumps(row | {"p_chosen": 0.8}) + "\n" for row in rows))
    (folder / "data" / "test.jsonl").write_text("")


def measured(who: str, method: str, folder: str, steps: int) -> str:
    command = [sys.executable, __file__, "--one", who, method, folder, str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        return f"failed: {said[-1][:120] if said else done.returncode} | – | –"
    found = json.loads(done.stdout.splitlines()[-1])
    return " | ".join(f"{found[name]:,.3g}" if found[name] < 100 else f"{found[name]:,.0f}" for name in COLUMNS)


def ours(folder: Path, method: str, steps: int) -> dict[str, float]:
    """Train as the command does."""
    from rlaif.cli.live import TrainScreen
    from rlaif.train.config import DpoConfig
    from rlaif.train.training import train

    config = DpoConfig(
        data=str(folder / "data" / "train.jsonl"), model=str(folder / "base"), out=str(folder / f"ours-{method}"),
        method=method, batch_size=AT_A_TIME * PASSES, learning_rate=1e-6, evaluate_every=steps, max_fall=None,
        trl={"per_device_train_batch_size": AT_A_TIME, "max_steps": steps, "gradient_checkpointing": True,
             "save_strategy": "no", "eval_strategy": "no", "load_best_model_at_end": False},
    )  # fmt: skip
    train(config, TrainScreen(quiet=True))
    lines = (folder / f"ours-{method}" / "metrics.jsonl").read_text().splitlines()
    return figures([(line["seconds"], line["num_tokens"]) for line in map(json.loads, lines)])


def plain(folder: Path, method: str, steps: int) -> dict[str, float]:
    """Train as TRL's documentation does."""
    import torch
    from datasets import load_dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import DPOConfig, DPOTrainer

    seen: list[tuple[float, float]] = []

    class Clock(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:  # noqa: ANN401
            if "num_tokens" in logs:
                seen.append((time.monotonic(), logs["num_tokens"]))

    gpu = torch.cuda.is_available()
    data = load_dataset("json", data_files=str(folder / "data" / "train.jsonl"), split="train")
    data = data.map(
        lambda row: {
            "prompt": [{"role": "user", "content": row["prompt"]}],
            "chosen": [{"role": "assistant", "content": row["chosen"]}],
            "rejected": [{"role": "assistant", "content": row["rejected"]}],
        },
        remove_columns=["p_chosen", "prompt_id"],
    )
    number = "bfloat16" if method == "lora" and gpu else "float32"
    args = DPOConfig(
        output_dir=str(folder / "plain"), per_device_train_batch_size=AT_A_TIME, gradient_accumulation_steps=PASSES,
        max_steps=steps, logging_steps=1, save_strategy="no", report_to="none", bf16=gpu, use_cpu=not gpu,
        precompute_ref_log_probs=True, model_init_kwargs={"dtype": number},
    )  # fmt: skip
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    DPOTrainer(
        model=str(folder / "base"), args=args, train_dataset=data, callbacks=[Clock()],
        peft_config=lora if method == "lora" else None,
    ).train()  # fmt: skip
    return figures(seen)


def figures(seen: list[tuple[float, float]]) -> dict[str, float]:
    """Return the figures of the last two thirds of the steps."""
    import torch

    counted = seen[len(seen) // 3 :]
    seconds, tokens = (counted[-1][n] - counted[0][n] for n in (0, 1))
    gpu = torch.cuda.is_available()
    peak = torch.cuda.max_memory_allocated() if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return dict(zip(COLUMNS, (tokens / seconds, peak / 2**30, seconds / (len(counted) - 1)), strict=True))


if __name__ == "__main__":
    main()
