import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlaif.constitution.json_schema import constitution_schema
from rlaif.constitution.load import ConstitutionFile, load_constitution
from rlaif.errors import ConfigError
from rlaif.shipped import CONSTITUTIONS, constitution_names
from tests.constitution.test_load import BASE, COMPOSED, HEAD, mutated

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = constitution_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", constitution_names())
def test_every_shipped_constitution_fits(validator: Any, name: str) -> None:
    data = yaml.safe_load((CONSTITUTIONS / f"{name}.yaml").read_text(encoding="utf-8"))
    assert [error.message for error in validator.iter_errors(data)] == []


@pytest.mark.parametrize("text", [COMPOSED, HEAD.format(name="a") + BASE, HEAD.format(name="a") + "extends: honesty\n"])
def test_files_with_everything_a_file_can_have_fit(validator: Any, text: str) -> None:
    assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("name: composed", "name: Two Words"),
        ("version: 3", "version: 0"),
        ("principles:", "princples:"),
        ("weights: {short: 3}", "weights: {short: -3}"),
        ("extends: [base.yaml", "extends: [3"),
        ("    compare: Which answer is braver?\n", ""),
        ("    revise: Say it.\n", ""),
        ("      - prompt: Dare I?\n        better", "      - better"),
        ("ignore: [C101]", "ignore: [C1]"),
        ("id: brave", "id: Brave"),
        ("{from: honesty, only", "{form: honesty, only"),
        ('    compare: "Which answer is kinder, all in all?"', "    compair: x"),
    ],
)
def test_a_broken_file_does_not_fit(validator: Any, was: str, now: str) -> None:
    assert was in COMPOSED
    assert list(validator.iter_errors(yaml.safe_load(COMPOSED.replace(was, now)))) != []


@pytest.mark.slow
def test_what_loads_fits(validator: Any, tmp_path: Path) -> None:
    """An editor must not mark a file that works; 300 broken and half-broken ones are tried."""
    (tmp_path / "base.yaml").write_text(HEAD.format(name="base") + BASE, encoding="utf-8")
    path, loaded = tmp_path / "mine.yaml", 0
    for seed in range(300):
        text = mutated(COMPOSED, random.Random(seed))
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            load_constitution(path)
        except ConfigError:
            continue
        loaded += 1
        assert [error.message for error in validator.iter_errors(yaml.safe_load(path.read_text("utf-8")))] == [], text
    assert loaded > 30


def test_every_field_that_is_explained_in_the_code_is_explained_in_the_editor() -> None:
    schema = constitution_schema()
    assert schema["properties"]["drop"]["description"] == "Ids of inherited principles that are left out."
    assert "a path relative to the file that names it" in schema["$defs"]["Parent"]["properties"]["from"]["description"]
    assert schema["$defs"]["PrincipleChanges"]["properties"]["weight"]["description"].startswith(
        "Weight in the mean of the log-odds"
    )
    own = {"name", "version", "description", "extends", "drop", "override", "weights", "principles", "after", "ignore"}
    assert set(schema["properties"]) == own == set(ConstitutionFile.model_fields)
    assert all("description" in part for part in schema["properties"].values())
