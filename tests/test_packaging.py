"""What a person gets who installs the wheel, and what the program does before anything heavy is imported."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_holds_constitutions_templates_and_seed_prompts(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for folder in ("constitutions", "prompts", "data"):
        for file in (ROOT / folder).iterdir():
            assert f"rlaif/shipped/{folder}/{file.name}" in names


def test_the_wheel_holds_what_the_linter_says_of_its_codes(wheel: zipfile.ZipFile) -> None:
    assert "rlaif/lint/codes.yaml" in wheel.namelist()


def test_the_wheel_holds_what_reports_are_made_of(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for folder in ("templates", "assets"):
        files = list((ROOT / "rlaif" / "report" / folder).iterdir())
        assert len(files) > 2
        assert {f"rlaif/report/{folder}/{file.name}" for file in files} <= names


def test_the_wheel_holds_the_page_of_a_review(wheel: zipfile.ZipFile) -> None:
    assets = {f"rlaif/review/assets/review.{suffix}" for suffix in ("html", "css", "js")}
    assert assets <= set(wheel.namelist())


def test_an_unpacked_wheel_finds_what_it_ships(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path / "site")
    code = "from rlaif.shipped import DATA; from rlaif import load_constitution as l; print(l('honesty').name, DATA)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "site", capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["honesty", str(tmp_path / "site" / "rlaif" / "shipped" / "data")]


@pytest.mark.slow
def test_a_wheel_works_in_a_fresh_environment_without_the_repository(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    subprocess.run([sys.executable, "-m", "venv", str(fresh)], check=True)
    # With all that the wheel says it needs, as anybody would get it.
    subprocess.run([str(fresh / "bin" / "pip"), "install", "--quiet", str(wheel.filename)], check=True)
    empty = tmp_path / "empty"
    empty.mkdir()

    def rlaif(*arguments: str) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}
        command = [str(fresh / "bin" / "rlaif"), *arguments]
        done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "generate" in rlaif("--help")
    assert "harmlessness" in rlaif("constitution", "list")
    tried = rlaif("generate", "--dry-run", "--constitution", "honesty", "--prompts", "seed")
    assert "8 prompts = 8 traces + 0 failures" in tried
    assert list(empty.iterdir()) == []


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['rlaif', '--help']\n"
        "from rlaif.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pandas', 'pydantic', 'aiohttp', 'datasets', 'matplotlib', 'vllm', 'transformers'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(','.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "generate" in done.stdout
