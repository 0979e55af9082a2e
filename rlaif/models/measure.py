"""Measures what torch does a second on this machine, in a process of its own: prints one JSON line.

    python -m rlaif.models.measure products                               milliseconds of one product by dtype
    python -m rlaif.models.measure step CONFIG.JSON DTYPE DEVICE THREADS  seconds of a decoding step of such a model

A step is that of a decoder without a server around it: the matrix products and norms of all layers and of the output,
for 16 requests that are decoded together. Attention over a short context is small beside them and left out.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOGETHER = 16
"""Requests decoded together."""
ROUNDS, LONGEST_S = 15, 0.4


def main() -> None:
    """Measure what the command line names."""
    what, *arguments = sys.argv[1:]
    try:
        found = _products() if what == "products" else _step(*arguments)
    except ImportError as error:
        sys.exit(f"{error.name} is not installed")
    print(json.dumps(found))


def _products() -> dict[str, Any]:
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)
    jobs = {dtype: _product(torch, dtype) for dtype in ("float32", "bfloat16", "float16")}
    best = dict.fromkeys(jobs, float("inf"))
    for _ in range(ROUNDS):  # in turn, so that a busy neighbour disturbs all of them alike
        for dtype, job in jobs.items():
            best[dtype] = min(best[dtype], _seconds(job))
    capabilities = torch.cpu.get_capabilities()
    wanted = ("avx2", "avx512_f", "avx512_bf16", "amx_tile", "bf16", "sve")
    return {
        "features": [name for name in wanted if capabilities.get(name)],
        "milliseconds": {dtype: round(1000 * seconds, 4) for dtype, seconds in best.items()},
    }


def _product(torch: Any, dtype: str) -> Callable[[], object]:  # noqa: ANN401
    kind = getattr(torch, dtype)
    left, right = torch.randn(64, 576).to(kind), torch.randn(1536, 576).to(kind)
    return lambda: torch.nn.functional.linear(left, right)


def _step(config: str, dtype: str, device: str, threads: str) -> dict[str, float]:
    import torch  # noqa: PLC0415

    torch.set_num_threads(int(threads))
    shape = json.loads(Path(config).read_text(encoding="utf-8"))
    width, inner, words = shape["hidden_size"], shape["intermediate_size"], shape["vocab_size"]
    heads = shape["num_attention_heads"]
    head = shape.get("head_dim") or width // heads
    attended = head * (heads + 2 * shape.get("num_key_value_heads", heads))
    kind = getattr(torch, dtype)

    def matrix(rows: int, columns: int) -> Any:  # noqa: ANN401
        return torch.randn(rows, columns, dtype=torch.float32, device=device).mul_(0.02).to(kind)

    layer = (matrix(attended, width), matrix(width, head * heads), matrix(2 * inner, width), matrix(width, inner))
    output, state = matrix(words, width), matrix(TOGETHER, width)
    linear, norm, silu = (getattr(torch.nn.functional, name) for name in ("linear", "rms_norm", "silu"))

    def one_layer() -> object:
        queries = linear(norm(state, (width,)), layer[0])[:, : head * heads]
        between = state + linear(queries, layer[1])
        gate, up = linear(norm(between, (width,)), layer[2]).chunk(2, dim=-1)
        return between + linear(silu(gate) * up, layer[3])

    def waited(job: Callable[[], object]) -> Callable[[], object]:
        return job if device == "cpu" else lambda: (job(), torch.cuda.synchronize())

    with torch.inference_mode():
        layers = shape["num_hidden_layers"] * _best(waited(one_layer))
        return {"seconds": layers + _best(waited(lambda: linear(state, output))), "together": TOGETHER}


def _best(job: Callable[[], object]) -> float:
    """Return the least seconds of a job done again and again for a while."""
    job()
    best, until = _seconds(job), time.perf_counter() + LONGEST_S
    while time.perf_counter() < until:
        best = min(best, _seconds(job))
    return best


def _seconds(job: Callable[[], object]) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
