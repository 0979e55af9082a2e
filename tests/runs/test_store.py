from pathlib import Path

import pytest

from rlaif.errors import RunDirectoryError, StorageError
from rlaif.records import Critique, Dropped, Failure, Matchup, Message, Prompt, Response, Trace, Usage, Verdict
from rlaif.runs.store import TraceReader, TraceWriter


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run.sqlite"


def ask(n: int) -> Prompt:
    # Ids that sort otherwise than the prompts stand.
    return Prompt(id=f"p{9999 - n}", messages=(Message(role="user", content=f"Question {n} \u2028 😀?"),), tags=("x",))


def trace(prompt: Prompt) -> Trace:
    return Trace(
        prompt=prompt,
        responses=(
            Response(
                id="s0", text="One", origin="sample", model="m", seed=1, finish_reason="stop", tokens=3, reply="r"
            ),
            Response(
                id="s0.r1",
                text="",
                origin="revision",
                parent="s0",
                model="m",
                seed=2,
                finish_reason="length",
                reply="q",
            ),
        ),
        critiques=(Critique(of="s0", round=1, principles=("k",), text="Hm.", model="m", seed=3, reply="c"),),
        dropped=(Dropped(response="s0.r1", reason="empty"),),
        judged_by=("k",),
        matchups=(
            Matchup(
                a="s0",
                b="s0.r1",
                verdicts=(
                    Verdict(
                        principle="k", order="ab", first=-0.1, second=None, floor=-1 / 3, label_mass=0.9, reply="v"
                    ),
                    Verdict(principle="k", order="ba", label_mass=0, reply="w"),
                ),
            ),
        ),
        usage=Usage(requests=4, prompt_tokens=10),
    )


def write(file: Path, prompts: int, traced: tuple[int, ...] = ()) -> None:
    writer = TraceWriter(file)
    writer.put_prompts(ask(n) for n in range(prompts))
    for n in traced:
        writer.put_trace(trace(ask(n)))
    writer.close()


def test_a_trace_comes_back_as_it_was(file: Path):
    write(file, 1, (0,))
    with TraceReader(file, Trace) as reader:
        assert reader.trace(ask(0).id) == trace(ask(0))
        assert list(reader.traces()) == [trace(ask(0))]


def test_prompts_and_traces_keep_the_order_of_the_prompts(file: Path):
    write(file, 5, (3, 0, 4))
    with TraceReader(file, Trace) as reader:
        assert list(reader.prompts()) == [ask(n) for n in range(5)]
        assert list(reader.prompt_ids()) == [ask(n).id for n in range(5)]
        assert [found.prompt for found in reader.traces()] == [ask(0), ask(3), ask(4)]
        assert (reader.prompt_count(), reader.trace_count()) == (5, 3)


def test_what_is_left_to_do_is_everything_without_a_trace(file: Path):
    write(file, 1000, (0, 255, 256, 257, 999))
    with TraceReader(file, Trace) as reader:
        left = list(reader.todo())
    assert [position for position, _ in left] == [n for n in range(1000) if n not in {0, 255, 256, 257, 999}]
    assert all(prompt == ask(position) for position, prompt in left)


def test_a_trace_finished_while_the_work_is_handed_out_is_not_handed_out_again(file: Path):
    write(file, 600)
    writer = TraceWriter(file)
    with TraceReader(file, Trace) as reader:
        todo = reader.todo()
        first = [next(todo) for _ in range(10)]
        writer.put_trace(trace(ask(400)))
        writer.flush()
        rest = [position for position, _ in todo]
    writer.close()
    assert len(first) + len(rest) == 599
    assert 400 not in rest


def test_nothing_is_left_to_do_when_all_is_done(file: Path):
    write(file, 3, (0, 1, 2))
    with TraceReader(file, Trace) as reader:
        assert list(reader.todo()) == []


def test_an_unknown_prompt_has_no_trace(file: Path):
    write(file, 2, (0,))
    with TraceReader(file, Trace) as reader:
        assert reader.trace("nobody") is None
        assert reader.trace(ask(1).id) is None


def test_a_reader_sees_what_is_written_while_it_is_open(file: Path):
    write(file, 2)
    writer = TraceWriter(file)
    with TraceReader(file, Trace) as reader:
        assert reader.trace_count() == 0
        writer.put_trace(trace(ask(1)))
        writer.flush()
        assert reader.trace_count() == 1
    writer.close()


def test_the_latest_reason_of_a_failure_counts_until_the_prompt_is_finished(file: Path):
    write(file, 2)
    writer = TraceWriter(file)
    for error in ("RetriesExhaustedError: first", "ReplyError: second"):
        writer.put_failure(Failure(prompt_id=ask(0).id, error=error))
    writer.put_failure(Failure(prompt_id=ask(1).id, error="ReplyError: x"))
    writer.put_trace(trace(ask(1)))
    writer.flush()
    with TraceReader(file, Trace) as reader:
        assert list(reader.failures()) == [Failure(prompt_id=ask(0).id, error="ReplyError: second")]
        assert [position for position, _ in reader.todo()] == [0]
    writer.close()


def test_a_second_trace_of_one_prompt_is_refused_and_the_first_kept(file: Path):
    write(file, 1, (0,))
    writer = TraceWriter(file)
    writer.put_trace(trace(ask(0)).model_copy(update={"judged_by": ()}))
    with pytest.raises(StorageError, match="UNIQUE"):
        writer.flush()
    writer.close()
    with TraceReader(file, Trace) as reader:
        assert reader.trace(ask(0).id) == trace(ask(0))


def test_two_prompts_with_one_id_are_refused(file: Path):
    writer = TraceWriter(file)
    with pytest.raises(StorageError, match="UNIQUE"):
        writer.put_prompts([ask(0), ask(0)])
    writer.close()


def test_a_folder_without_traces_holds_no_run(tmp_path: Path):
    with pytest.raises(RunDirectoryError, match=r"is not a run directory: run\.sqlite is missing"):
        TraceReader(tmp_path / "run.sqlite", Trace)
    assert not (tmp_path / "run.sqlite").exists()
