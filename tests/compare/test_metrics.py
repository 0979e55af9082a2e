"""Figures that are put together from several counts, against the tables they can be recomputed from."""

from pathlib import Path

import numpy as np
import pandas
import pytest

from rlaif.compare.comparing import compare_async
from rlaif.compare.config import compare_config
from rlaif.testing.server import SimulatedModel, SimulatedServer
from tests.conftest import MakeConfig

FILE = """
name: {name}
version: 1
description: Rules for tests.
principles:
  - {{id: never, group: calm, applies_to: [letters], critique: c, revise: r, compare: "Which never meets {name}?"}}
  - {{id: kind, group: calm, critique: c, revise: r {name}, compare: "Which is kinder to {name}?"}}
  - {{id: short, group: brief, critique: c, revise: s {name}, compare: "Which is shorter for {name}?"}}
"""
ABSENT = """
name: absent
version: 1
description: Rules that apply to nothing here.
principles:
  - {id: letters, applies_to: [letters], critique: c, revise: r, compare: "Which spells better?"}
"""


@pytest.mark.slow
async def test_a_figure_of_several_rule_sets_or_principles_is_measured_on_all_of_them(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    sources = [tmp_path / f"{name}.yaml" for name in ("absent", "mild", "bold", "calm")]
    for source in sources:
        source.write_text(ABSENT if source.stem == "absent" else FILE.format(name=source.stem))
    async with SimulatedServer(SimulatedModel(noise=1.0)) as server:
        config = compare_config([str(s) for s in sources], make_config(server, prompts=8), str(tmp_path / "c"), 0)
        done = await compare_async(config)
    mild = next(rules for rules in done.comparison.rule_sets if rules.name == "mild")
    table = pandas.read_parquet(done.path / "matchups.parquet")
    foreign = table[
        (table.kind == "parent") & (table.rules != "mild") & ((table.a_by == "mild") | (table.b_by == "mild"))
    ]
    assert mild.over_parent_elsewhere.n == len(foreign)
    assert mild.over_parent_elsewhere.low is not None
    wins = np.where(foreign.a_by == "mild", foreign.p_a, 1 - foreign.p_a)
    assert mild.over_parent_elsewhere.value == pytest.approx(wins.mean())
    voices = pandas.read_parquet(done.path / "principles.parquet")
    voices = voices[voices.rules == "mild"].pivot(index=["prompt_id", "a", "b"], columns="principle", values="logit")
    (groups,) = mild.group_conflicts
    assert groups.against.n == len(voices)
    assert groups.against.low is not None
    assert groups.against.value == pytest.approx(((voices.kind > 0) != (voices.short > 0)).mean())
