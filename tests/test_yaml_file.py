import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from rlaif.errors import ConfigError
from rlaif.yaml_file import parse_yaml, read_yaml


class Leaf(BaseModel):
    model_config = ConfigDict(extra="forbid")
    colour: str = "green"
    size: int = Field(default=1, ge=1)


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    leaves: tuple[Leaf, ...] = ()
    leaf: Leaf = Leaf()


def fault(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, Tree, name="t.yaml")
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_good_file_becomes_the_model(tmp_path: Path):
    path = tmp_path / "t.yaml"
    path.write_text("name: oak\nleaves:\n  - {colour: red}\n  - size: 3\n", encoding="utf-8")
    assert read_yaml(path, Tree) == Tree(name="oak", leaves=(Leaf(colour="red"), Leaf(size=3)))


def test_a_missing_file_is_reported_with_its_name(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: No such file or directory$"):
        read_yaml(tmp_path / "nowhere.yaml", Tree)


def test_a_folder_is_not_a_yaml_file(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path, Tree)


def test_a_file_that_is_not_utf8_is_reported_with_the_place(tmp_path: Path):
    path = tmp_path / "t.yaml"
    path.write_bytes("name: é".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"t\.yaml:1: is not UTF-8 text \(.* at byte 6\)$"):
        read_yaml(path, Tree)


def test_a_byte_order_mark_is_not_part_of_the_first_key(tmp_path: Path):
    path = tmp_path / "t.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: oak\n")
    assert read_yaml(path, Tree).name == "oak"


@pytest.mark.parametrize("text", ["", "\n\n", "# only a remark\n", "---\n"])
def test_a_file_with_nothing_in_it_is_called_empty_or_nothing(text: str):
    assert fault(text) in {"t.yaml:1: the file is empty", "t.yaml:1: expected `key: value` lines, found nothing"}


@pytest.mark.parametrize(("text", "found"), [("- a\n- b", "a list"), ("hello", "a text"), ("3", "int")])
def test_a_file_without_keys_is_reported_with_its_type(text: str, found: str):
    assert fault(text) == f"t.yaml:1: expected `key: value` lines, found {found}"


def test_a_repeated_key_is_an_error_at_its_second_line():
    assert fault("name: oak\nleaves: []\nname: elm\n") == "t.yaml:3: key 'name' is given twice"


def test_a_repeated_key_deep_inside_is_an_error_too():
    assert fault("name: oak\nleaves:\n  - size: 1\n    colour: red\n    size: 2\n") == (
        "t.yaml:5: key 'size' is given twice"
    )


def test_the_same_key_in_two_entries_is_allowed():
    assert len(parse_yaml("name: oak\nleaves:\n  - size: 1\n  - size: 2\n", Tree, name="t").leaves) == 2


def test_a_misspelt_key_is_named_with_its_line_and_the_right_spelling():
    assert fault("name: oak\nleafs: []\n") == "t.yaml:2: unknown key `leafs`; did you mean `leaf`?"
    assert fault("name: oak\nleaves:\n  - size: 1\n  - size: 1\n    color: red\n") == (
        "t.yaml:5: unknown key `color`; did you mean `colour`?"
    )


def test_a_key_like_no_other_gets_no_suggestion():
    assert fault("name: oak\nzzzzzz: 1\n") == "t.yaml:2: unknown key `zzzzzz`"


def test_a_missing_key_is_reported_at_the_line_of_its_entry():
    assert fault("leaves: []\n") == "t.yaml:1: key `name` is missing"


def test_a_wrong_value_is_reported_with_line_path_and_value():
    assert fault("name: oak\nleaves:\n  - colour: red\n  - colour: red\n    size: many\n") == (
        "t.yaml:5: leaves.1.size: input should be a valid integer, unable to parse string as an integer, not 'many'"
    )


def test_a_long_wrong_value_is_shortened():
    message = fault(f"name: oak\nleaf: {{size: {'x' * 500}}}\n")
    assert len(message) < 200
    assert message.endswith("…")


def test_at_most_three_faults_are_spelt_out_and_the_rest_counted():
    message = fault("name: oak\nq1: 1\nq2: 1\nq3: 1\nq4: 1\nq5: 1\n")
    assert message.count("unknown key") == 3
    assert message.endswith("and 2 more")


@pytest.mark.parametrize(
    ("text", "line"),
    [("name: oak\nleaves: [1, 2\n", 3), ("name: 'oak\n", 2), ("name: oak\n\tleaf: 1\n", 2), ("a: 1\n---\nb: 2\n", 2)],
)
def test_broken_yaml_is_reported_with_its_line(text: str, line: int):
    assert fault(text).startswith(f"t.yaml:{line}: not valid YAML: ")


def test_a_key_must_be_plain_text():
    assert fault("name: oak\n? [a, b]\n: 3\n") == "t.yaml:2: a key must be plain text"


def test_a_number_as_key_is_refused():
    assert fault("name: oak\n1: 3\n").startswith("t.yaml:")


def test_a_control_character_is_refused():
    assert fault("name: \x01\n").startswith("t.yaml:1: not valid YAML: ")


@pytest.mark.parametrize("depth", [60, 5000])
def test_deep_nesting_is_an_error_and_not_a_crash(depth: int):
    assert fault(f"name: {'[' * depth}{']' * depth}\n").startswith("t.yaml")


def test_a_recursive_value_is_refused():
    assert fault("name: &x [*x]\n") == "t.yaml:1: nested too deeply"


def test_an_alias_repeats_its_value():
    tree = parse_yaml("name: oak\nleaf: &l {colour: red}\nleaves: [*l, {<<: *l, size: 4}]\n", Tree, name="t")
    assert tree.leaves == (Leaf(colour="red"), Leaf(colour="red", size=4))


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.getcwd []", "!!python/name:os.getcwd", "!secret x"])
def test_tags_that_could_run_code_are_refused(tag: str):
    assert fault(f"name: {tag}\n").startswith("t.yaml")


@pytest.mark.parametrize("value", ["!secret x", "2024-13-45", "!!int x"])
def test_a_value_yaml_cannot_build_is_reported_with_its_line(value: str):
    assert fault(f"leaves: []\nname: {value}\n").startswith("t.yaml:2: ")


def test_a_yaml_bomb_is_refused():
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    text = "\n".join([*levels, "name: *a8"])
    program = f"""
        import resource
        from rlaif.config.run import RunConfig
        from rlaif.errors import ConfigError
        from rlaif.yaml_file import parse_yaml
        resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))
        resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
        try:
            parse_yaml({text!r}, RunConfig, name="t.yaml")
        except ConfigError as error:
            print(len(str(error)))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-300:]
    assert int(done.stdout) < 1000


def test_a_question_mark_within_braces_is_reported_with_a_fix():
    assert fault("name: oak\nleaf: {colour: Which?}\n").endswith(
        "got '?'; within { } and [ ], put quotes around text that holds a ?"
    )


def test_a_text_with_a_colon_is_reported_to_need_quotes():
    assert fault("name: Sorry: that is so").endswith('where a text holds ": ", put the text in quotes')


def test_an_invalid_name_is_described_in_words_and_not_as_a_pattern():
    class Named(BaseModel):
        id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")

    with pytest.raises(ConfigError) as caught:
        parse_yaml("id: too short", Named, name="t.yaml")
    assert str(caught.value) == (
        "t.yaml:1: id: must be small letters, digits and hyphens, such as too-short, not 'too short'"
    )
