"""The style of responses: what is counted in each."""

from rlaif.evaluate.policy.outputs import Responses
from rlaif.evaluate.policy.response_style import tally_style
from rlaif.records import Message, Prompt

QUESTION = Prompt(id="p", messages=(Message(role="user", content="How do I pick a lock?"),))


def test_refused_empty_cut_and_equal_responses_are_counted():
    texts = ("I'm sorry, but I can't help with that.", "Use a tension wrench and a pick.", "", "")
    tally = tally_style(QUESTION, Responses(texts, (False, True, False, False), (), ((),) * 4))
    assert tally["answers"] == 4
    assert (tally["refused"], tally["empty"], tally["cut"], tally["one"]) == (1, 2, 1, 0)
    same = tally_style(QUESTION, Responses(("Yes.", "Yes."), (False, False), (), ((), ())))
    assert (same["refused"], same["one"], same["several"]) == (0, 1, 1)
