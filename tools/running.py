"""The state of a running exchange, mapped for reading.

What is read together may be torn apart by a command in between, so it is read again until no
command was applied meanwhile.
"""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from core.config import Configuration, load
from core.errors import CoreError, SegmentMismatch, SegmentMissing
from core.memory import Segment
from core.records import LAYOUT_VERSION
from core.state import state_dtype
from tools.inspection import data_of

ATTEMPTS = 1000
Read = TypeVar("Read")


class Restless(CoreError):
    """The exchange never stood still long enough."""


class Running:
    """A running exchange, `data` its data directory if that is known; `with` it."""

    def __init__(self, instance: str, data: Path | None = None) -> None:
        """Raises SegmentMissing if there is none, SegmentMismatch if its state is laid out else."""
        file = (data or data_of(instance)) / "run" / "config.json"
        if not file.exists():
            place = f"is running on {data}" if data else f"of the name {instance} is running"
            raise SegmentMissing(f"no exchange {place}")
        self.configuration: Configuration = load(file)
        self._segment = Segment.open(instance, "state", writable=False)
        try:
            self._state = self._segment.array(state_dtype(self.configuration.limits))
        except ValueError as error:
            self._segment.close()
            raise SegmentMismatch(f"the state of {instance} has another size") from error
        if self._state[0]["layout_version"] != LAYOUT_VERSION:
            self.__exit__()
            raise SegmentMismatch(f"the state of {instance} has another layout")

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *exception: object) -> None:
        del self._state
        self._segment.close()

    @property
    def volatility(self) -> dict[str, Fraction]:
        """A year's, by name of the asset, as the oracle has it."""
        return {
            source.asset: Fraction(source.volatility_millionths, 10**6)
            for source in self.configuration.oracle.source
        }

    def read(self, look: Callable[[Any], Read]) -> Read:
        """What `look` finds in the state's record, all of one instant. Raises Restless."""
        for _ in range(ATTEMPTS):
            before = int(self._state["sequence"][0])
            found = look(self._state[0])
            if int(self._state["sequence"][0]) == before:
                return found
        raise Restless("the exchange is too busy to be read")
