"""Constitutional AI's two stages with feedback from a model (Bai et al. 2022b, with DPO in place of RL).

First supervised on the revisions, then preference optimisation from what that gave.
"""

from pathlib import Path

from rlaif.train.config import CaiConfig, DpoConfig, SftConfig
from rlaif.train.directory import TrainingManifest
from rlaif.train.examples import read_pairs
from rlaif.train.job import Screen, train


def train_cai(config: CaiConfig, screen: Screen) -> list[tuple[Path, TrainingManifest]]:
    """Train both stages into OUT/sft and OUT/dpo; a finished one is not trained again. Raises as `train` does."""
    read_pairs(config.data)  # what is wrong with them is said now, not when the first stage is done
    common = config.model_dump(include={"data", "seed", "chat_template_kwargs"})
    first, second = Path(config.out) / "sft", Path(config.out) / "dpo"
    sft = {**config.sft.model_dump(), "merge": True}  # the second stage starts from weights that stand alone
    supervised = train(SftConfig(**common, **sft, model=config.model, out=str(first)), screen)
    preferred = train(DpoConfig(**common, **config.dpo.model_dump(), model=str(first), out=str(second)), screen)
    return [(first, supervised), (second, preferred)]
