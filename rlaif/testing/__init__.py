"""A public simulated server: test a constitution without a model, with known qualities and biases.

`docs/testing.md` shows how; `SimulatedModel` has the settings.
"""

from rlaif.testing.server import Asked, SimulatedServer
from rlaif.testing.simulated_model import Fault, Habit, Knowledge, PlantedRule, SimulatedModel

__all__ = ["Asked", "Fault", "Habit", "Knowledge", "PlantedRule", "SimulatedModel", "SimulatedServer"]
