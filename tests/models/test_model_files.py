"""Which families a model belongs to, as far as its name tells."""

import json
from pathlib import Path

import pytest

from rlaif.models.model_files import families


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Qwen/Qwen3-8B", {"qwen"}),
        ("meta-llama/Llama-3.1-8B-Instruct", {"llama"}),
        ("TinyLlama-1.1B", {"llama"}),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", {"deepseek", "qwen"}),
        ("OpenHermes-2.5-Mistral-7B", {"llama", "mistral"}),
        ("chatgpt-4o-latest", {"gpt"}),
        ("TheBloke/Llama-2-13B-GPTQ", {"llama"}),
        ("microsoft/phi-4", {"phi"}),
        ("delphi-7b", set()),
        ("smollm2", {"smollm"}),
        ("my-own-model", set()),
    ],
)
def test_a_name_gives_its_families_away(name: str, found: set[str]) -> None:
    assert families(name) == found


def test_a_folder_is_asked_what_it_is_but_an_architecture_is_no_family(tmp_path: Path) -> None:
    for kind, found in (("gemma2", {"gemma"}), ("llama", set())):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
        assert families("tuned", f"tuned<{tmp_path}#0123abcd>") == found
