import json

import pytest
from pydantic import ValidationError

from rlaif.models.backend import ChatRequest, Choice, Reply, TokenLogprob, reply_key, split_reasoning
from rlaif.models.openai import ChatCompletion
from rlaif.records import Message, Usage

ASK = (Message(role="user", content="Why?"),)


def read(**reply: object) -> Reply:
    return ChatCompletion.model_validate_json(json.dumps(reply)).reply()


def one(**message: object) -> Choice:
    return read(choices=[{"message": message, "finish_reason": "stop"}]).choices[0]


def test_a_body_holds_what_is_set_in_one_order():
    request = ChatRequest(messages=ASK, max_tokens=5, seed=0, top_logprobs=20, logprobs=True)
    assert request.body == (
        '{"logprobs":true,"max_tokens":5,"messages":[{"content":"Why?","role":"user"}],"n":1,"seed":0,'
        '"temperature":0.0,"top_logprobs":20,"top_p":1.0}'
    )


def test_a_switch_that_is_off_is_sent():
    body = json.loads(ChatRequest(messages=ASK, max_tokens=5, chat_template_kwargs={"enable_thinking": False}).body)
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert "stop" not in body
    assert "seed" not in body


def test_a_changed_copy_of_a_request_has_a_body_of_its_own():
    request = ChatRequest(messages=ASK, max_tokens=5)
    first = request.body
    copy = request.model_copy(update={"max_tokens": 6})
    assert '"max_tokens":6' in copy.body
    assert request.body is first  # made once
    assert copy != request
    assert request.model_copy() == request


def test_a_request_has_no_unknown_field():
    with pytest.raises(ValidationError):
        ChatRequest(messages=ASK, max_tokens=5, model="m")  # type: ignore[call-arg]


def test_a_reply_is_kept_under_what_was_asked_of_whom():
    keys = {reply_key("m1", "body"), reply_key("m2", "body"), reply_key("m1", "other"), reply_key("m1b", "ody")}
    assert len(keys) == 4
    assert all(len(key) == 32 for key in keys)


def test_a_reply_keeps_texts_tokens_and_usage_and_ignores_the_rest():
    top = [{"token": "A", "logprob": -0.1, "bytes": [65]}, {"token": "B", "logprob": -2.5}]
    reply = read(
        id="x",
        choices=[
            {
                "index": 0,
                "message": {"role": "assistant", "content": " A ", "refusal": None},
                "finish_reason": "length",
                "logprobs": {"content": [{"token": "A", "top_logprobs": top}, {"token": ".", "top_logprobs": []}]},
            }
        ],
        usage={
            "prompt_tokens": 10,
            "completion_tokens": 2,
            "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 8},
        },
    )
    assert reply == Reply(
        choices=(
            Choice(
                text="A",
                finish_reason="length",
                first_token=(TokenLogprob(token="A", logprob=-0.1), TokenLogprob(token="B", logprob=-2.5)),
            ),
        ),
        usage=Usage(requests=1, prompt_tokens=10, cached_tokens=8, completion_tokens=2),
    )
    assert Reply.model_validate_json(reply.model_dump_json(exclude_defaults=True)) == reply


def test_several_answers_are_put_in_the_order_of_their_index():
    reply = read(choices=[{"index": n, "message": {"content": f"answer {n}"}} for n in (2, 0, 1)])
    assert [choice.text for choice in reply.choices] == ["answer 0", "answer 1", "answer 2"]
    assert reply.choices[0].finish_reason == "unknown"


def test_a_reply_without_details_counts_nothing_as_cached():
    for details in (None, {}, {"cached_tokens": None}):
        usage = read(
            choices=[{"message": {"content": "x"}}], usage={"prompt_tokens": 3, "prompt_tokens_details": details}
        ).usage
        assert usage == Usage(requests=1, prompt_tokens=3)


def test_no_content_is_an_empty_answer():
    assert one(content=None).text == ""


@pytest.mark.parametrize("logprobs", [None, {}, {"content": None}, {"content": []}, {"content": [{}]}])
def test_a_reply_without_log_probabilities_reports_no_first_token(logprobs: object):
    assert read(choices=[{"message": {"content": "x"}, "logprobs": logprobs}]).choices[0].first_token == ()


@pytest.mark.parametrize("reply", [{}, {"choices": []}, {"choices": [{}]}, {"error": "no"}])
def test_what_is_no_chat_completion_is_refused(reply: dict[str, object]):
    with pytest.raises(ValidationError):
        read(**reply)


@pytest.mark.parametrize(
    ("text", "answer", "reasoning"),
    [
        ("Hello", "Hello", None),
        (" Hello\n", "Hello", None),
        ("<think>Hm.</think>Hello", "Hello", "Hm."),
        ("\n<think>\nHm.\n</think>\n\nHello\n", "Hello", "Hm."),
        ("<think></think>Hello", "Hello", ""),
        ("<think>Hm, cut", "", "Hm, cut"),
        ("<think>Hm.</think>", "", "Hm."),
        ("Use <think> tags</think>.", "Use <think> tags</think>.", None),
        ("<think>a</think>b<think>c</think>", "b<think>c</think>", "a"),
        ("", "", None),
    ],
)
def test_a_leading_thought_is_parted_from_the_answer(text: str, answer: str, reasoning: str | None):
    assert split_reasoning(text) == (answer, reasoning)


def test_a_thought_opened_by_the_chat_template_is_no_part_of_the_answer():
    assert split_reasoning("Hm, let me see.\n</think>\n\nHello") == ("Hello", "Hm, let me see.")


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_the_server_parted_is_kept_apart(field: str):
    choice = one(content="Hello", **{field: "Hm."})
    assert (choice.text, choice.reasoning) == ("Hello", "Hm.")


def test_reasoning_inside_the_content_is_kept_apart():
    choice = one(content="<think>Hm.</think>Hello")
    assert (choice.text, choice.reasoning) == ("Hello", "Hm.")
