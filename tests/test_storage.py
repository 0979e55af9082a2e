import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlaif.errors import StorageError
from rlaif.storage import BatchWriter, connect

SCHEMA = "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, word TEXT NOT NULL)"
INSERT = "INSERT INTO t VALUES (?, ?)"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "t.sqlite"


@pytest.fixture
def writer(file: Path) -> Iterator[BatchWriter]:
    made = BatchWriter(file, SCHEMA)
    yield made
    made.close()


def rows(file: Path) -> list[tuple[int, str]]:
    connection = connect(file, read_only=True)
    try:
        return connection.execute("SELECT n, word FROM t ORDER BY n").fetchall()
    finally:
        connection.close()


def test_what_was_flushed_is_seen_by_others(writer: BatchWriter, file: Path):
    writer.put(INSERT, (1, "one"))
    writer.put(INSERT, (2, "two"))
    writer.flush()
    assert rows(file) == [(1, "one"), (2, "two")]


def test_what_was_handed_over_is_written_soon_without_a_flush(writer: BatchWriter, file: Path):
    writer.put(INSERT, (1, "one"))
    deadline = time.monotonic() + 5
    while not rows(file) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert rows(file) == [(1, "one")]


def test_closing_writes_what_is_left_in_order(file: Path):
    writer = BatchWriter(file, SCHEMA)
    for n in range(2000):
        writer.put("INSERT OR REPLACE INTO t VALUES (?, ?)", (n % 7, str(n)))
    writer.close()
    assert rows(file) == [(n % 7, str(n)) for n in sorted(range(1993, 2000), key=lambda n: n % 7)]


def test_a_flush_with_nothing_to_write_returns_at_once(writer: BatchWriter):
    started = time.monotonic()
    for _ in range(20):
        writer.flush()
    assert time.monotonic() - started < 1


def test_several_threads_may_hand_over(writer: BatchWriter, file: Path):
    def work(first: int) -> None:
        for n in range(first, first + 100):
            writer.put(INSERT, (n, "x"))

    threads = [threading.Thread(target=work, args=(n * 100,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.flush()
    assert [n for n, _ in rows(file)] == list(range(400))


def test_missing_folders_are_made(tmp_path: Path):
    file = tmp_path / "a" / "b" / "t.sqlite"
    BatchWriter(file, SCHEMA).close()
    assert rows(file) == []


def test_what_is_there_is_kept(file: Path):
    for n in (1, 2):
        writer = BatchWriter(file, SCHEMA)
        writer.put(INSERT, (n, "x"))
        writer.close()
    assert rows(file) == [(1, "x"), (2, "x")]


def test_a_folder_in_the_place_of_the_file_is_said(tmp_path: Path):
    with pytest.raises(StorageError) as caught:
        BatchWriter(tmp_path, SCHEMA)
    assert str(caught.value).startswith(f"{tmp_path}: cannot be written: ")


def test_a_file_in_the_place_of_the_folder_is_said(tmp_path: Path):
    (tmp_path / "a").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match=r"a/t\.sqlite: cannot be written: "):
        BatchWriter(tmp_path / "a" / "t.sqlite", SCHEMA)


def test_a_file_that_is_no_database_is_said(file: Path):
    file.write_text("no database at all, but long enough to be read as the header of one" * 20, encoding="utf-8")
    with pytest.raises(StorageError, match="file is not a database"):
        BatchWriter(file, SCHEMA)


def test_a_failed_write_is_raised_by_the_flush_and_by_everything_after_it(file: Path):
    writer = BatchWriter(file, SCHEMA)
    writer.put(INSERT, (1, "one"))
    writer.flush()
    writer.put(INSERT, (1, "again"))
    with pytest.raises(StorageError, match=r"t\.sqlite: cannot be written: UNIQUE constraint failed"):
        writer.flush()
    with pytest.raises(StorageError):
        writer.put(INSERT, (2, "two"))
    with pytest.raises(StorageError):
        writer.flush()
    writer.close()
    assert rows(file) == [(1, "one")]


def test_a_batch_is_written_as_a_whole_or_not_at_all(file: Path):
    writer = BatchWriter(file, SCHEMA)
    lock = connect(file)
    lock.execute("BEGIN IMMEDIATE")  # holds the first row back while the next three gather into one batch
    writer.put(INSERT, (0, "zero"))
    time.sleep(0.2)
    for values in ((1, "one"), (2, None), (3, "three")):
        writer.put(INSERT, values)
    lock.rollback()
    lock.close()
    with pytest.raises(StorageError, match="NOT NULL"):
        writer.flush()
    writer.close()
    assert rows(file) in ([(0, "zero")], [])  # [] where a slow machine gathered all four


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("values", [(2**70, "x"), (1, "\ud800")], ids=["too large", "no UTF-8"])
def test_a_value_sqlite_cannot_hold_is_raised_and_not_lost(file: Path, values: tuple[int, str]):
    writer = BatchWriter(file, SCHEMA)
    writer.put(INSERT, values)
    try:
        with pytest.raises(StorageError):
            writer.flush()
    finally:
        writer.close()


def test_nothing_is_lost_without_a_word_after_closing(file: Path):
    writer = BatchWriter(file, SCHEMA)
    writer.close()
    with pytest.raises(StorageError):
        writer.put(INSERT, (1, "one"))
        writer.flush()


def test_a_full_disk_is_said_and_what_was_written_is_kept(file: Path):
    program = f"""
        import resource, signal
        from pathlib import Path
        from rlaif.errors import StorageError
        from rlaif.storage import BatchWriter
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        writer = BatchWriter(Path({str(file)!r}), {SCHEMA!r})
        writer.put({INSERT!r}, (1, "one"))
        writer.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            for n in range(2, 100):
                writer.put({INSERT!r}, (n, "x" * 10_000))
                writer.flush()
        except StorageError as error:
            print(error)
        writer.close()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert "the disk is full, or the file has reached a size limit" in done.stdout
    assert "free some space and run the same command again" in done.stdout
    kept = [n for n, _ in rows(file)]
    assert kept == list(range(1, len(kept) + 1))
    assert kept


def test_committed_rows_survive_a_kill(file: Path):
    program = f"""
        import os, signal
        from pathlib import Path
        from rlaif.storage import BatchWriter
        writer = BatchWriter(Path({str(file)!r}), {SCHEMA!r})
        for n in range(500):
            writer.put({INSERT!r}, (n, "x"))
        writer.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert done.returncode == -9
    assert [n for n, _ in rows(file)] == list(range(500))
    assert connect(file).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_one_file_may_be_opened_for_the_first_time_by_two_at_once(tmp_path: Path):
    faults: list[str] = []

    def work(file: Path, together: threading.Barrier) -> None:
        together.wait()
        try:
            connect(file).close()
        except sqlite3.OperationalError as error:
            faults.append(str(error))

    for n in range(80):
        together = threading.Barrier(2)
        threads = [threading.Thread(target=work, args=(tmp_path / f"{n}.sqlite", together)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert faults == []


def test_a_reader_cannot_write(writer: BatchWriter, file: Path):
    reader = connect(file, read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute(INSERT, (1, "one"))
    reader.close()


def test_a_path_may_hold_any_character(tmp_path: Path):
    file = tmp_path / "50% of #1? é" / "t.sqlite"
    writer = BatchWriter(file, SCHEMA)
    writer.put(INSERT, (1, "one"))
    writer.close()
    assert rows(file) == [(1, "one")]
