"""A process that runs commands one after the other: huggingface_hub reads its settings once, when it is imported."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.command import Said


class Session:
    """Runs `rlaif` commands in another process whose hub is a stand-in."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def rlaif(self, *arguments: str, token: str | None) -> Said:
        return Said(**self._ask({"arguments": arguments, "token": token}))

    def rows(self, name: str, config: str | None = None, *, token: str, **options: Any) -> dict[str, Any]:
        """Return what `load_dataset` gives: rows and columns by split."""
        return self._ask({"dataset": name, "config": config, "token": token, "options": options})

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


@contextmanager
def session(url: str, folder: Path) -> Iterator[Session]:
    """Start a process for the stand-in at `url`, with its caches in `folder`; end it."""
    gone = {"HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}
    kept = {name: value for name, value in os.environ.items() if name not in gone}
    home = {"HF_HOME": str(folder / "hf"), "HF_ENDPOINT": url, "HF_HUB_DISABLE_XET": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.hub.session"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=kept | home,
    )
    with process:
        try:
            yield Session(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(20)


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    if question["token"] is None:
        os.environ.pop("HF_TOKEN", None)
    else:
        os.environ["HF_TOKEN"] = question["token"]
    if "dataset" in question:
        return _loaded(question)
    return _ran(question["arguments"])


def _loaded(question: dict[str, Any]) -> dict[str, Any]:
    from datasets import load_dataset

    found = load_dataset(question["dataset"], question["config"], **question["options"])
    return {split: {"rows": len(rows), "columns": rows.column_names} for split, rows in found.items()}


def _ran(arguments: list[str]) -> dict[str, Any]:
    from rlaif.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["rlaif", *arguments]
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print does not mix with the answers
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), file=answers, flush=True)
