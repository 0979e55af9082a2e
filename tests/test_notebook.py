"""The progress in a notebook's cell: one text, which grows by what is said and whose last line refreshes."""

import asyncio

from rlaif.api import generate
from rlaif.notebook import NotebookScreen, notebook_screen
from rlaif.testing import SimulatedServer
from tests.conftest import MakeConfig


class Cell:
    """The output of a cell: every text that it showed."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def update(self, text: str) -> None:
        self.texts.append(text)


async def test_a_cell_shows_what_is_said_and_below_it_how_far_the_job_is(make_config: MakeConfig) -> None:
    cell = Cell()
    async with SimulatedServer() as server:
        config = make_config(server, prompts=3)
        await asyncio.to_thread(lambda: generate(config, screen=NotebookScreen(cell)))
    headline, *_ = cell.texts[0].splitlines()
    assert "3 prompts" in headline
    assert all(text.startswith(headline) for text in cell.texts)
    last = cell.texts[-1].splitlines()[-1]
    assert last.startswith("prompts 3/3")
    assert sum(line.startswith("prompts ") for line in cell.texts[-1].splitlines()) == 1


def test_outside_a_notebook_there_is_no_screen() -> None:
    assert notebook_screen() is None
