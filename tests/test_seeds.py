import hashlib

from hypothesis import given
from hypothesis import strategies as st

from rlaif.seeds import canonical_json, content_hash, derive_seed


def test_a_content_hash_is_blake2b_over_length_prefixed_parts():
    raw = b"\0\0\0\0\0\0\0\x02ab" + b"\0\0\0\0\0\0\0\x01c"
    assert content_hash("ab", "c") == hashlib.blake2b(raw, digest_size=6).hexdigest()


def test_where_one_part_ends_and_the_next_begins_changes_the_hash():
    assert content_hash("ab", "c") != content_hash("a", "bc")
    assert content_hash("ab") != content_hash("ab", "")


def test_text_and_its_utf8_bytes_have_one_hash():
    assert content_hash("é") == content_hash("é".encode())


def test_a_hash_has_as_many_digits_as_asked_for_even_an_odd_number():
    for digits in (1, 7, 12, 32):
        made = content_hash("x", digits=digits)
        assert len(made) == digits
        assert set(made) <= set("0123456789abcdef")


def test_half_a_surrogate_pair_can_be_hashed():
    assert content_hash("\ud800") != content_hash("\ud801")


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert canonical_json({"b": [1, 2], "a": "é"}) == '{"a":"é","b":[1,2]}'
    assert canonical_json({"a": "é", "b": [1, 2]}) == canonical_json({"b": [1, 2], "a": "é"})


@given(st.integers(min_value=0, max_value=2**63), st.lists(st.text(max_size=5), max_size=3))
def test_a_seed_fits_what_servers_take(run_seed: int, place: list[str]):
    assert 0 <= derive_seed(run_seed, *place) < 2**31


def test_a_seed_depends_on_the_run_and_on_every_step_of_the_place():
    seeds = {
        derive_seed(0, "p1", "sample", 0),
        derive_seed(1, "p1", "sample", 0),
        derive_seed(0, "p2", "sample", 0),
        derive_seed(0, "p1", "sample", 1),
        derive_seed(0, "p1", "sample"),
        derive_seed(0, "p1sample", 0),
    }
    assert len(seeds) == 6


def test_a_seed_is_the_same_in_every_process():
    expected = int(hashlib.blake2b(b"\0\0\0\0\0\0\0\x010" + b"\0\0\0\0\0\0\0\x01p", digest_size=8).hexdigest(), 16)
    assert derive_seed(0, "p") == expected % 2**31
