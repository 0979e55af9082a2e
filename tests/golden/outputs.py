"""What the program makes of fixed replies, as one JSON value for each run file: rows, summary, cards, figures.

python -m tests.golden.outputs record     ask the simulated server, keep its replies, write what was made of them
python -m tests.golden.outputs compare    make it again from the kept replies, with a server that answers nothing
python -m tests.golden.outputs accept     the same, and write it down as what is expected from now on
"""

import gzip
import http.server
import io
import json
import math
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

from rlaif.cli.main import main
from rlaif.judges import own_options

HERE = Path(__file__).parent
RUN_FILES = {file.stem: file for file in sorted((HERE / "runs").glob("*.yaml"))}
NAMES = (*RUN_FILES, "comparison", "judged")
"""What is made of the kept replies: a run of each file, a comparison of two rule sets, an evaluation of a critic."""
FORMATS = ("trl", "sft", "ultrafeedback", "jsonl", "kto", "reward", "ranking", "openrlhf", "nemo-rl")
REPLIES = HERE / "replies.sqlite"
MODELS = HERE / "models.json"
"""What the server that gave the replies said of its model."""
SIMULATED = {
    "noise": 0.8,
    "position_bias": 0.7,
    "length_bias": 0.4,
    "unreadable": 0.05,
    "ties": 0.05,
    "words": 30,
    "rules": [{"contains": "kinder", "agrees": 0.5}],
}


def rlaif(*arguments: str) -> str:
    """Run the command line and return what it prints.

    It runs in this process: there are about 130 commands, and a new process imports for a second before each.
    """
    out, err = io.StringIO(), io.StringIO()
    with mock.patch.object(sys, "argv", ["rlaif", *arguments]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            assert not ended.code, f"rlaif {' '.join(arguments)}\n{err.getvalue()}"
    return out.getvalue()


def made(name: str, url: str, replies: Path, folder: Path) -> dict[str, Any]:
    """Return one of NAMES, made in a folder from what a server and the kept replies answer."""
    if name == "comparison":
        return compared(url, replies, folder / name)
    if name == "judged":
        return judged(url, replies, folder / name)
    generate(RUN_FILES[name], url, replies, folder / name)
    return outputs_of(folder / name)


def generate(run_file: Path, url: str, replies: Path, out: Path) -> None:
    """Make the run of one file, completed by what all of them share."""
    rlaif("generate", str(completed(run_file, url, replies, out)), "--json")


def completed(run_file: Path, url: str, replies: Path, out: Path) -> Path:
    """Write the whole run file beside the run's folder and return it."""
    settings = run_file.read_text(encoding="utf-8")
    shared = {
        "constitution": str(HERE / "rules.yaml"),
        "prompts": str(HERE / "prompts.jsonl"),
        "policy": f"{{model: simulated, url: '{url}'}}",
        "out": str(out),
        "cache": str(replies),
    }
    lines = [f"{key}: {value}" for key, value in shared.items() if f"{key}:" not in settings]
    file = out.with_suffix(".yaml")
    file.write_text("\n".join([*lines, settings]), encoding="utf-8")
    return file


def outputs_of(run: Path) -> dict[str, Any]:
    """Return all that is made of a run: its summary, its cards, and the rows in every format."""
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    summary.pop("session")
    found: dict[str, Any] = {"summary": summary}
    for name in FORMATS:
        folder = run.parent / f"{run.name}-{name}"
        rlaif("export", str(run), "--format", name, "--out", str(folder))
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            found[f"{name}/{file.relative_to(folder)}"] = _content(file)
    return found


def compared(url: str, replies: Path, out: Path) -> dict[str, Any]:
    """Return the figures of a comparison of two rule sets."""
    run_file = completed(HERE / "runs" / "09-pareto.yaml", url, replies, out)
    sources = ["compare", str(HERE / "rules.yaml"), "minimal", "--run", str(run_file), "--out", str(out)]
    found: dict[str, Any] = json.loads(rlaif(*sources, "--min-margin", "0.05", "--floor-prompts", "4", "--json"))
    return {name: value for name, value in _without_times(found).items() if name != "path"}


def judged(url: str, replies: Path, out: Path) -> dict[str, Any]:
    """Return the figures of an evaluation of a critic in four kinds of asking."""
    kinds = [f"--judge={kind}" for kind in ("pairwise-logprob", "pairwise-reasoned", "rating", "listwise")]
    gold = ["--gold", str(HERE / "gold.jsonl"), "--constitution", str(HERE / "rules.yaml")]
    where = ["--critic", f"simulated@{url}", "--cache", str(replies), "--out", str(out)]
    found: dict[str, Any] = json.loads(rlaif("evaluate", "judge", *gold, *kinds, *where, "--json"))
    return _without_times(found)


def _without_times(value: Any) -> Any:
    """Return a value without what differs from run to run: seconds, paths, what came from the store."""
    if isinstance(value, dict):
        dropped = {"seconds", "pool_seconds", "from_store", "run", "out", "created", "session", "cost", "gold"}
        return {name: _without_times(one) for name, one in value.items() if name not in dropped}
    return [_without_times(one) for one in value] if isinstance(value, list) else value


def _content(file: Path) -> Any:
    if file.suffix == ".parquet":
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(file)
        return {"columns": {field.name: str(field.type) for field in table.schema}, "rows": table.to_pylist()}
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    if file.suffix == ".json":
        return _without_times(json.loads(file.read_text(encoding="utf-8")))
    return file.read_text(encoding="utf-8")


def kept(name: str) -> dict[str, Any]:
    """Return what was recorded under a name."""
    found: dict[str, Any] = json.loads(gzip.decompress((HERE / "expected" / f"{name}.json.gz").read_bytes()))
    for critic in found.get("critics", ()):  # once every judge named the options of all kinds
        critic["judging"]["judges"] = [own_options(judge) for judge in critic["judging"]["judges"]]
    return found


def differences(was: Any, now: Any, place: str = "") -> Iterator[str]:
    """Yield where two values differ; numbers may differ in their last digits, as processors add in different orders."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in {**was, **now}:
            if key not in was or key not in now:
                yield f"{place}/{key}: {'new' if key in now else 'gone'}"
            else:
                yield from differences(was[key], now[key], f"{place}/{key}")
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for number, (one, other) in enumerate(zip(was, now, strict=True)):
            yield from differences(one, other, f"{place}/{number}")
    elif isinstance(was, float) and isinstance(now, float) and math.isclose(was, now, rel_tol=1e-7, abs_tol=1e-9):
        return
    elif was != now:
        yield f"{place}: {was!r} -> {now!r}"


def _without_place_and_day(value: Any) -> Any:
    """Return a value whose texts lack what depends on where and when they were made.

    That is this folder, a port, the day, the hash of the run (the day is a part of it), the hash of the rows, in which
    the last digits of their numbers count, and the bytes of their files, which depend on the version of pyarrow.
    """
    if isinstance(value, dict):
        return {key: "HASH" if key == "root" else _without_place_and_day(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_place_and_day(one) for one in value]
    if not isinstance(value, str):
        return value
    text = re.sub(r"description: rows [0-9a-f]{12}", "description: rows HASH", value)
    text = re.sub(r"(Hash of the run's records: )`[0-9a-f]{32}`", r"\1`HASH`", text)
    text = re.sub(r"(num_bytes|download_size|dataset_size): \d+", r"\1: BYTES", text)
    text = re.sub(r"made with rlaif (\S+) on \d{4}-\d\d-\d\d", r"made with rlaif \1 on DAY", text)
    return re.sub(r"127\.0\.0\.1:\d+", "SERVER", re.sub(r"[^\s`(]*/tests/golden/", "", text))


@contextmanager
def simulated_server() -> Iterator[str]:
    """Run a simulated server in a process of its own and yield its URL."""
    module = "rlaif.testing"
    command = [sys.executable, "-m", module, "0", json.dumps(SIMULATED)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())["url"]
    finally:
        server.terminate()
        server.wait()


def record(folder: Path) -> None:
    """Ask everything, keep the replies, write what was made of them."""
    REPLIES.unlink(missing_ok=True)
    (HERE / "expected").mkdir(exist_ok=True)
    with simulated_server() as url:
        MODELS.write_bytes(urllib.request.urlopen(f"{url}/models").read())
        for name in NAMES:
            _keep(name, made(name, url, REPLIES, folder))


@contextmanager
def silent_server() -> Iterator[str]:
    """Run a server that says which model it has and answers no question, and yield its URL."""

    class Silent(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = MODELS.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.send_error(400, "something was asked that has no kept reply")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def compare(name: str, folder: Path) -> list[str]:
    """Make one of NAMES again from the kept replies and return what differs."""
    return list(differences(_without_place_and_day(kept(name)), _without_place_and_day(made_again(name, folder)), name))


def made_again(name: str, folder: Path) -> dict[str, Any]:
    """Return what is made of one of NAMES from the kept replies alone."""
    replies = folder / "replies.sqlite"
    replies.write_bytes(REPLIES.read_bytes())
    with silent_server() as url:
        return made(name, url, replies, folder)


def _keep(name: str, value: dict[str, Any]) -> None:
    text = json.dumps(_without_place_and_day(value), ensure_ascii=False, sort_keys=True).encode()
    (HERE / "expected" / f"{name}.json.gz").write_bytes(gzip.compress(text, mtime=0))


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        if sys.argv[1] == "record":
            record(Path(temporary))
        elif sys.argv[1] == "accept":
            for name in NAMES:
                _keep(name, made_again(name, Path(temporary)))
        else:
            found = [line[:500] for name in NAMES for line in compare(name, Path(temporary))]
            sys.exit("\n".join(found) if found else 0)
