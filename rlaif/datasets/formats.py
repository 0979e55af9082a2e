"""Rows for trainers elsewhere, each in the shape that its consumer documents. Pure: rows in, rows out.

Every row keeps `prompt_id`, by which it is found again in the run; consumers leave unknown columns alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rlaif.records import Message
from rlaif.runs.rows import Concluded, PreferenceRow
from rlaif.stats.log_odds import log_odds

Turns = list[dict[str, str]]


def kto_rows(rows: Iterable[PreferenceRow]) -> Iterator[Mapping[str, Any]]:
    """Yield two rows for each pair: the chosen answer as desired, the rejected one as not.

    TRL's unpaired preference type (huggingface.co/docs/trl/dataset_formats, huggingface.co/docs/trl/kto_trainer).
    """
    for row in rows:
        for turns, desired in ((row.chosen, True), (row.rejected, False)):
            yield {
                "prompt": _turns(row.prompt),
                "completion": _turns(turns),
                "label": desired,
                "prompt_id": row.prompt_id,
            }


def reward_row(row: PreferenceRow) -> Mapping[str, Any]:
    """Return whole conversations and a margin in units of the score, the log-odds of p_chosen.

    TRL's preference type with implicit prompt (huggingface.co/docs/trl/dataset_formats), and the `margin` column that
    its RewardTrainer takes off the difference of scores (huggingface.co/docs/trl/reward_trainer).
    """
    prompt = _turns(row.prompt)
    return {
        "chosen": [*prompt, *_turns(row.chosen)],
        "rejected": [*prompt, *_turns(row.rejected)],
        "margin": log_odds(row.p_chosen),
        "prompt_id": row.prompt_id,
    }


def openrlhf_row(row: PreferenceRow) -> Mapping[str, Any]:
    """Return the prompt and both answers as messages, and a margin for the reward model's loss.

    For `--prompt_key prompt --chosen_key chosen --rejected_key rejected --apply_chat_template`, as OpenRLHF's README
    names them for DPO and reward models; its openrlhf/datasets/reward_dataset.py joins prompt and answer and reads
    `margin`.
    """
    return {
        "prompt": _turns(row.prompt),
        "chosen": _turns(row.chosen),
        "rejected": _turns(row.rejected),
        "margin": log_odds(row.p_chosen),
        "prompt_id": row.prompt_id,
    }


def nemo_rl_row(row: PreferenceRow) -> Mapping[str, Any]:
    """Return the conversation and its two completions by rank, 0 the better one.

    NeMo RL's PreferenceDataset, for DPO and reward models (docs.nvidia.com/nemo/rl/latest/guides/dpo.html).
    """
    ranked = ((0, row.chosen), (1, row.rejected))
    return {
        "context": _turns(row.prompt),
        "completions": [{"rank": rank, "completion": _turns(turns)} for rank, turns in ranked],
        "prompt_id": row.prompt_id,
    }


def ranking_rows(concluded: Concluded) -> Iterator[Mapping[str, Any]]:
    """Yield one row for each prompt with two ranked answers or more, best first; equal scores share a rank.

    Nectar's layout, for reward models that learn from whole rankings (huggingface.co/datasets/berkeley-nest/Nectar):
    the conversation as one text, rank 1 the best.
    """
    for trace, conclusion in concluded:
        scores = conclusion.scores
        ranked = sorted(scores, key=lambda name: (-scores[name], name))
        if len(ranked) < 2:
            continue
        answers = [
            {
                "answer": trace.response(name).text,
                "model": trace.response(name).model,
                "rank": 1.0 + sum(scores[other] > scores[name] for other in ranked),
            }
            for name in ranked
        ]
        yield {
            "prompt": _as_text(trace.prompt.messages),
            "answers": answers,
            "turns": sum(turn.role == "user" for turn in trace.prompt.messages),
            "num_responses": len(answers),
            "source": ["rlaif"],
            "prompt_id": trace.prompt.id,
        }


def _as_text(turns: Iterable[Message]) -> str:
    names = {"user": "Human", "assistant": "Assistant", "system": "System"}
    return "".join(f"\n\n{names[turn.role]}: {turn.content}" for turn in turns) + "\n\nAssistant: "


def _turns(turns: Iterable[Message]) -> Turns:
    return [{"role": turn.role, "content": turn.content} for turn in turns]
