from typing import Any

from rlaif.constitution.diff import ConstitutionDiff, compare_constitutions
from rlaif.constitution.schema import Constitution

KIND = {
    "id": "kind",
    "critique": "Point out what is unkind.",
    "revise": "Say it kindly.",
    "compare": "Which is kinder?",
}
SHORT = {"id": "short", "compare": "Which answer is shorter?", "compare_only": True}
CASE = {"prompt": "Hi", "better": "Hello.", "worse": "Eh."}


def made(*principles: dict[str, Any], **head: Any) -> Constitution:
    content = {"name": "t", "version": 1, "description": "d", "principles": principles} | head
    return Constitution.model_validate(content)


def diff(before: Constitution, after: Constitution) -> ConstitutionDiff:
    return compare_constitutions(before, after)


def test_the_same_does_not_differ() -> None:
    found = diff(made(KIND, SHORT), made(KIND, SHORT))
    assert not found.differs
    assert (found.same, found.before_hash) == (2, found.after_hash)


def test_added_and_removed_principles_are_listed() -> None:
    found = diff(made(KIND, SHORT), made(SHORT, KIND | {"id": "brave", "compare": "Which is braver?"}))
    assert ([p.id for p in found.gone], [p.id for p in found.added]) == (["kind"], ["brave"])
    assert (found.changed, found.same, found.moved) == ((), 1, False)


def test_a_renamed_principle_with_the_same_words_is_the_same_principle() -> None:
    found = diff(made(KIND, SHORT), made(KIND | {"id": "gentle", "weight": 2}, SHORT))
    assert (found.added, found.gone) == ((), ())
    (change,) = found.changed
    assert (change.id, change.was) == ("gentle", "kind")
    assert [(c.field, c.before, c.after) for c in change.settings] == [("weight", 1.0, 2.0)]


def test_two_principles_with_the_same_words_are_renamed_to_one_each() -> None:
    before = made(KIND, KIND | {"id": "kind-2"})
    found = diff(before, made(KIND | {"id": "a"}, KIND | {"id": "b"}, KIND | {"id": "c"}))
    assert [(c.was, c.id) for c in found.changed] == [("kind", "a"), ("kind-2", "b")]
    assert [p.id for p in found.added] == ["c"]


def test_words_settings_and_lists_are_listed_separately() -> None:
    changes = {"critique": "Quote what is unkind.", "priority": 2, "applies_to": ["feelings"], "compare_only": True}
    found = diff(made(KIND | {"cases": [CASE]}), made(KIND | changes | {"cases": [CASE | {"worse": "No."}, CASE]}))
    (change,) = found.changed
    assert [c.field for c in change.words] == ["critique"]
    assert [c.field for c in change.settings] == ["priority", "applies_to", "compare_only"]
    (cases,) = change.lists
    assert (cases.field, cases.before, cases.after, cases.added, cases.gone) == ("cases", 1, 2, 1, 0)


def test_cases_alone_differ_without_another_hash() -> None:
    found = diff(made(KIND), made(KIND | {"cases": [CASE]}))
    assert found.differs
    assert found.before_hash == found.after_hash


def test_another_order_is_reported() -> None:
    found = diff(made(KIND, SHORT), made(SHORT, KIND))
    assert (found.moved, found.changed, found.same, found.differs) == (True, (), 2, True)


def test_the_head_is_compared_too() -> None:
    found = diff(made(KIND), made(KIND, version=2, description="e"))
    assert [c.field for c in found.head] == ["version", "description"]
