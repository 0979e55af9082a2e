import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.models.backend import Choice, Reply, TokenLogprob
from rlaif.models.model import LabelLogprobs, keep_labels, read_labels
from rlaif.records import Usage


def read(**probabilities: float) -> LabelLogprobs:
    return read_labels(("A", "B"), [TokenLogprob(token=t, logprob=math.log(p)) for t, p in probabilities.items()])


def test_the_spellings_of_a_label_are_summed():
    found = read(**{"A": 0.5, " A": 0.2, "B": 0.1, "\nB": 0.05, "x": 0.01})
    assert found.logprobs == pytest.approx((math.log(0.7), math.log(0.15)))
    assert found.label_mass == pytest.approx(0.85)
    assert found.floor == math.log(0.01)


@pytest.mark.parametrize("token", ["a", "Answer", "A.", "AB", "**A**", "А", "", " "])  # one of them is Cyrillic
def test_what_only_resembles_a_label_does_not_count(token: str):
    found = read(**{token: 0.6, "B": 0.3})
    assert found.logprobs == (None, pytest.approx(math.log(0.3)))
    assert found.label_mass == pytest.approx(0.3)


def test_a_label_that_was_not_reported_is_none_and_bounded_by_the_floor():
    found = read(A=0.9, The=0.06, x=0.002)
    assert found.logprobs[1] is None
    assert found.floor == math.log(0.002)


def test_no_token_at_all_says_nothing():
    assert read_labels(("A", "B"), []) == LabelLogprobs(logprobs=(None, None), floor=None, label_mass=0)


def test_a_label_configured_with_a_blank_is_the_same_label():
    top = [TokenLogprob(token="A", logprob=-1.0)]
    assert read_labels((" A", " B"), top) == read_labels(("A", "B"), top)


def test_the_log_probability_servers_send_for_impossible_counts_as_not_reported():
    found = read_labels(("A", "B"), [TokenLogprob(token="A", logprob=-0.0), TokenLogprob(token="B", logprob=-9999.0)])
    assert found.logprobs == (0.0, None)
    assert found.floor == -9999.0


def test_rounding_never_makes_more_than_certainty():
    found = read_labels(("A", "B"), [TokenLogprob(token="A", logprob=1e-6), TokenLogprob(token=" B", logprob=-20)])
    assert found.label_mass == 1.0


@given(st.lists(st.tuples(st.sampled_from(["A", " A", "B", "B ", "a", "C"]), st.floats(-30, -3)), max_size=20))
def test_the_labels_share_the_mass_between_them(tokens: list[tuple[str, float]]):
    found = read_labels(("A", "B"), [TokenLogprob(token=t, logprob=x) for t, x in tokens])
    for label, logprob in zip("AB", found.logprobs, strict=True):
        mass = math.fsum(math.exp(x) for t, x in tokens if t.strip() == label)
        assert (0 if logprob is None else math.exp(logprob)) == pytest.approx(mass)
        assert (logprob is None) == (mass == 0)
    assert found.label_mass == pytest.approx(math.fsum(math.exp(x) for t, x in tokens if t.strip() in "AB"))


@given(st.lists(st.tuples(st.sampled_from(["A", " A", "B", "b", "The", "\n"]), st.floats(-30, -0.01)), min_size=1))
def test_what_is_kept_of_a_reply_reads_as_the_whole(tokens: list[tuple[str, float]]):
    top = tuple(TokenLogprob(token=token, logprob=logprob) for token, logprob in tokens)
    reply = Reply(choices=(Choice(text="A", finish_reason="length", first_token=top),), usage=Usage())
    kept = keep_labels(reply, ("A", "B")).choices[0].first_token
    assert len(kept) <= sum(token.strip() in {"A", "B"} for token, _ in tokens) + 1
    whole, part = read_labels(("A", "B"), top), read_labels(("A", "B"), kept)
    assert part.floor == whole.floor
    assert part.label_mass == pytest.approx(whole.label_mass)
    assert part.logprobs == pytest.approx(whole.logprobs)
