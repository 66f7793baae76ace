"""The worker under the name `second`."""

import sys

from core.process import run
from tests.tools.agents.worker import main

if __name__ == "__main__":
    sys.exit(run("second", main))
