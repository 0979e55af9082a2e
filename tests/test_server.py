"""The same things on a real vLLM server with a real model: slow, and the only proof that counts."""

import asyncio
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

import rlaif
from rlaif.api import generate, label
from rlaif.compare.comparing import compare
from rlaif.compare.config import compare_config
from rlaif.config.run import RunConfig
from rlaif.errors import RlaifError
from rlaif.models.backend import ChatRequest, user
from rlaif.models.client import ModelClient
from rlaif.models.config import ModelConfig
from rlaif.models.model import LabelLogprobs, Meter, Model
from rlaif.models.model_files import model_source
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import open_models
from rlaif.records import Message
from rlaif.runs.reader import Run
from rlaif.runs.summary import summarise
from rlaif.tasks import run_in_loop

pytestmark = pytest.mark.server
KEY = "a-key-for-tests"
LEAST_TOKENS_PER_S = 8.0
"""Below this the tests here would take more than half an hour; a machine with two busy AVX2 cores writes ten times as
many."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Serve smollm2 with `rlaif serve`, for all tests here; afterwards nothing of it may be left."""
    os.environ["RLAIF_API_KEY"] = KEY
    process = subprocess.Popen(
        [sys.executable, "-m", "rlaif", "serve", "smollm2", "--eager"], stdout=subprocess.PIPE, text=True
    )
    line = process.stdout.readline()
    assert line.startswith("url"), line
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 3
    refuse_a_machine_that_is_too_slow(line.split()[1])
    yield line.split()[1]
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    _, alive = psutil.wait_procs(family, timeout=30)
    process.stdout.close()
    assert alive == []


def refuse_a_machine_that_is_too_slow(url: str) -> None:
    """End the whole run, loudly, in place of waiting for CI to lose patience."""

    async def written() -> float:
        async with ModelClient(ModelConfig(url=url, timeout_s=120, retries=0)) as client:
            await client.connect()
            chats = [
                ChatRequest(messages=(Message(role="user", content=f"Tell story {n}."),), max_tokens=16, seed=n)
                for n in range(8)
            ]
            began = time.monotonic()
            replies = await asyncio.gather(*(client.post(chat) for chat in chats))
            return sum(reply.usage.completion_tokens for reply in replies) / (time.monotonic() - began)

    try:
        rate = run_in_loop(written)
    except RlaifError as error:
        pytest.exit(f"the real server answers nothing within two minutes ({error}); see `rlaif doctor`", returncode=1)
    if rate < LEAST_TOKENS_PER_S:
        pytest.exit(
            f"the real server writes {rate:.1f} tokens/s here; its tests need {LEAST_TOKENS_PER_S:g}. `rlaif doctor` "
            'says what this machine computes fastest; leave them out with: pytest -m "not server"',
            returncode=1,
        )


def config(url: str, tmp_path: Path, **sections: object) -> RunConfig:
    return RunConfig.check(
        {
            "constitution": "honesty",
            "prompts": {"path": "seed", "limit": 3},
            "policy": {"url": url},
            "sampling": {"n": 2, "temperature": 0.7, "max_tokens": 32},
            "revision": {"critique_max_tokens": 24, "max_tokens": 32},
            "judging": {"principles": 4, "min_margin": 0, "min_label_mass": 0, "allow_order_noise": True},
            "pairs": {"test_fraction": 0},
            "out": str(tmp_path / "runs" / "one"),
        }
        | sections
    )


def test_labelling_asks_a_real_server_for_verdicts_only_and_compares_them_with_the_file(
    url: str, tmp_path: Path
) -> None:
    file = tmp_path / "pairs.jsonl"
    rows = [json.loads(line) for line in Path("examples/pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    rows.append({"prompt": "Which is it?", "chosen": "This.", "rejected": "This."})
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    judging = {"principles": 2, "min_margin": 0, "min_label_mass": 0, "allow_order_noise": True}
    run = label(file, constitution="honesty", critic={"url": url}, out=tmp_path / "runs" / "one", judging=judging)
    found = summarise(run)
    assert found.given is not None
    assert found.given.file.refused == {"fewer than two different responses": 1}
    assert found.given.file.rows == found.traces + 1 == 5
    agreement = found.given.agreement
    assert agreement is not None
    assert agreement.labels == 4 == agreement.agrees + agreement.flips + sum(agreement.abstained.values())
    assert agreement.agrees + agreement.flips >= 2
    for trace in run.traces():
        assert {response.origin for response in trace.responses} == {"given"}
        (matchup,) = trace.matchups
        assert len(matchup.verdicts) == trace.usage.requests == 4
    labels = [row.given_label for row in run.preference_rows()]
    assert set(labels) <= {"chosen", "rejected"}
    assert len(labels) == agreement.agrees + agreement.flips


def test_a_seeded_request_is_answered_the_same_way_twice_and_n_answers_differ(url: str) -> None:
    async def ask() -> list[list[str]]:
        async with ModelClient(ModelConfig(url=url)) as client:
            await client.connect()
            request = ChatRequest(
                messages=(Message(role="user", content="Name three fruits."),),
                max_tokens=24,
                n=3,
                temperature=1.0,
                seed=7,
            )
            return [[c.text for c in (await client.post(request)).choices] for _ in range(2)]

    first, second = run_in_loop(ask)
    assert first == second
    assert len(set(first)) == 3


QUESTIONS = {
    "Which letter comes first in the alphabet? Reply with A or B only.": ("A", "B"),
    "Is the sea salty? Reply with Yes or No only.": ("Yes", "No"),
    "Write a long poem about a river.": ("A", "B"),
}


def test_the_probabilities_of_labels_are_exact_and_those_of_the_likely_tokens(url: str, tmp_path: Path) -> None:
    async def ask(question: str, labels: tuple[str, ...], *, exact: bool) -> LabelLogprobs:
        with ReplyStore(tmp_path / f"{exact}.sqlite") as store:
            async with ModelClient(ModelConfig(url=url)) as client:
                await client.connect()
                client.reports_labels = None if exact else False
                request = ChatRequest(messages=(Message(role="user", content=question),), max_tokens=1)
                read, _ = await Model(client, store, Meter()).choose(request, labels)
                assert client.reports_labels is exact
                return read

    compared = 0
    for question, labels in QUESTIONS.items():
        exact, likely = (run_in_loop(partial(ask, question, labels, exact=exact)) for exact in (True, False))
        assert None not in exact.logprobs
        assert 0 < exact.label_mass <= 1
        for one, other in zip(exact.logprobs, likely.logprobs, strict=True):
            if other is None:  # too rare to be among the likely ones: below the least likely one
                assert likely.floor is not None
                assert one <= likely.floor + 1e-3
            else:
                compared += 1
                assert math.exp(one) == pytest.approx(math.exp(other), abs=1e-3)
    assert compared >= 2


@pytest.fixture(scope="module")
def run(url: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return generate(config(url, tmp_path_factory.mktemp("server")))


def test_prompts_become_a_dataset_and_verdicts_share_their_prefix(run: Run) -> None:
    summary = summarise(run)
    assert summary.traces == 3
    assert summary.matchups == sum(len(t.matchups) for t in run.traces())
    verdicts = [v for t in run.traces() for m in t.matchups for v in m.verdicts]
    assert len(verdicts) == summary.matchups * 4 * 2
    assert all(v.label_mass > 0 for v in verdicts)
    session = json.loads((run.path / "summary.json").read_text())["session"]
    assert session["cached_tokens"] > 0.4 * session["prompt_tokens"]


def test_another_constitution_sends_no_sampling_request(run: Run, url: str) -> None:
    other = config(url, run.path.parent.parent, constitution="directness", out=str(run.path.parent / "two"))
    second = generate(other)
    session = json.loads((second.path / "summary.json").read_text())["session"]
    assert session["from_store"] == 3
    for one, two in zip(run.traces(), second.traces(), strict=True):
        assert [r.text for r in one.responses[:2]] == [r.text for r in two.responses[:2]]


def test_edits_of_responses_show_what_they_are_worth_to_the_critic(run: Run) -> None:
    command = [sys.executable, "-m", "rlaif", "evaluate", "shortcuts", str(run.path), "--prompts", "3"]
    command += ["--edits", "padding,answer"]

    def said(*flags: str) -> dict[str, Any]:
        done = subprocess.run([*command, *flags, "--json"], stdout=subprocess.PIPE, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    plan = said("--dry-run")
    assert plan["unedited_missing"] == 0
    assert plan["requests"] == 6 * 4 * 2  # edited matchups, principles, orders
    found = said()
    assert (found["prompts"], found["failed"]) == (3, 0)
    padding, answer = found["effects"]
    assert padding["effect"]["n"] + answer["effect"]["n"] + found["unreadable"] == 6  # B may be too rare to be reported
    assert all(effect["moved"] <= effect["effect"]["prompts"] for effect in (padding, answer))
    assert said()["effects"] == found["effects"]
    assert json.loads((run.path / "shortcuts.json").read_text())["effects"] == found["effects"]


def test_three_rule_sets_are_compared_over_one_sampling(run: Run, url: str) -> None:
    settings = config(url, run.path.parent.parent, sampling={"n": 1, "temperature": 0.7, "max_tokens": 32})
    settings = settings.model_copy(
        update={"judging": settings.judging.model_copy(update={"principles": 1}), "cache": None}
    )
    done = compare(
        compare_config(
            ["harmlessness", "directness", "minimal"], settings, str(run.path.parent / "compared"), floor_prompts=1
        )
    )
    found = done.comparison
    assert (found.prompts, found.judged_twice) == (3, 1)
    spent = json.loads((done.path / "spent.json").read_text())
    # The first of two samples of `run` is the only one here; the second rule set has it from the first, or from there.
    assert [spent[name]["from_store"] >= 3 for name in ("harmlessness", "directness", "minimal")] == [True, True, True]
    assert all(rules.label_mass.value > 0 for rules in found.rule_sets)
    assert 0 <= found.pairs[0].flips.value <= 1
    assert found.matchups == sum(found.matchups_by_kind.values()) > 0


def test_trl_takes_the_exported_dataset_as_it_is(run: Run) -> None:
    import datasets
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    from rlaif.models.model_files import smollm2_folder

    data = datasets.load_dataset(str(run.path / "dataset"), "preference", split="train")
    assert len(data) == len(run.pairs) > 0
    folder = smollm2_folder()
    settings = DPOConfig(
        output_dir=str(run.path / "dpo"), use_cpu=True, bf16=False, max_steps=1, per_device_train_batch_size=1,
        report_to="none", disable_tqdm=True, save_strategy="no", max_length=1024,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    trainer = DPOTrainer(model=model, args=settings, train_dataset=data, processing_class=tokenizer)
    row = trainer.train_dataset[0]
    assert tokenizer.decode(row["chosen_ids"]).strip().startswith(data[0]["chosen"][0]["content"][:20].strip())
    assert trainer.train().training_loss > 0


def test_cases_are_asked_of_a_real_critic_in_both_orders_and_never_twice(url: str, tmp_path: Path) -> None:
    constitution = tmp_path / "two.yaml"
    constitution.write_text(
        """\
name: two
version: 1
description: Two rules with cases.
principles:
  - id: polite
    compare: Which answer is more polite?
    compare_only: true
    cases:
      - {prompt: What time is it, better: "It is noon, I think.", worse: "Buy a watch, fool."}
      - {prompt: Where is the door, better: "Behind you, on the left.", worse: "Open your eyes."}
  - id: short
    compare: Which answer is shorter?
    compare_only: true
    cases: [{prompt: What is two and two, better: Four., worse: "Two and two, when you add them up, are four."}]
""",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "rlaif", "constitution", "test", str(constitution), "--critic", url, "--json"]
    said = [
        subprocess.run(
            [*command, "--cache", str(tmp_path / "replies.sqlite")], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert said[0] == said[1]  # a server never answers exactly alike twice; the reply store does
    report = json.loads(said[0])
    assert [(r["principle"], r["number"]) for r in report["results"]] == [("polite", 1), ("polite", 2), ("short", 1)]
    assert sum(report["overall"]["outcomes"].values()) == report["overall"]["cases"] == 3
    for result in report["results"]:
        assert {verdict["order"] for verdict in result["verdicts"]} == {"ab", "ba"}
        assert 0 < result["label_mass"] <= 1
        assert result["p_better"] is None or 0 < result["p_better"] < 1
        assert result["outcome"] != "failed"


def test_a_critic_is_measured_against_gold_labels(url: str, tmp_path: Path) -> None:
    rows = [
        {"id": n, "subset": "s", "prompt": f"What is {n} + {n}?", "chosen": f"It is {2 * n}.", "rejected": "No idea."}
        for n in range(4)
    ]
    gold = tmp_path / "gold.jsonl"
    gold.write_text("\n".join(json.dumps(row) for row in rows))
    command = [sys.executable, "-m", "rlaif", "evaluate", "judge", "--critic", url, "--constitution", "minimal"]
    command += ["--gold", str(gold), "--cache", str(tmp_path / "r.sqlite"), "--out", str(tmp_path / "ev"), "--json"]
    said = [json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(2)]
    (first,), (again,) = (found["critics"] for found in said)
    assert (first["cost"]["verdicts"], first["cost"]["from_store"], again["cost"]["from_store"]) == (8, 0, 8)
    assert first["overall"] == again["overall"]
    assert sum(first["overall"]["outcomes"].values()) == 4
    assert 0 < first["overall"]["label_mass"]["value"] <= 1
    assert first["fitness"]["verdict"] == "not fit"  # four labels show nothing, whatever they are
    assert json.loads((tmp_path / "ev" / "evaluation.json").read_text()) == said[1]


def test_a_reward_asks_in_both_wordings(url: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "name: short\nversion: 1\ndescription: d\nprinciples:\n"
        "  - {id: kind, compare: 'Which is kinder?', satisfies: that it is kind, compare_only: true}\n"
        "  - {id: few, check: {words: {max: 5}}}\n"
    )
    reward = rlaif.reward(rules, url, cache=tmp_path / "r.sqlite")
    (given,) = reward._run(lambda: reward.rewards.judge_all(["How are you?"], ["Fine, and glad you ask."]))
    reward.close()
    assert given.by_rule["few"] == 1
    p = given.by_rule["kind"]
    # A model this small may not answer with Yes or No: then there is no reward, and it says why.
    assert (given.error, given.reward) == (
        (None, pytest.approx((1 + p) / 2)) if p is not None else ("the critic did not answer about kind", None)
    )


async def test_the_servers_own_control_tokens_become_ordinary_text(url: str, tmp_path: Path) -> None:
    """SmolLM2's tokenizer has `<reponame>` as one token, which no family's list names."""
    async with ModelClient(ModelConfig(url=url)) as client:
        await client.connect()
        found = await client.control_tokens({"<reponame>", "<gh_stars>", "<div>", "[TODO]"})
        assert found == {"<reponame>", "<gh_stars>"}
        with ReplyStore(tmp_path / "r.sqlite") as store:
            sizes = []
            for text in ("Hi.", "Hi. <reponame>", "Hi. <|im_end|>"):
                reply = await Model(client, store, Meter()).chat(ChatRequest(messages=(user(text),), max_tokens=1))
                sizes.append(reply.reply.usage.prompt_tokens)
    assert min(sizes[1:]) - sizes[0] > 2  # several tokens of text, not one of control


def test_a_rubric_is_asked_of_each_response_in_both_wordings(url: str, tmp_path: Path) -> None:
    file = tmp_path / "responses.jsonl"
    row = {"prompt": "How are you?", "responses": ["Fine, and glad you ask.", "Go away."], "rubric": ["is kind"]}
    file.write_text(json.dumps(row), encoding="utf-8")
    judging = {"principles": 1, "min_margin": 0, "min_label_mass": 0, "allow_order_noise": True}
    run = label(file, constitution="honesty", critic={"url": url}, out=tmp_path / "runs" / "one", judging=judging)
    (trace,) = run.traces()
    (scored,) = trace.matchups[0].scores
    assert scored.principle == "rubric:1"
    assert all(one is not None and 0 < one.value < 1 for one in (scored.a, scored.b))
    assert trace.usage.requests == 2 * 2 + 2  # two responses in both wordings, one principle in both orders


def test_a_policy_against_itself_shows_nothing_and_its_texts_are_scored(url: str, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text("\n".join(json.dumps({"prompt": f"What is {n} + {n}?"}) for n in range(5)))
    command = [sys.executable, "-m", "rlaif", "evaluate", "policy", "--base", url, "--tuned", url, "--constitution"]
    command += ["minimal", "--prompts", str(tmp_path / "p.jsonl"), "--samples", "2", "--max-tokens", "24"]
    command += ["--limit", "5"]
    command += ["--cache", str(tmp_path / "r.sqlite"), "--out", str(tmp_path / "ev"), "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    lines = {line["name"]: line for line in found["lines"]}
    assert {line["finding"] for line in lines.values()} == {"nothing shown", "not measured"}
    assert found["failed"] == {"base": 0, "tuned": 0}
    assert 5 < lines["perplexity"]["base"]["value"] < 100  # plain English, a small model
    assert (lines["divergence"]["difference"]["value"], lines["divergence"]["difference"]["n"] > 20) == (0, True)
    assert 0 < lines["letter-mass"]["base"]["value"] <= 1
    assert lines["accuracy"]["base"]["n"] == 5
    assert (tmp_path / "ev" / "report.html").is_file()


def test_the_doctor_starts_a_server_and_asks_it_something() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rlaif", "doctor", "--start", "--json"], capture_output=True, text=True, check=False
    )
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert done.returncode == 0, done.stderr
    assert findings["a server starts"]["ok"]
    assert re.match(r"responds '.+', and writes [\d,]+ tokens/s", findings["a server starts"]["found"])
    assert re.search(r"GiB in \w+, fits; about [\d,]+ tokens/s", findings["smollm2"]["found"])


def test_a_server_that_cannot_start_shows_why(tmp_path: Path) -> None:
    broken = tmp_path / "broken-model"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-m", "rlaif", "serve", str(broken)], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 1
    assert "ended (exit code" in done.stderr
    assert "runs/logs/serve-" in done.stderr


def test_a_killed_run_leaves_no_server_behind(tmp_path: Path) -> None:
    run_file = tmp_path / "run.yaml"
    run_file.write_text(
        "constitution: honesty\nprompts: {path: seed, limit: 2}\npolicy: {model: smollm2, eager: true}\nout: run\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "rlaif", "generate", str(run_file)], cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    family: list[psutil.Process] = []
    deadline = time.monotonic() + 60
    while len(family) < 2 and time.monotonic() < deadline:
        time.sleep(0.5)
        family = psutil.Process(process.pid).children(recursive=True)
    time.sleep(8)  # far enough that the engine's own processes exist
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 2
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=40)
    assert alive == []


JUDGES = [
    {"kind": "pairwise-logprob", "cases": 1, "preamble": "You compare answers.", "answer_start": "Answer:"},
    {"kind": "pairwise-reasoned", "max_tokens": 24, "read": "logprob"},
    {"kind": "rating", "aspects": "overall"},
    {"kind": "listwise", "max_tokens": 16},
]


def test_every_kind_of_judge_that_needs_no_reward_model_is_understood_by_the_server(url: str, tmp_path: Path) -> None:
    judging = {"judges": JUDGES, "principles": 1, "min_margin": 0, "min_label_mass": 0, "allow_order_noise": True}
    run = generate(config(url, tmp_path, prompts={"path": "seed", "limit": 2}, judging=judging))
    matchups = [matchup for trace in run.traces() for matchup in trace.matchups]
    assert matchups
    for matchup in matchups:
        by_judge = {verdict.judge: verdict for verdict in matchup.verdicts}
        assert by_judge["pairwise-logprob"].label_mass > 0.02
        assert by_judge["pairwise-reasoned"].reasoning
        assert by_judge["pairwise-reasoned"].label_mass > 0
        (rated,) = matchup.scores
        for score in filter(None, (rated.a, rated.b)):
            assert 1 <= score.value <= 10
            assert sum(score.probabilities) == pytest.approx(1)
    rankings = [ranking for trace in run.traces() for ranking in trace.rankings]
    assert all(sorted(r.ranked or r.shown) == sorted(r.shown) for r in rankings)
    assert summarise(run).panel is not None


def reward_model(folder: Path) -> tuple[Any, Any]:
    """Make a small reward model with weights drawn by a seed, and smollm2's tokenizer."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_source("smollm2"))
    shape = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=2048, num_labels=1, pad_token_id=tokenizer.pad_token_id or 0,
    )  # fmt: skip
    model = transformers.LlamaForSequenceClassification(shape).eval()
    torch.nn.init.normal_(model.score.weight, std=0.5)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model, tokenizer


def test_a_reward_models_raw_score_is_what_the_model_says_itself(tmp_path: Path) -> None:
    model, tokenizer = reward_model(tmp_path / "reward")
    conversation = (Message(role="user", content="Name a fruit."), Message(role="assistant", content="A plum, say."))

    async def ask() -> float | None:
        served = ModelConfig(model=str(tmp_path / "reward"), eager=True, vllm_args=("--dtype", "float32"))
        with ReplyStore(tmp_path / "replies.sqlite") as store:
            opened = open_models(served, served, store=store, meter=Meter(), logs=tmp_path, say=lambda _: None)
            async with opened as (reward, _):
                return (await reward.reward(conversation)).reply.choices[0].score

    turns = [message.model_dump() for message in conversation]
    ids = tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=True)
    assert run_in_loop(ask) == pytest.approx(float(model(**ids).logits[0, 0].detach()), abs=1e-3)
