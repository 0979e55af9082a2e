"""The loss with soft labels: TRL's own where labels are sure, the formula elsewhere, and a refusal of a TRL unknown."""

import math
from pathlib import Path
from typing import Any

import pytest

from rlaif.errors import UsageError
from rlaif.train import trl_options
from tests.train.tiny import tiny_model

# PreTrainedTokenizerFast, not AutoTokenizer, which takes Qwen's own byte-level class for any folder of a Qwen model.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ROWS = [
    ("what is this ?", "short answer .", "very very long answer and so on ."),
    ("what is that ?", "yes .", "no no no ."),
    ("one two ?", "three four five .", "so on and on ."),
    ("is this one ?", "much more .", "short ."),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "llama")


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "qwen", kind="qwen")


def rows(p: list[float] | None, *, swapped: bool = False, weights: list[float] | None = None) -> Any:
    from datasets import Dataset

    out = []
    for n, (prompt, chosen, rejected) in enumerate(ROWS):
        first, second = (rejected, chosen) if swapped else (chosen, rejected)
        row: dict[str, Any] = {
            "prompt": [{"role": "user", "content": prompt}],
            "chosen": [{"role": "assistant", "content": first}],
            "rejected": [{"role": "assistant", "content": second}],
        }
        row |= {"p_chosen": p[n]} if p else {}
        row |= {"pair_weight": weights[n]} if weights else {}
        out.append(row)
    return Dataset.from_list(out)


def trainer(kind: Any, folder: Path, data: Any, out: Path, **options: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
    from trl import DPOConfig

    options = {"beta": 0.5, "precompute_ref_log_probs": True, "gradient_checkpointing": False} | options
    args = DPOConfig(
        output_dir=str(out), use_cpu=True, bf16=False, per_device_train_batch_size=4, report_to="none", **options
    )
    made = kind(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        args=args,
        train_dataset=data,
        processing_class=PreTrainedTokenizerFast.from_pretrained(folder),
    )
    generator = torch.Generator().manual_seed(1)  # the policy has moved away from the reference, or every margin is 0
    with torch.no_grad():
        for weight in made.model.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))
    return made


def loss_and_gradient(made: Any) -> tuple[float, Any]:
    import torch

    batch = next(iter(torch.utils.data.DataLoader(made.train_dataset, batch_size=4, collate_fn=made.data_collator)))
    made.model.train()
    loss = made.compute_loss(made.model, batch)
    loss.backward()
    return loss.item(), torch.cat([weight.grad.flatten() for weight in made.model.parameters()])


def margins(folder: Path, tmp_path: Path, *, per_token: bool = False) -> list[float]:
    """Work out each pair's difference of log-ratios from full logits, with no code of TRL's."""
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
    from trl import DPOTrainer

    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    moved = trainer(DPOTrainer, folder, rows(None), tmp_path).model
    reference = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def ratio(prompt: str, answer: str) -> float:
        asked = tokenizer(f"<|user|> {prompt} <|end|> <|assistant|>")["input_ids"]
        whole = tokenizer(f"<|user|> {prompt} <|end|> <|assistant|> {answer} <|end|>")["input_ids"]
        ids = torch.tensor([whole])
        total = 0.0
        for model, sign in ((moved, 1), (reference, -1)):
            with torch.no_grad():
                logprobs = model(input_ids=ids).logits[0].double().log_softmax(-1)
            total += sign * sum(logprobs[n - 1, whole[n]].item() for n in range(len(asked), len(whole)))
        return total / (len(whole) - len(asked)) if per_token else total

    return [ratio(prompt, chosen) - ratio(prompt, rejected) for prompt, chosen, rejected in ROWS]


@pytest.mark.parametrize("loss", ["sigmoid", "sigmoid_norm", "hinge", "ipo"])
def test_sure_labels_give_the_loss_and_the_gradient_that_trl_gives(folder: Path, tmp_path: Path, loss: str) -> None:
    from trl import DPOTrainer

    from rlaif.train.softdpo import SoftDPOTrainer

    theirs, their_gradient = loss_and_gradient(trainer(DPOTrainer, folder, rows(None), tmp_path, loss_type=[loss]))
    ours, our_gradient = loss_and_gradient(trainer(SoftDPOTrainer, folder, rows([1.0] * 4), tmp_path, loss_type=[loss]))
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert (our_gradient - their_gradient).abs().max() < 1e-6
    assert their_gradient.abs().max() > 1e-3


def test_so_it_is_for_another_architecture(qwen: Path, tmp_path: Path) -> None:
    test_sure_labels_give_the_loss_and_the_gradient_that_trl_gives(qwen, tmp_path, "sigmoid")


def test_unsure_labels_give_the_formula(folder: Path, tmp_path: Path) -> None:
    from rlaif.train.softdpo import SoftDPOTrainer

    p = [0.9, 0.5, 0.6, 0.1]
    loss, _ = loss_and_gradient(trainer(SoftDPOTrainer, folder, rows(p), tmp_path))
    by_hand = [
        -q * math.log(1 / (1 + math.exp(-0.5 * m))) - (1 - q) * math.log(1 / (1 + math.exp(0.5 * m)))
        for q, m in zip(p, margins(folder, tmp_path), strict=True)
    ]
    assert loss == pytest.approx(sum(by_hand) / 4, abs=1e-5)


def test_weights_multiply_each_pairs_loss(folder: Path, tmp_path: Path) -> None:
    from rlaif.train.softdpo import SoftDPOTrainer

    p, w = [0.9, 0.5, 0.6, 0.1], [2.0, 0.0, 0.5, 1.5]
    loss, _ = loss_and_gradient(
        trainer(SoftDPOTrainer, folder, rows(p, weights=w), tmp_path, loss_type=["ipo"], beta=0.2)
    )
    by_hand = [
        weight * (q * (m - 2.5) ** 2 + (1 - q) * (-m - 2.5) ** 2)
        for q, weight, m in zip(p, w, margins(folder, tmp_path, per_token=True), strict=True)
    ]
    assert loss == pytest.approx(sum(by_hand) / 4, rel=1e-5)


def test_a_flipped_pair_with_the_flipped_label_costs_the_same(folder: Path, tmp_path: Path) -> None:
    from rlaif.train.softdpo import SoftDPOTrainer

    p = [0.9, 0.5, 0.6, 0.1]
    loss, gradient = loss_and_gradient(trainer(SoftDPOTrainer, folder, rows(p), tmp_path))
    flipped, flipped_gradient = loss_and_gradient(
        trainer(SoftDPOTrainer, folder, rows([1 - q for q in p], swapped=True), tmp_path)
    )
    assert loss == pytest.approx(flipped, abs=1e-6)
    assert (gradient - flipped_gradient).abs().max() < 1e-5


def test_a_loss_without_a_margin_refuses_soft_labels(folder: Path, tmp_path: Path) -> None:
    from rlaif.train.softdpo import SoftDPOTrainer

    with pytest.raises(UsageError, match="nca_pair, train with --labels hard"):
        trainer(SoftDPOTrainer, folder, rows([0.7] * 4), tmp_path, loss_type=["nca_pair"])


def test_the_installed_trl_is_the_one_that_soft_labels_were_held_against() -> None:
    from trl import DPOTrainer
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    trl_options.check_trl(DPOTrainer, DataCollatorForPreference)


def test_a_trl_that_changed_underneath_is_refused_with_what_to_install() -> None:
    from trl import DPOTrainer as Theirs
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    class DPOTrainer(Theirs):
        def _compute_loss(self, model: Any, inputs: Any, return_outputs: Any) -> Any:
            return 0

    with pytest.raises(UsageError, match=r"differs in DPOTrainer._compute_loss; run pip install 'trl>=1.16,<1.17'"):
        trl_options.check_trl(DPOTrainer, DataCollatorForPreference)
    with pytest.raises(UsageError, match=r"the installed TRL \(1.17.0\) is another version"):
        trl_options.check_trl(Theirs, DataCollatorForPreference, release="1.17.0")
