"""A simulated server, public: test a rule set without a model, against qualities and biases that are planted.

`docs/testing.md` shows how; `SimulatedModel` has the settings.
"""

from rlaif.testing.server import Asked, SimulatedServer
from rlaif.testing.simulated_model import Fault, Habit, Knowledge, PlantedRule, SimulatedModel

__all__ = ["Asked", "Fault", "Habit", "Knowledge", "PlantedRule", "SimulatedModel", "SimulatedServer"]
