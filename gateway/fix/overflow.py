"""Commands of the gateway's own that found the ring full: they wait here, in their order.

That happens while the core is away. A client that goes on talking then would make it grow without
end, so beyond a bound nobody is read from until there is room again; their machines keep the rest.
"""

from collections import deque

from core.link import CommandLink
from gateway.fix.actions import Command

WAITING_MAX = 20_000


class Overflow:
    """See the module; one for the gateway."""

    def __init__(self, link: CommandLink) -> None:
        self._link = link
        self._waiting: deque[tuple[Command, int]] = deque()

    @property
    def is_long(self) -> bool:
        """Whether no more should be asked of the core for now."""
        return len(self._waiting) > WAITING_MAX

    def send(self, command: Command, session: int) -> None:
        """Into the ring, or behind what waits."""
        if self._waiting or not self._link.send(command.name, command.fields, session):
            self._waiting.append((command, session))

    def go_on(self) -> None:
        """Time has passed: send what there is room for."""
        while self._waiting:
            command, session = self._waiting[0]
            if not self._link.send(command.name, command.fields, session):
                return
            self._waiting.popleft()
