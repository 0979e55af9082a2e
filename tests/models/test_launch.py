"""How a managed server is started: in which dtype, on which cores, with how much memory; and what is refused before."""

import json
import os
import stat
from pathlib import Path

import pytest

from rlaif.errors import ServerStartError, UsageError
from rlaif.models import hardware
from rlaif.models.config import ModelConfig
from rlaif.models.hardware import Gpu, Processor, processor, processor_file, usable_cores
from rlaif.models.launch import Launch, Share, plan_launch, refuse_dtype, refuse_too_large, refuse_too_little_memory
from tests.command import commands

SHAPE = {
    "dtype": "bfloat16",
    "hidden_size": 576,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "num_hidden_layers": 30,
    "max_position_embeddings": 8192,
}
OLD = {"float32": 1.7, "bfloat16": 12.2, "float16": 11.1}
NEW = {"float32": 1.1, "bfloat16": 0.3, "float16": 4.9}


def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, milliseconds: dict[str, float], *features: str) -> None:
    """Let the user's cache say what was once measured of this processor: nothing is measured again."""
    monkeypatch.setenv("RLAIF_CACHE", str(tmp_path / "cache"))
    measured = Processor(name="a processor", features=features, milliseconds=milliseconds)
    processor_file().parent.mkdir(exist_ok=True)
    processor_file().write_text(measured.model_dump_json())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(SHAPE))
    (folder / "model.safetensors").write_bytes(bytes(2**20))
    return folder


def plan(model: Path, **settings: object) -> Launch:
    return plan_launch(ModelConfig(model=str(model), **settings), str(model), on_gpu=False)


@pytest.mark.parametrize(
    ("milliseconds", "features", "dtype", "served_as"),
    [
        (OLD, ("avx2",), "float32", "+float32"),
        (NEW, ("avx2", "avx512_f", "avx512_bf16"), "bfloat16", ""),
        (OLD, ("avx2", "avx512_f", "avx512_bf16"), "float32", "+float32"),  # instructions that don't pay
        (NEW, ("avx2", "avx512_f"), "float32", "+float32"),  # measured by chance
    ],
)
def test_a_cpu_computes_in_bfloat16_only_where_it_has_instructions_for_it_and_they_are_faster(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, milliseconds: dict[str, float], features: tuple[str],
    dtype: str, served_as: str,
) -> None:  # fmt: skip
    machine(tmp_path, monkeypatch, milliseconds, *features)
    launch = plan(model)
    assert (launch.dtype, launch.served_as, launch.note) == (dtype, served_as, None)
    assert launch.arguments[launch.arguments.index("--dtype") + 1] == dtype


def test_what_a_person_sets_goes_before_what_is_chosen(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(tmp_path, monkeypatch, NEW, "avx512_bf16")
    assert plan(model, dtype="float32").dtype == "float32"
    assert "--dtype" not in plan(model, vllm_args=("--dtype=float32",)).arguments
    assert "GOMP_SPINCOUNT" in plan(model).environment
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "3")
    chosen = plan(model).environment
    assert chosen["VLLM_CPU_KVCACHE_SPACE"] == "3"
    assert "GOMP_SPINCOUNT" not in chosen  # it would go before the policy


def test_a_dtype_without_fast_instructions_is_taken_and_said(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(tmp_path, monkeypatch, OLD, "avx2")
    note = plan(model, dtype="bfloat16").note
    assert note is not None
    assert note.startswith("! dtype bfloat16 is slow on this processor (a processor)")
    assert "7.2 times as long as in float32" in note


def test_a_quantised_model_keeps_the_dtype_it_was_made_for(model: Path) -> None:
    (model / "config.json").write_text(json.dumps(SHAPE | {"quantization_config": {"bits": 4}}))
    assert plan(model).dtype is None


def test_servers_that_run_at_once_share_the_cores() -> None:
    everybodys = usable_cores()
    halves = [Share(index, 2).cores() for index in range(2)]
    assert all(halves)
    if len(everybodys) > 1:
        assert sorted(halves[0] + halves[1]) == sorted(everybodys)
    assert Share(3, 2 * len(everybodys)).cores()  # more servers than cores
    assert Share(0, 1).cores() == everybodys


def test_servers_that_run_at_once_are_bound_to_their_cores(model: Path) -> None:
    config = ModelConfig(model=str(model), dtype="float32")
    bound = [
        plan_launch(config, str(model), on_gpu=False, share=Share(n, 2)).environment["VLLM_CPU_OMP_THREADS_BIND"]
        for n in range(2)
    ]
    assert [list(map(int, cores.split(","))) for cores in bound] == [list(Share(n, 2).cores()) for n in range(2)]


@pytest.mark.slow
def test_a_processor_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLAIF_CACHE", str(tmp_path / "cache"))
    found = processor()
    assert set(found.milliseconds) == {"float32", "bfloat16", "float16"}
    assert min(found.milliseconds.values()) > 0
    kept = Processor.model_validate_json(processor_file().read_bytes())
    assert kept == found
    processor_file().write_text(kept.model_copy(update={"name": "kept"}).model_dump_json())
    assert processor().name == "kept"


def test_variables_that_limit_the_processor_make_it_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(tmp_path, monkeypatch, NEW, "avx512_bf16")
    with monkeypatch.context() as limited:
        limited.setenv("ATEN_CPU_CAPABILITY", "default")
        assert not processor_file().exists()
    assert processor().fast_bfloat16


def test_too_little_memory_is_said_before_a_server_starts(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "100000")
    launch = plan(model, dtype="float32")
    with pytest.raises(ServerStartError, match=r"too little memory: one 1000\d\d\.\d GiB and two 1000\d\d\.\d GiB"):
        refuse_too_little_memory([("one", launch), ("two", launch)])
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "two")
    with pytest.raises(UsageError, match="VLLM_CPU_KVCACHE_SPACE=two: must be a whole number of GiB"):
        plan(model, dtype="float32")


def test_a_cache_that_cannot_hold_one_request_is_refused(model: Path) -> None:
    # 2 x 30 layers x 3 heads x 64 x 4 bytes are 46,080 bytes a token: 2 GiB hold 46,603 tokens.
    assert plan(model, dtype="float32", max_model_len=46_000)
    with pytest.raises(ServerStartError, match=r"a request of 47000 tokens takes 2\.0 GiB"):
        plan(model, dtype="float32", max_model_len=47_000)


def test_gpus_are_read_from_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "nvidia-smi"
    script.write_text("#!/bin/sh\necho 'Tesla T4, 15360, 15101, 7.5'\necho 'NVIDIA H100, 81559, 81000, 9.0'\n")
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    hardware.gpus.cache_clear()
    found = hardware.gpus()
    hardware.gpus.cache_clear()
    assert [(gpu.name, gpu.capability) for gpu in found] == [("Tesla T4", (7, 5)), ("NVIDIA H100", (9, 0))]
    assert found[0].memory_gib == 15


def test_a_gpu_that_lacks_the_dtype_or_the_room_is_named() -> None:
    old = Gpu("Tesla T4", 15.0, 14.7, (7, 5))
    with pytest.raises(UsageError, match=r"dtype bfloat16: Tesla T4 has compute capability 7\.5, bfloat16 needs 8\.0"):
        refuse_dtype("bfloat16", [old])
    refuse_dtype("float16", [old])
    config = ModelConfig(model="some/model")
    with pytest.raises(
        ServerStartError, match=r"some/model: its weights take 16\.0 GiB, but its share .* is 13\.5 GiB"
    ):
        refuse_too_large(config, 16.0, Share(), [old])
    refuse_too_large(config.model_copy(update={"vllm_args": ("-tp", "2")}), 16.0, Share(), [old])


def test_an_unknown_dtype_is_said_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("constitution: honesty\nprompts: seed\npolicy:\n  model: smollm2\n  dtype: bf16\nout: x\n")
    said = commands(monkeypatch, capsys)("generate", str(file))
    assert said.complains(2, f"{file}:5", "dtype", "float32", "bfloat16")
