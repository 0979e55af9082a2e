import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rlaif.errors import StorageError
from rlaif.models.backend import Choice, Reply, TokenLogprob
from rlaif.models.reply_store import ReplyStore
from rlaif.records import Usage
from rlaif.storage import connect


def reply(text: str) -> Reply:
    return Reply(
        choices=(Choice(text=text, finish_reason="stop", first_token=(TokenLogprob(token="A", logprob=-0.1),)),),
        usage=Usage(requests=1, prompt_tokens=3, completion_tokens=1),
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "replies.sqlite"


def test_a_reply_is_there_at_once_and_later(file: Path):
    with ReplyStore(file) as store:
        assert store.get("k") is None
        store.put("k", reply("one"))
        assert store.get("k") == reply("one")
        assert store.get("K") is None
    with ReplyStore(file) as store:
        assert store.get("k") == reply("one")


def test_any_text_comes_back_as_it_was(file: Path):
    odd = reply('\0 \u2028 😀 \\ " {} \r\n')
    with ReplyStore(file) as store:
        store.put("k", odd)
    with ReplyStore(file) as store:
        assert store.get("k") == odd


def test_two_stores_share_one_file(file: Path):
    with ReplyStore(file) as one, ReplyStore(file) as other:
        for n in range(300):
            one.put(f"one{n}", reply(f"{n}"))
            other.put(f"other{n}", reply(f"{n}"))
            other.put(f"both{n}", reply("same"))
            one.put(f"both{n}", reply("same"))
        one.flush()
        other.flush()
        assert all(other.get(f"one{n}") == reply(f"{n}") for n in range(300))
        assert all(one.get(f"other{n}") == reply(f"{n}") for n in range(300))
        assert all(one.get(f"both{n}") == other.get(f"both{n}") == reply("same") for n in range(300))


def test_two_processes_share_one_file(file: Path):
    program = """
        import sys
        from pathlib import Path
        from rlaif.models.reply_store import ReplyStore
        from rlaif.models.backend import Choice, Reply
        from rlaif.records import Usage
        with ReplyStore(Path(sys.argv[1])) as store:
            for n in range(400):
                text = sys.argv[2] if n % 2 else "same"
                store.put(f"{text}{n}", Reply(choices=(Choice(text=text, finish_reason="stop"),), usage=Usage()))
                if n % 40 == 0:
                    store.flush()
            store.flush()
    """
    with ReplyStore(file):
        pass
    command = [sys.executable, "-c", textwrap.dedent(program), str(file)]
    running = [subprocess.Popen([*command, name]) for name in ("x", "y")]
    assert [process.wait(60) for process in running] == [0, 0]
    with ReplyStore(file) as store:
        for n in range(400):
            for name in ("x", "y") if n % 2 else ("same",):
                found = store.get(f"{name}{n}")
                assert found is not None
                assert found.choices[0].text == name


def test_the_first_reply_under_a_key_stays(file: Path):
    with ReplyStore(file) as store:
        store.put("k", reply("first"))
    with ReplyStore(file) as store:
        store.put("k", reply("second"))
    with ReplyStore(file) as store:
        assert store.get("k") == reply("first")


def spoil(file: Path, key: str) -> None:
    connection = connect(file)
    with connection:
        connection.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (key, '{"choices": 3'))
    connection.close()


def test_a_reply_that_cannot_be_read_counts_as_none(file: Path):
    with ReplyStore(file) as store:
        store.put("good", reply("one"))
    spoil(file, "bad")
    with ReplyStore(file) as store:
        assert store.get("bad") is None
        assert store.get("good") == reply("one")


def test_a_reply_that_cannot_be_read_is_replaced_by_the_next(file: Path):
    with ReplyStore(file):
        pass
    spoil(file, "k")
    with ReplyStore(file) as store:
        assert store.get("k") is None
        store.put("k", reply("one"))
    with ReplyStore(file) as store:
        assert store.get("k") == reply("one")


def test_a_store_that_cannot_be_made_is_said(tmp_path: Path):
    with pytest.raises(StorageError, match="cannot be written"):
        ReplyStore(tmp_path)


def test_more_replies_than_are_held_in_memory_are_all_kept(file: Path):
    with ReplyStore(file) as store:
        for n in range(10_050):
            store.put(f"k{n}", reply("x"))
        assert store.get("k0") == reply("x")
        assert store.get("k10049") == reply("x")
    connection = connect(file, read_only=True)
    assert connection.execute("SELECT count(*) FROM replies").fetchone() == (10_050,)
    connection.close()
