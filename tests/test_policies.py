"""Several policies: each is asked in its own way, judged blindly, and a pair says which of them wrote what."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from rlaif.config.run import RunConfig
from rlaif.config.sampling import PolicyConfig, SamplingConfig, samplings_of
from rlaif.errors import ConfigError
from rlaif.records import Message
from rlaif.runs.reader import Run
from rlaif.steps.sample import with_system
from rlaif.testing import SimulatedModel, SimulatedServer
from rlaif.testing.simulated_model import Habit
from rlaif.train.examples import read_pairs
from tests.command import Rlaif, commands, serving

RULES = """name: two
version: 1
description: Two rules.
principles:
  - {id: better, why: It helps., compare: "Which response is better?", compare_only: true}
  - {id: short, why: Be brief., revise: Write at most 60 words., critique: Name padding., check: {words: 60}}
"""
PLAIN = SimulatedModel(name="plain")
STRONG = SimulatedModel(name="strong", seed=5, quality_mean=1.5)


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, SimulatedServer]]:
    with serving(SimulatedServer(PLAIN)) as plain, serving(SimulatedServer(STRONG)) as strong:
        yield {"plain": plain, "strong": strong}


@pytest.fixture
def rlaif(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Rlaif:
    monkeypatch.chdir(tmp_path)
    return commands(monkeypatch, capsys)


def run_file(servers: dict[str, SimulatedServer], **others: Any) -> str:
    Path("rules.yaml").write_text(RULES, encoding="utf-8")
    prompts = [{"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Q 0?"}]}]
    prompts += [{"prompt": f"Q {n}?"} for n in range(1, 60)]
    Path("p.jsonl").write_text("".join(json.dumps(one) + "\n" for one in prompts), encoding="utf-8")
    config = {
        "constitution": "rules.yaml",
        "prompts": "p.jsonl",
        "policies": [
            {"name": "strong", "model": servers["strong"].url, "n": 3, "system": "constitution"},
            {"name": "plain", "model": servers["plain"].url, "sampling": {"temperature": 0.5}},
        ],
        "critic": servers["plain"].url,
        "sampling": {"n": 2, "max_tokens": 100},
        "revision": {"rounds": 0},
        "pairs": {"select": "policy-vs-policy"},
        "out": "out",
    }
    Path("run.yaml").write_text(yaml.safe_dump(config | others), encoding="utf-8")
    return "run.yaml"


def test_the_stronger_policy_is_chosen_where_the_judges_agree(
    rlaif: Rlaif, servers: dict[str, SimulatedServer]
) -> None:
    said = rlaif("generate", run_file(servers))
    assert said.code == 0, said.err
    strong, plain = (servers[name].latest["sample"] for name in ("strong", "plain"))
    assert (strong["n"], strong["temperature"], plain["n"], plain["temperature"]) == (3, 1.0, 2, 0.5)
    run = Run("out")
    samples = Counter(response.policy for trace in run.traces() for response in trace.responses)
    assert samples == {"strong": 180, "plain": 120}
    pairs = run.pairs
    assert set(pairs.chosen_policy) == {"strong"}
    assert set(pairs.rejected_policy) == {"plain"}
    summary = json.loads(Path("out/summary.json").read_text())
    refused = summary["policies_not_paired"]
    assert refused["the other policy's response is better"] > 0
    assert len(pairs) + sum(refused.values()) == 60 * 2  # of each prompt two pairs, without a response twice
    assert f"120 pairs drawn of two policies = {len(pairs)} in the dataset" in said.out
    (wins,) = summary["policies"]
    assert (wins["policy"], wins["other"], wins["matchups"]) == ("strong", "plain", 60 * 6)
    # Quality differs by 1.5 with an SD of sqrt(2): better in 86 % of all matchups, in more of those with a label.
    assert wins["by_principle"]["better"]["low"] < 0.856 < wins["by_principle"]["better"]["high"]
    assert wins["by_principle"]["short"]["low"] < 0.5 < wins["by_principle"]["short"]["high"]
    assert "policy strong wins" in said.out
    card = Path("out/dataset/README.md").read_text()
    assert "strong: 3 responses per prompt" in card
    assert "- policy strong wins" in card and "- 120 pairs drawn of two policies" in card
    # It goes on under the same settings, and not under others.
    assert rlaif("generate", "out").code == 0
    assert rlaif("generate", "out", "--set", "policies.1.system=Be brief.").complains(2, "policies", "system")


def test_neither_the_dataset_nor_a_judge_sees_a_system_prompt(
    rlaif: Rlaif, servers: dict[str, SimulatedServer]
) -> None:
    assert rlaif("generate", run_file(servers, open_prompts=1, prompts={"path": "p.jsonl", "limit": 1})).code == 0
    system = servers["strong"].latest["sample"]["messages"][0]["content"]
    assert system.startswith("You are an assistant that keeps to the rules below")
    assert "Which response is better?" in system and "The reason: It helps." in system
    assert "Write at most 60 words." in system
    assert system.endswith("Be kind.")  # the prompt's own is kept
    judged = json.dumps(servers["plain"].latest["judge"]["messages"])
    assert "keeps to the rules" not in judged and "strong" not in judged
    row = pd.read_parquet(next(Path("out/dataset/preference").glob("*.parquet"))).iloc[0]
    assert [turn["content"] for turn in row.prompt] == ["Be kind.", "Q 0?"]


def test_one_policy_writes_what_it_wrote_before_there_were_several(
    rlaif: Rlaif, servers: dict[str, SimulatedServer]
) -> None:
    alone = {"policies": None, "policy": servers["plain"].url, "pairs": {}, "out": "alone"}
    file = run_file(servers, **alone)
    Path(file).write_text(Path(file).read_text().replace("policies: null\n", ""))
    assert rlaif("generate", file).code == 0
    run = Path("alone/run.yaml").read_text() + Path("alone/models.json").read_text()
    assert "policies" not in run and "chosen_policy" not in run
    assert "chosen_policy" not in Run("alone").pairs.columns
    trace = next(Run("alone").traces())
    assert "policy" not in trace.responses[0].model_dump()
    assert json.loads(Path("alone/manifest.json").read_text())["questions"].keys() >= {"sampling", "policy"}


def test_pairs_of_two_policies_are_templated_as_the_one_to_be_trained(
    rlaif: Rlaif, servers: dict[str, SimulatedServer]
) -> None:
    def policy(name: str, **template: bool) -> dict[str, Any]:
        return {"name": name, "model": {"url": servers[name].url, "chat_template_kwargs": template}}

    policies = [policy("strong", enable_thinking=True), policy("plain", enable_thinking=False)]
    prompts = {"path": "p.jsonl", "limit": 20}
    assert rlaif("generate", run_file(servers, policies=policies, prompts=prompts)).code == 0
    assert read_pairs("out").template == {"enable_thinking": False}
    assert rlaif("generate", "out", "--set", "pairs.chosen_policy=plain").complains(2, "chosen_policy None → plain")


def test_shares_are_of_the_whole_number() -> None:
    policies = [PolicyConfig.model_validate({"model": name, "share": share}) for name, share in (("a", 2), ("b", 1))]
    given = samplings_of([*policies, PolicyConfig.model_validate({"model": "c", "n": 1})], SamplingConfig(n=5))
    assert [(one.name, one.sampling.n) for one in given] == [("a", 3), ("b", 2), ("c", 1)]


@pytest.mark.parametrize(
    ("policies", "pairs", "says"),
    [
        ([{"model": "a"}, {"model": "a"}], {}, "two policies are named 'a'"),
        ([{"model": "a"}, {"model": "a", "name": "b", "n": 2}], {}, "policies a and b have the same model, system"),
        ([{"model": "a", "n": 1, "share": 1}], {}, "give `n` or `share`, not both"),
        ([{"model": "a", "sampling": {"n": 3}}], {}, "give the number of responses as `n` of the policy"),
        ([{"model": "a", "share": 9}, {"model": "b", "share": 0.1}], {}, "policy b would write no response"),
        ([{"model": "a", "sampling": {"temperature": 0}}], {}, "policy a: temperature 0 gives the same response"),
        (["a"], {"select": "policy-vs-policy"}, "needs two `policies`"),
        (["a", "b"], {"select": "policy-vs-policy", "chosen_policy": "x"}, "'x' is not one of the policies: a, b"),
    ],
)
def test_a_bad_list_of_policies_is_one_line(policies: list[Any], pairs: dict[str, str], says: str) -> None:
    from rlaif.constitution.load import load_constitution

    data = {"constitution": "honesty", "prompts": "seed", "policies": policies, "pairs": pairs, "out": "x"}
    with pytest.raises(ConfigError) as caught:
        RunConfig.check(data).check_usable(load_constitution("honesty"))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_policy_may_be_greedy() -> None:
    policy = PolicyConfig.model_validate({"model": "a", "n": 1, "sampling": {"temperature": 0}})
    (given,) = samplings_of([PolicyConfig.model_validate(policy.model_dump(mode="json"))], SamplingConfig(top_p=0.9))
    assert (given.sampling.n, given.sampling.temperature, given.sampling.top_p) == (1, 0, 0.9)


def test_a_developers_turn_is_kept_behind_the_system_prompt() -> None:
    turns = (Message(role="developer", content="Own."), Message(role="user", content="Q?"))
    assert [(m.role, m.content) for m in with_system(turns, "Rules.")] == [
        ("developer", "Rules.\n\nOwn."),
        ("user", "Q?"),
    ]


def test_a_text_of_two_policies_counts_for_both(rlaif: Rlaif, servers: dict[str, SimulatedServer]) -> None:
    # A good answer that both often give: were it the first policy's alone, that policy would seem the better one.
    habit = Habit(says="Ask a doctor. (quality +4.00)", share=0.5, alone=True)
    with serving(SimulatedServer(SimulatedModel(name="other", seed=7, habits=(habit,)))) as other:
        policies = [{"name": "hot", "model": other.url}, {"name": "cool", "model": other.url, "system": "Be brief."}]
        wins = {}
        for names in ((0, 1), (1, 0)):
            out = f"out{names[0]}"
            asked = {"policies": [policies[place] for place in names], "sampling": {"n": 3, "max_tokens": 100}}
            assert rlaif("generate", run_file(servers, **asked, out=out)).code == 0
            (wins[names],) = json.loads(Path(out, "summary.json").read_text())["policies"]
    one, turned = wins.values()
    assert (one["policy"], turned["policy"]) == ("hot", "cool")
    assert one["matchups"] == turned["matchups"] > 60 * 9 / 2
    assert one["wins"]["value"] + turned["wins"]["value"] == pytest.approx(1)
    shares = [found["by_principle"]["better"]["value"] for found in (one, turned)]
    assert sum(shares) == pytest.approx(1)
