"""The pool: which answers meet, which do not, and by what name each is known."""

from rlaif.compare.pool import build_pool
from rlaif.records import Critique, Message, Prompt, Response, Trace, Usage

PROMPT = Prompt(id="p", messages=(Message(role="user", content="Why?"),))


def response(id_: str, text: str, parent: str | None = None, copied: str | None = None) -> Response:
    return Response(
        id=id_, text=text, origin="revision" if parent else "sample", parent=parent, copied=copied,
        model="m", seed=0, finish_reason="stop", reply="k",
    )  # fmt: skip


def trace(*responses: Response) -> Trace:
    critiques = tuple(
        Critique(of=r.parent, round=1, principles=("kind",), text="c", model="m", seed=0, reply="k")
        for r in responses
        if r.parent
    )
    return Trace(
        prompt=PROMPT, responses=responses, critiques=critiques, dropped=(), judged_by=(), matchups=(), usage=Usage()
    )


def met(pool, kind: str) -> set[frozenset[str]]:
    return {frozenset((m.a, m.b)) for m in pool.matchups if m.kind == kind}


def test_shared_samples_are_one_candidate_and_revisions_meet_parents_and_rivals() -> None:
    pool = build_pool(
        {
            "one": trace(response("s0", "x"), response("s1", "y"), response("s0.r1", "x by one", "s0")),
            "two": trace(response("s0", "x"), response("s1", "y"), response("s0.r1", "x by two", "s0")),
        },
        seed=0,
    )
    assert [c.id for c in pool.candidates] == ["s0", "s1", "one/s0.r1", "two/s0.r1"]
    assert met(pool, "samples") == {frozenset(("s0", "s1"))}
    assert met(pool, "parent") == {frozenset(("s0", "one/s0.r1")), frozenset(("s0", "two/s0.r1"))}
    assert met(pool, "rivals") == {frozenset(("one/s0.r1", "two/s0.r1"))}
    assert pool.candidate("one/s0.r1").principles == ("kind",)


def test_samples_that_differ_between_runs_keep_their_runs_name() -> None:
    pool = build_pool({"one": trace(response("s0", "x")), "two": trace(response("s0", "other"))}, seed=0)
    assert [c.id for c in pool.candidates] == ["one/s0", "two/s0"]
    assert met(pool, "samples") == {frozenset(("one/s0", "two/s0"))}


def test_the_same_text_twice_is_not_compared_but_counted() -> None:
    pool = build_pool(
        {
            "one": trace(response("s0", "x"), response("s0.r1", "same", "s0")),
            "two": trace(response("s0", "x"), response("s0.r1", "same", "s0")),
            "three": trace(response("s0", "x"), response("s0.r1", "x", "s0")),
        },
        seed=0,
    )
    assert pool.identical == 2
    assert met(pool, "rivals") == {frozenset(("one/s0.r1", "three/s0.r1")), frozenset(("two/s0.r1", "three/s0.r1"))}


def test_the_last_usable_revision_stands_for_its_chain() -> None:
    pool = build_pool(
        {
            "one": trace(
                response("s0", "x"),
                response("s0.r1", "good", "s0"),
                response("s0.r2", "copied", "s0.r1", copied="words"),
            ),
            "two": trace(response("s0", "x")),
        },
        seed=0,
    )
    assert met(pool, "parent") == {frozenset(("s0", "one/s0.r1"))}
    assert pool.candidate("one/s0.r1").parent == "s0"


def test_being_a_says_nothing_about_whose_answer_it_is() -> None:
    first = 0
    for seed in range(200):
        revised = trace(response("s0", "x"), response("s0.r1", "y", "s0"))
        pool = build_pool({"one": revised, "two": trace(response("s0", "x"))}, seed)
        first += pool.matchups[0].a == "s0"
    assert 70 < first < 130
