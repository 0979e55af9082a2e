"""Run a simulated server in the foreground: `python -m rlaif.testing [PORT] [SETTINGS AS JSON]`.

The settings are those of `SimulatedModel`. Prints one JSON line with the server's URL and the model's name.
"""

import asyncio
import contextlib
import json
import sys

from pydantic import ValidationError

from rlaif.tasks import run_in_loop
from rlaif.testing import SimulatedModel, SimulatedServer


async def _serve(model: SimulatedModel, port: int) -> None:
    async with SimulatedServer(model, port=port) as server:
        print(json.dumps({"url": server.url, "model": model.name}), flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Serve until Ctrl-C."""
    port, settings = [*sys.argv[1:3], *["0", "{}"][len(sys.argv) - 1 :]]
    try:
        model = SimulatedModel.model_validate_json(settings)
    except ValidationError as error:
        sys.exit(f"the settings are not valid: {error}")
    with contextlib.suppress(KeyboardInterrupt):
        run_in_loop(lambda: _serve(model, int(port)))


if __name__ == "__main__":
    main()
