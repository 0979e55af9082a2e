"""Constitutions put together from others: what is inherited, what is refused, and what no broken file may do."""

import itertools
import random
import re
from pathlib import Path

import pytest
import yaml

from rlaif.constitution.load import load_constitution, resolve_constitution
from rlaif.errors import ConfigError
from rlaif.shipped import CONSTITUTIONS, constitution_names

HEAD = "name: {name}\nversion: 1\ndescription: For tests.\n"
BASE = """\
principles:
  - id: kind
    critique: Point out what is unkind.
    revise: Say it kindly.
    compare: Which answer is kinder?
  - id: short
    compare: Which answer is shorter?
    compare_only: true
    weight: 2
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder that has nothing to do with the files."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


def write(folder: Path, name: str, body: str) -> Path:
    path = folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD.format(name=path.stem) + body, encoding="utf-8")
    return path


def own(*ids: str) -> str:
    entries = "".join(f"  - {{id: {name}, compare: Which is more {name} now, compare_only: true}}\n" for name in ids)
    return f"principles:\n{entries}"


def ids(path: Path) -> list[str]:
    return [principle.id for principle in load_constitution(path).principles]


def fault(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_constitution(path)
    return str(caught.value).replace(f"{path.parent}/", "")


# What is inherited


def test_a_run_file_given_as_a_constitution_is_called_one(tmp_path: Path):
    file = tmp_path / "run.yaml"
    file.write_text("constitution: honesty\nprompts: seed\npolicy: m\nout: x\n", encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"run\.yaml:1: this is a run file, not a constitution; a constitution lists its"
    ):
        load_constitution(str(file))


def test_a_shipped_name_a_path_and_ones_own_principles_come_in_this_order(tmp_path: Path):
    write(tmp_path / "sub", "base", BASE)
    mine = write(tmp_path / "mine", "mine", "extends: [directness, ../sub/base.yaml]\n" + own("brave"))
    shipped = [principle.id for principle in load_constitution("directness").principles]
    assert ids(mine) == [*shipped, "kind", "short", "brave"]


@pytest.mark.parametrize("extends", ["base.yaml", "{from: base.yaml}", "[base.yaml]", "[{from: base.yaml}]"])
def test_one_parent_needs_no_list(tmp_path: Path, extends: str):
    write(tmp_path, "base", BASE)
    assert ids(write(tmp_path, "mine", f"extends: {extends}\n")) == ["kind", "short"]


def test_only_and_drop_apply_to_one_parent_alone(tmp_path: Path):
    write(tmp_path, "one", own("a", "b", "c"))
    write(tmp_path, "two", own("d", "e", "f"))
    mine = write(tmp_path, "mine", "extends: [{from: one.yaml, only: [c, a]}, {from: two.yaml, drop: [e]}]\n")
    assert ids(mine) == ["a", "c", "d", "f"]


def test_drop_leaves_inherited_principles_out_and_makes_room_for_ones_own(tmp_path: Path):
    write(tmp_path, "base", BASE)
    mine = load_constitution(write(tmp_path, "mine", "extends: base.yaml\ndrop: [kind]\n" + own("kind")))
    assert [principle.id for principle in mine.principles] == ["short", "kind"]
    assert mine.principle("kind").compare == "Which is more kind now"


def test_an_override_changes_what_it_names_and_nothing_else(tmp_path: Path):
    base = load_constitution(write(tmp_path, "base", BASE))
    changes = (
        "{kind: {compare: Who is kinder, priority: 2, applies_to: [feelings], critique: null, compare_only: true}}"
    )
    mine = load_constitution(write(tmp_path, "mine", f"extends: base.yaml\noverride: {changes}\n"))
    changed = mine.principle("kind")
    assert (changed.compare, changed.priority, changed.applies_to) == ("Who is kinder", 2, ("feelings",))
    assert (changed.critique, changed.revise, changed.weight) == (None, "Say it kindly.", 1.0)
    assert mine.principle("short") == base.principle("short")


def test_a_new_weight_joins_an_override_of_the_same_principle(tmp_path: Path):
    write(tmp_path, "base", BASE)
    body = "extends: base.yaml\noverride: {short: {compare: Which is shorter}}\nweights: {short: 0.5}\n"
    short = load_constitution(write(tmp_path, "mine", body)).principle("short")
    assert (short.compare, short.weight) == ("Which is shorter", 0.5)


def test_the_same_principle_by_two_ways_counts_once(tmp_path: Path):
    write(tmp_path, "base", BASE)
    write(tmp_path, "left", "extends: base.yaml\n" + own("left"))
    write(tmp_path, "right", "extends: base.yaml\n" + own("right"))
    assert ids(write(tmp_path, "mine", "extends: [left.yaml, right.yaml]\n")) == ["kind", "short", "left", "right"]


def test_forty_generations_of_diamonds_are_fast(tmp_path: Path):
    write(tmp_path, "g0", own("a"))
    for n in range(1, 41):  # 2 ** 40 ways lead down
        write(tmp_path, f"g{n}", f"extends: [g{n - 1}.yaml, ./g{n - 1}.yaml]\n")
    assert ids(tmp_path / "g40.yaml") == ["a"]


def test_works_behind_the_rules_are_inherited_each_once(tmp_path: Path):
    write(tmp_path, "one", "after: [Bai 2022, Askell 2021]\n" + own("a"))
    write(tmp_path, "two", "after: [Askell 2021, Evans 2021]\n" + own("b"))
    mine = write(tmp_path, "mine", "after: [Mine 2026]\nextends: [one.yaml, two.yaml]\n")
    assert load_constitution(mine).after == ("Mine 2026", "Bai 2022", "Askell 2021", "Evans 2021")


def test_origins_give_where_each_principle_is_defined_and_where_it_was_changed(tmp_path: Path):
    base = write(tmp_path, "base", BASE)
    mine = write(tmp_path, "mine", "extends: [honesty, base.yaml]\nweights:\n  short: 3\n" + own("brave"))
    origins = resolve_constitution(mine).origins
    assert str(origins["kind"]) == f"{base}:5"
    assert str(origins["short"]) == f"{base}:9 (changed in {mine}:6)"
    assert str(origins["brave"]) == f"{mine}:8"
    lines = (CONSTITUTIONS / "honesty.yaml").read_text(encoding="utf-8").splitlines()
    admits = origins["admits-doubt"]
    assert (admits.file, lines[admits.line - 1].strip()) == ("honesty", "- id: admits-doubt")


# The hash


def test_a_composed_file_and_the_same_written_out_flat_have_one_hash(tmp_path: Path):
    write(tmp_path, "base", BASE)
    body = "extends: [base.yaml, {from: honesty, only: [admits-doubt]}]\nweights: {short: 3}\n" + own("brave")
    composed = load_constitution(write(tmp_path, "mine", body))
    flat = tmp_path / "flat.yaml"
    flat.write_text(yaml.safe_dump(composed.model_dump(mode="json", exclude_defaults=True)), encoding="utf-8")
    assert load_constitution(flat).hash == composed.hash


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ("cases: [{prompt: Hi, better: Hello., worse: Eh.}]", True),
        ("ignore: [C101]", True),
        ("weight: 3", False),
        ("priority: 2", False),
        ("group: helpful", False),
        ("applies_to: [greeting]", False),
        ("examples: [{prompt: Hi, response: Eh., critique: Rude., revision: Hello.}]", False),
    ],
)
def test_cases_and_lint_settings_are_not_in_the_hash(tmp_path: Path, change: str, same: bool):
    before = load_constitution(write(tmp_path, "mine", BASE.replace("    weight: 2\n", ""))).hash
    after = load_constitution(write(tmp_path, "mine", BASE.replace("    weight: 2", f"    {change}"))).hash
    assert (after == before) is same


# What is refused


def test_a_file_that_extends_itself(tmp_path: Path):
    assert fault(write(tmp_path, "mine", "extends: [mine.yaml]\n")) == "mine.yaml:4: this file extends itself"


@pytest.mark.parametrize("between", [[], ["b"], ["b", "c", "d"]])
def test_a_cycle_is_reported_where_it_closes(tmp_path: Path, between: list[str]):
    chain = ["a", *between, "z", "a"]
    for name, parent in itertools.pairwise(chain):
        write(tmp_path, name, f"extends:\n  - directness\n  - {parent}.yaml\n")
    assert fault(tmp_path / "a.yaml") == (
        "z.yaml:6: extends a.yaml, which itself extends this file: a cycle; remove one"
    )


def test_a_cycle_through_a_link_is_one_too(tmp_path: Path):
    path = write(tmp_path, "a", "extends: b.yaml\n")
    (tmp_path / "b.yaml").symlink_to(path)
    assert fault(path) == "a.yaml:4: this file extends itself"


def test_more_generations_than_anybody_can_read(tmp_path: Path):
    write(tmp_path, "g0", own("a"))
    for n in range(1, 1001):
        write(tmp_path, f"g{n}", f"extends: g{n - 1}.yaml\n")
    assert re.fullmatch(r"g\d+\.yaml:4: more than 50 levels of extends; .*", fault(tmp_path / "g1000.yaml"))


def test_two_parents_that_differ_in_a_principle_are_refused_with_a_fix(tmp_path: Path):
    write(tmp_path, "base", BASE)
    write(tmp_path, "left", "extends: base.yaml\nweights:\n  kind: 5\n")
    body = "extends:\n  - left.yaml\n  - base.yaml\n"
    assert fault(write(tmp_path, "mine", body)) == (
        'mine.yaml:6: principle "kind" comes from base.yaml:5 (changed in left.yaml:6) and from base.yaml:5, '
        "and they differ; write {from: base.yaml, drop: [kind]} to keep the first"
    )
    remedied = body.replace("- base.yaml", "- {from: base.yaml, drop: [kind]}")
    assert load_constitution(write(tmp_path, "mine", remedied)).principle("kind").weight == 5


def test_ones_own_principle_under_an_inherited_id(tmp_path: Path):
    write(tmp_path, "base", BASE)
    message = fault(write(tmp_path, "mine", "extends: base.yaml\n" + own("brave", "kind")))
    assert message == (
        'mine.yaml:7: principle "kind" is inherited from base.yaml; change it under `override`, '
        "or name it under `drop` to replace it"
    )


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("drop:\n  - shrot\n", 6),
        ("override:\n  shrot: {weight: 2}\n", 6),
        ("weights:\n  shrot: 2\n", 6),
    ],
)
def test_an_unknown_id_is_reported_with_the_nearest_one(tmp_path: Path, body: str, line: int):
    write(tmp_path, "base", BASE)
    message = fault(write(tmp_path, "mine", f"extends: base.yaml\n{body}"))
    assert message == f'mine.yaml:{line}: no inherited principle "shrot"; did you mean short?'


@pytest.mark.parametrize("key", ["only", "drop"])
def test_an_id_the_parent_does_not_have(tmp_path: Path, key: str):
    write(tmp_path, "base", BASE)
    message = fault(write(tmp_path, "mine", f"extends:\n  - directness\n  - {{from: base.yaml, {key}: [xyz]}}\n"))
    assert message == 'mine.yaml:6: no inherited principle "xyz"; inherited are kind, short'


def test_ones_own_principle_needs_no_override(tmp_path: Path):
    write(tmp_path, "base", BASE)
    message = fault(write(tmp_path, "mine", "extends: base.yaml\nweights: {brave: 2}\n" + own("brave")))
    assert message == 'mine.yaml:5: principle "brave" is not inherited but defined in this file; change it there'


def test_a_weight_that_is_given_twice(tmp_path: Path):
    write(tmp_path, "base", BASE)
    body = "extends: base.yaml\noverride: {kind: {weight: 2}}\nweights: {kind: 3}\n"
    assert fault(write(tmp_path, "mine", body)) == ('mine.yaml:6: the weight of "kind" is also given under `override`')


def test_an_override_that_leaves_a_principle_without_a_use(tmp_path: Path):
    write(tmp_path, "base", BASE)
    message = fault(write(tmp_path, "mine", "extends: base.yaml\noverride:\n  short: {compare_only: false}\n"))
    assert message.startswith('mine.yaml:6: principle "short" has no "critique" instruction; ')


@pytest.mark.parametrize(("value", "what"), [("weight: 0", "weight"), ("priority: 0", "priority"), ("wieght: 1", "")])
def test_an_override_is_validated_like_a_principle(tmp_path: Path, value: str, what: str):
    write(tmp_path, "base", BASE)
    message = fault(write(tmp_path, "mine", f"extends: base.yaml\noverride:\n  short: {{{value}}}\n"))
    assert message.startswith("mine.yaml:6: ")
    assert (what or "did you mean `weight`?") in message


@pytest.mark.parametrize(
    ("body", "line"), [("drop: [kind, short]\n", 5), ("", 4)], ids=["by the file", "from the parent"]
)
def test_nothing_is_left(tmp_path: Path, body: str, line: int):
    write(tmp_path, "base", BASE)
    parent = "{from: base.yaml, drop: [kind, short]}" if not body else "base.yaml"
    message = fault(write(tmp_path, "mine", f"extends: [{parent}]\n{body}"))
    assert message == f"mine.yaml:{line}: every principle is dropped; a constitution needs at least one"


@pytest.mark.parametrize("key", ["drop: [a]", "override: {a: {weight: 2}}", "weights: {a: 2}"])
def test_changes_without_a_parent(tmp_path: Path, key: str):
    assert "add `extends`" in fault(write(tmp_path, "mine", f"{key}\n" + own("a")))


@pytest.mark.parametrize("parent", ["nowhere", "../nowhere.yaml", "''", "sub", '"a\\0b"', "x" * 5000, '"\\ud800"'])
def test_a_parent_that_is_not_there(tmp_path: Path, parent: str):
    (tmp_path / "sub").mkdir()
    message = fault(write(tmp_path, "mine", f"extends:\n  - {parent}\n"))
    assert message.startswith("mine.yaml:5: extends ")
    assert "\n" not in message


def test_the_working_directory_does_not_change_what_is_inherited(tmp_path: Path):
    write(Path.cwd(), "base", BASE)
    message = fault(write(tmp_path, "mine", "extends: base.yaml\n"))
    assert message.startswith("mine.yaml:4: extends 'base.yaml', but there is no such file beside mine.yaml, and the")


def test_a_fault_in_a_parent_is_reported_with_the_parents_line(tmp_path: Path):
    write(tmp_path, "base", BASE.replace("weight: 2", "wieght: 2"))
    assert fault(write(tmp_path, "mine", "extends: base.yaml\n")) == (
        "base.yaml:12: unknown key `wieght`; did you mean `weight`?"
    )


def test_a_broken_extends_is_one_fault(tmp_path: Path):
    message = fault(write(tmp_path, "mine", "extends: [3]\nprinciples: []\n"))
    assert message.startswith("mine.yaml:4: ")
    assert "; " not in message


# Files that are broken in every way a hand or a disk can break them

COMPOSED = """\
name: composed
version: 3
description: >-
  Put together, with everything a file
  can have.
after: ["Bai et al. 2022 (arXiv:2212.08073)"]
ignore: [C101]
extends: [base.yaml, {from: honesty, only: [admits-doubt, claims-hold-up]}]
drop: [claims-hold-up]
override:
  kind:
    compare: "Which answer is kinder, all in all?"
    applies_to: [feelings]
weights: {short: 3}
principles:
  - id: brave
    why: 'It''s the point.'
    group: helpful
    critique: |
      Point out where courage is missing.
    revise: Say it.
    compare: Which answer is braver?
    priority: 2
    tags: [courage]
    examples:
      - prompt: Should I?
        response: No.
        critique: Says nothing.
        revision: You should, because it matters.
    cases:
      - prompt: Dare I?
        better: Dare.
        worse: Wait.
      - messages: [{role: user, content: Dare I.}, {role: assistant, content: Hm.}, {role: user, content: So.}]
        better: Dare.
        worse: Wait.
        why: Same.
"""
ODD = [
    *"\t\x00\x07\u2028\ufeff\ud7ffé🙂\\\"'%@`{[}]#|>~\r&",
    *("&a ", "*a ", "!!int ", "!x ", "- ", "? ", ": ", "---\n", "...\n", "<<: "),
]
VALUES = [
    *("3", "-1", "1e400", ".nan", "null", "[]", "{}", "yes", "2026-01-01", "2026-13-45", "1:2:3", "''", "' '", "= "),
    *("[a, {b: c}]", "{a: [b]}", "? [a]\n", "&a [*a]", "*nobody", '"\\ud800"', '"\\0"'),
    *("!!bool x", "!!timestamp x", "!!int ''", "!!float {a: 1}", "!!set {a}", "!!binary ?", "!!null x", "!!merge x"),
    *("!!python/object:os.system x", "x" * 70_000, "9" * 5000, "0x" + "f" * 5000, "0x" + "f" * 24),
]


def mutated(text: str, rng: random.Random) -> str:
    """Return the text with one to three things broken."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        text = rng.choice(MUTATIONS)(text, rng)
    return text


def _delete_lines(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    start = rng.randrange(len(lines))
    return "".join(lines[:start] + lines[start + rng.choice([1, 1, 2, 5]) :]) or text


def _repeat_line(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    lines.insert(rng.choice([place, rng.randrange(len(lines))]), lines[place])
    return "".join(lines)


def _indent(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    lines[place] = rng.choice(["  " + lines[place], " " + lines[place], "\t" + lines[place], lines[place].lstrip()])
    return "".join(lines)


def _truncate(text: str, rng: random.Random) -> str:
    return text[: rng.randrange(1, len(text) + 1)]


def _odd_character(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text))
    return text[:place] + rng.choice(ODD) + text[place + rng.choice([0, 1]) :]


def _other_value(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    keyed = [n for n, line in enumerate(lines) if ":" in line]
    place = rng.choice(keyed or [0])
    key = lines[place].partition(":")[0]
    lines[place] = f"{key}: {rng.choice(VALUES)}\n"
    return "".join(lines)


def _swap_words(text: str, rng: random.Random) -> str:
    words = sorted({"cases", "weight", *re.findall(r"[a-z_-]{3,}", text)})
    one, other = rng.sample(words, 2)
    return re.sub(rf"\b{re.escape(one)}\b", other, text, count=rng.choice([0, 1]))


def _other_key(text: str, rng: random.Random) -> str:
    keys = re.findall(r"^\s*(?:- )?([a-z_-]+):", text, re.M)
    return text.replace(f"{rng.choice(keys or ['x'])}:", f"{rng.choice([*VALUES[:20], 'x', ''])}:", 1)


MUTATIONS = [_delete_lines, _repeat_line, _indent, _truncate, _odd_character, _other_value, _swap_words, _other_key]


def broken_bytes(raw: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(raw))
    return raw[:place] + rng.choice([b"\xff", b"\x00", b"\xc3", b"\xed\xa0\x80"]) + raw[place + 1 :]


@pytest.mark.parametrize("seed", range(40))
def test_a_broken_file_is_reported_with_its_line_or_loads(tmp_path: Path, seed: int):
    """Twenty broken files for each seed, 800 in all."""
    write(tmp_path, "base", BASE)
    rng = random.Random(seed)
    path = tmp_path / "mine.yaml"
    good = [COMPOSED, *((CONSTITUTIONS / f"{name}.yaml").read_text(encoding="utf-8") for name in constitution_names())]
    refused = 0
    for n in range(20):
        text = mutated(COMPOSED if n % 4 else rng.choice(good), rng)
        raw = text.encode("utf-8", "surrogatepass")
        path.write_bytes(broken_bytes(raw, rng) if rng.random() < 0.1 else raw)
        try:
            load_constitution(path)
        except ConfigError as error:
            refused += 1
            place = re.compile(rf"({re.escape(str(path))}|{re.escape(str(tmp_path / 'base.yaml'))}):[1-9]\d*: \S")
            assert place.match(str(error)), (str(error), text)
            assert len(str(error).splitlines()) == 1, (str(error), text)
            assert len(str(error)) < 2000, str(error)
    assert refused >= 5


def test_the_files_that_are_broken_are_good(tmp_path: Path):
    write(tmp_path, "base", BASE)
    path = tmp_path / "composed.yaml"
    path.write_text(COMPOSED, encoding="utf-8")
    assert ids(path) == ["kind", "short", "admits-doubt", "brave"]


@pytest.mark.parametrize("place", ["name", "version", "extends", "override", "weights", "principles", "drop", "after"])
def test_no_value_in_any_place_is_more_than_a_fault(tmp_path: Path, place: str):
    path = tmp_path / "mine.yaml"
    for value in VALUES:
        kept = {"name": "mine", "version": "1", "description": "d"} | {place: value}
        path.write_text("".join(f"{key}: {text}\n" for key, text in kept.items()), encoding="utf-8")
        assert re.match(r"mine\.yaml:[1-4]: \S", fault(path)), value[:50]
