"""The promises of CONTRIBUTING.md, kept on a copy of the package that gets a new kind of judge and a new format."""

import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from rlaif.testing import SimulatedModel, SimulatedServer
from tests.command import serving

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PROMPT = "ordinary-bread-too-dense"
"""The first of the seed prompts."""
COMMANDS = """
import contextlib, io, json, sys
from rlaif.cli.main import main
said = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["rlaif", *arguments]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            assert not ended.code, (arguments, err.getvalue())
    said.append(out.getvalue())
print(json.dumps(said))
"""


@pytest.fixture
def extended(tmp_path: Path) -> Path:
    """A checkout with one more kind of judge (a file, a template, a line) and one more format (a class, a line)."""
    copy = tmp_path / "checkout"
    for folder in ("rlaif", "prompts", "constitutions", "data"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    shutil.copy(HERE / "yes_no.py", copy / "rlaif" / "judges")
    shutil.copy(HERE / "yes_no.jinja", copy / "prompts")
    insert(copy / "rlaif" / "judges" / "__init__.py", "yes_no, ", after="from rlaif.judges import ")
    insert(copy / "rlaif" / "judges" / "__init__.py", "        yes_no.KIND,\n", after="        reward.KIND,\n")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(
        r"\n\n(       class PlainRow\(RowOfPair\):.*?)\n\n2\. A line in `FORMATS`: `(.*?)`\.", contributing, re.S
    )
    assert found
    row = textwrap.dedent(found[1]) + "\n\n\n"
    insert(
        copy / "rlaif" / "datasets" / "formats.py", f"    {found[2]},\n", after="FORMATS: Mapping[str, Format] = {\n"
    )
    insert(copy / "rlaif" / "datasets" / "formats.py", row, after="\n\n\n", before="def _of_pairs(")
    return copy


def insert(file: Path, text: str, *, after: str, before: str = "") -> None:
    """Put a text between two others that stand side by side once in a file."""
    content = file.read_text(encoding="utf-8")
    assert content.count(after + before) == 1
    file.write_text(content.replace(after + before, after + text + before), encoding="utf-8")


def run_all(checkout: Path, folder: Path, commands: list[list[str]]) -> list[str]:
    """Run commands with the package of a checkout, in one process; return what each prints."""
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(checkout), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout)
    return said


def write_run(path: Path, url: str, rules: Path, judging: dict[str, Any]) -> None:
    path.write_text(
        json.dumps(
            {
                "constitution": str(rules),
                "prompts": {"path": "seed", "limit": 8},
                "policy": url,
                "sampling": {"n": 3},
                "judging": judging,
                "out": str(path.with_suffix("")),
            }
        ),
        encoding="utf-8",
    )


def test_it_works_in_every_command(extended: Path, tmp_path: Path, constitution_file: Path) -> None:
    model = SimulatedModel(noise=0.1, position_bias=2.0)
    gold = tmp_path / "gold.jsonl"
    items = [
        {"prompt": f"Question {n}?", "chosen": f"Yes (quality {1 + n / 50:+.2f}).", "rejected": "Nay (quality -1.00)."}
        for n in range(40)
    ]
    gold.write_text("\n".join(map(json.dumps, items)), encoding="utf-8")
    with serving(SimulatedServer(model)) as server:
        write_run(tmp_path / "alone.yaml", server.url, constitution_file, {"kind": "yes-no", "orders": "one"})
        write_run(tmp_path / "both.yaml", server.url, constitution_file, {"judges": ["yes-no", "pairwise-logprob"]})
        alone, _, plain, help_, judged, both, trace = run_all(
            extended,
            tmp_path,
            [
                ["generate", "alone.yaml"],
                ["report", "alone"],
                ["export", "alone", "--format", "plain"],
                ["evaluate", "judge", "--help"],
                ["evaluate", "judge", "--gold", "gold.jsonl", "--run", "alone.yaml", "--judge", "yes-no", "--json"],
                ["generate", "both.yaml"],
                ["show", "both", PROMPT],
            ],
        )
    assert "8 traces = 8 with a pair" in alone
    assert "!" not in alone  # a judge that sees one response at a time has no order to be warned of
    assert "yes-no" in " ".join(help_.split())
    (found,) = json.loads(judged)["critics"]
    assert found["fitness"]["verdict"] == "fit"
    assert "judge  yes-no by simulated" in both
    card = (tmp_path / "alone" / "dataset" / "README.md").read_text(encoding="utf-8")
    assert "Judged: every principle, each response by itself; " in card
    assert "yes-no: Yes or No about each response" in card
    report = (tmp_path / "alone" / "report.html").read_text(encoding="utf-8")
    assert "every principle, each response by itself" in report
    assert re.search(r"kind · yes-no .* s0: 0\.\d\d ", trace)
    assert re.search(r"kind · pairwise-logprob ", trace)
    assert plain.split()[0] == "alone/exports/plain"
    made = pairs(tmp_path / "alone")
    assert len(made) == 8
    assert all(model.quality(text_of(pair["chosen"])) > model.quality(text_of(pair["rejected"])) for pair in made)
    rows = [
        json.loads(line)
        for file in (tmp_path / "alone/exports/plain").glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    texts = {row["prompt_id"]: (row["better"], row["worse"]) for row in rows}
    assert texts == {pair["prompt_id"]: (text_of(pair["chosen"]), text_of(pair["rejected"])) for pair in made}


def pairs(run: Path) -> list[dict[str, Any]]:
    files = sorted((run / "dataset" / "preference").glob("*.parquet"))
    return [row for file in files for row in pyarrow.parquet.read_table(file).to_pylist()]


def text_of(turns: list[dict[str, str]]) -> str:
    return turns[-1]["content"]
