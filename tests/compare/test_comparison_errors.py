"""Comparisons on the command line that something is wrong with: a line that says what, and never a wrong figure."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlaif.runs.store import TraceWriter
from rlaif.testing.server import SimulatedServer
from tests.cli.test_cli_errors import _write_prompts, rlaif, server, started, workplace
from tests.command import Rlaif
from tests.conftest import CONSTITUTION

__all__ = ["rlaif", "server", "workplace"]

OTHER = CONSTITUTION.replace("name: testing", "name: other").replace("kinder", "bolder")


@pytest.fixture(scope="module")
def finished(server: SimulatedServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a finished comparison of six prompts, once."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "c.yaml").write_text(CONSTITUTION, encoding="utf-8")
    (folder / "o.yaml").write_text(OTHER, encoding="utf-8")
    _write_prompts(str(folder / "p.jsonl"), 6)
    subprocess.run(
        [sys.executable, "-m", "rlaif", *_compare(server)], check=True, capture_output=True, cwd=folder, timeout=120
    )
    return folder


@pytest.fixture
def compared(finished: Path) -> Path:
    """Return a copy of the finished comparison."""
    shutil.copytree(finished, ".", dirs_exist_ok=True)
    return Path("runs/cmp")


# What must not be compared


def test_one_run_is_not_compared_with_itself(rlaif: Rlaif, compared: Path) -> None:
    run = compared / "runs" / "testing"
    Path("link").symlink_to(run)
    assert rlaif("compare", str(run), "link", "--out", "runs/x").complains(2, "link is given twice")


def test_a_comparison_shown_as_a_run_names_its_runs(rlaif: Rlaif, compared: Path) -> None:
    runs = f"its runs: {compared}/runs/other, {compared}/runs/testing"
    assert rlaif("show", str(compared)).complains(2, f"{compared} is a comparison", runs)


def test_another_comparison_in_the_same_place_is_refused_with_a_free_one(
    rlaif: Rlaif, server: SimulatedServer, compared: Path
) -> None:
    said = rlaif(*_compare(server), "--seed", "7")
    assert said.complains(2, "holds another comparison", f"Choose another --out, such as {compared}-2: ")


@pytest.mark.slow
def test_a_dry_run_asks_a_simulated_model_tells_the_cost_and_keeps_nothing(rlaif: Rlaif) -> None:
    said = rlaif("compare", "c.yaml", "minimal", "--prompts", "p.jsonl", "--dry-run", "--out", "runs/new")
    assert said.code == 0, said.err
    assert "step 2 of 3: critiques, revisions and labels under minimal" in said.err
    assert "step 3 of 3: all rule sets judge one common pool" in said.err
    assert said.out.splitlines()[0].startswith("6 prompts, ")
    assert said.out.splitlines()[1].endswith(" replies for each prompt")
    assert not Path("runs").exists()


def test_a_dry_run_of_a_finished_run_is_refused(rlaif: Rlaif, compared: Path) -> None:
    runs = [str(compared / "runs" / name) for name in ("testing", "other")]
    assert rlaif("compare", *runs, "--dry-run").complains(2, "--dry-run works with constitutions only")


def test_the_screen_says_in_words_what_was_held_against_what(
    rlaif: Rlaif, server: SimulatedServer, compared: Path
) -> None:
    out = rlaif(*_compare(server)).out
    assert " of a revision with its sample + " in out
    assert "judged under testing" in out
    assert "revisions by other" in out


# What failed, and going on


@pytest.mark.parametrize("half", ["empty", "some prompts"])
def test_a_pool_that_was_half_made_when_it_was_killed_is_made_anew(
    rlaif: Rlaif, server: SimulatedServer, compared: Path, half: str
) -> None:
    for file in compared.glob("pool.sqlite*"):
        file.unlink()
    if half == "empty":
        (compared / "pool.sqlite").touch()
    else:
        TraceWriter(compared / "pool.sqlite").close()
    assert json.loads(rlaif(*_compare(server), "--json").out)["prompts"] == 6


# What is damaged


@pytest.mark.parametrize("content", [b"", b"\xff", b"{", b"[1]", b'{"testing": 5}', b'{"testing": {"seconds": "x"}}'])
def test_damaged_accounts_of_time_are_no_reason_to_refuse(
    rlaif: Rlaif, server: SimulatedServer, compared: Path, content: bytes
) -> None:
    (compared / "spent.json").write_bytes(content)
    assert rlaif(*_compare(server)).code == 0


def test_a_report_of_files_that_do_not_belong_together_is_refused(rlaif: Rlaif, compared: Path) -> None:
    settings = (compared / "comparison.yaml").read_text()
    (compared / "comparison.yaml").write_text(settings.replace("name: other", "name: third"))
    assert rlaif("report", str(compared)).complains(2, "have different rule sets")


# Terminals and stopping


def test_on_a_narrow_terminal_no_figure_is_cut_short(
    rlaif: Rlaif, server: SimulatedServer, compared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compared.is_dir()
    monkeypatch.setenv("COLUMNS", "40")
    command = [sys.executable, "-m", "rlaif", *_compare(server)]
    reading, writing = os.openpty()
    shown = subprocess.Popen(command, stdout=writing, stderr=subprocess.DEVNULL)
    os.close(writing)
    text = b""
    try:
        while part := os.read(reading, 65536):
            text += part
    except OSError:  # how Linux says that a terminal's other side was closed
        pass
    finally:
        os.close(reading)
    assert shown.wait(timeout=30) == 0
    assert "rule" in text.decode()
    assert "…" not in text.decode()


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_every_command_alike(server: SimulatedServer, compared: Path) -> None:
    assert compared.is_dir()
    for command in (_compare(server), ["constitution", "show", "harmlessness"], ["show", "runs/cmp/runs/other"]):
        with started(*command) as process:
            process.stdout.close()
            assert "Traceback" not in process.stderr.read()
            assert process.wait(timeout=20) == 141


@pytest.mark.slow
def test_stopping_a_command_that_asks_nobody_is_one_line() -> None:
    os.mkfifo("pipe")  # nobody ever writes to it
    with started("constitution", "import", "pipe") as process:
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.strip() == "rlaif: stopped"


# Helpers


def _compare(server: SimulatedServer) -> list[str]:
    return [
        "compare", "c.yaml", "o.yaml", "--prompts", "p.jsonl", "--policy", server.url, "--samples", "2",
        "--min-margin", "0.02", "--out", "runs/cmp",
    ]  # fmt: skip


def _generate(rlaif: Rlaif, server: SimulatedServer, out: str, prompts: str, *flags: str) -> None:
    said = rlaif(
        "generate", "--constitution", "c.yaml", "--prompts", prompts, "--policy", server.url, "--samples", "2",
        "--out", f"runs/{out}", *flags,
    )  # fmt: skip
    assert said.code == 0, said.err
