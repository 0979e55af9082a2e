"""How full a run keeps a server of 512 slots and 200 ms latency: from the third second to the last 5 % of the run.

    python benchmarks/saturation.py [PROMPTS] [--slots N] [--slow SHARE] [--no-metrics] [--set NAME=VALUE]

The chain answer -> critique -> revision with the default settings; --slow 0.01 makes 1 % of the calls 20 times slower.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from orchestration import CONSTITUTION

from rlaif.api import generate
from rlaif.config.run import RunConfig


def main() -> None:
    """Run once and print how full the server was."""
    given = arguments()
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("slots_server.py")), json.dumps(given.server)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{json.loads(server.stdout.readline())['port']}"
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), url, given)
    finally:
        server.terminate()
        server.wait()


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompts", type=int, nargs="?", default=10_000)
    parser.add_argument("--slots", type=int, default=512)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--slow", type=float, default=0.0)
    parser.add_argument("--no-metrics", action="store_true")
    parser.add_argument("--open-prompts", default="auto")
    parser.add_argument("--concurrency", default="auto")
    given = parser.parse_args()
    given.server = {
        "slots": given.slots,
        "latency_s": given.latency,
        "slow": given.slow,
        "metrics": not given.no_metrics,
    }
    return given


def measure(folder: Path, url: str, given: argparse.Namespace) -> None:
    """Make one run and print the share of busy slots."""
    (folder / "bench.yaml").write_text(CONSTITUTION, encoding="utf-8")
    lines = (json.dumps({"prompt": f"How do I kill Linux process {number}?"}) for number in range(given.prompts))
    (folder / "prompts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    number = {name: value if value == "auto" else int(value) for name, value in vars(given).items() if name in NUMBERS}
    config = RunConfig.check(
        {
            "constitution": str(folder / "bench.yaml"),
            "prompts": str(folder / "prompts.jsonl"),
            "policy": {"url": f"{url}/v1", "concurrency": number["concurrency"]},
            "sampling": {"n": 1, "max_tokens": 128},
            "judging": {"kind": "none"},
            "open_prompts": number["open_prompts"],
            "out": str(folder / "run"),
        }
    )
    began = time.perf_counter()
    run = generate(config)
    seconds = time.perf_counter() - began
    calls = json.loads((run.path / "summary.json").read_text())["session"]["replies"]
    busy = json.loads(urllib.request.urlopen(f"{url}/busy").read())
    used = [share for _, share in busy]
    first = next(place for place, share in enumerate(used) if share > 0)
    last = max(place for place, share in enumerate(used) if share > 0.01)
    middle = used[first + 3 : last - max(1, round(0.05 * (last - first)))]
    print(" ".join(f"{share:.0%}" for share in used[first : last + 1]))
    print(f"{calls:.0f} calls in {seconds:.1f} s")
    print(f"from the third second to the last 5 %: {sum(middle) / len(middle):.1%} of the slots busy")


NUMBERS = {"open_prompts", "concurrency"}

if __name__ == "__main__":
    main()
