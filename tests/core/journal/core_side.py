"""The core's ends of the two streams, for tests that drive the journal process."""

import ctypes
from types import TracebackType

from core.events import log_claim, log_publish, log_room
from core.memory import Segment
from core.ring import Ring, ring_claim, ring_flush
from tests.core.journal.commands import command, event


class CoreSide:
    """Publishes command N and two events of it, for N = 1, 2, …; remembers nothing but N."""

    def __init__(self, instance: str, ring_bytes: int = 1 << 16, log_bytes: int = 1 << 17) -> None:
        self.ring = Ring.create(instance, "sequenced", ring_bytes)
        self.log = Segment.create(instance, "events", log_bytes, True)
        self.sequence = 0
        self.events_end = 0

    def segments(self) -> tuple[Segment, Segment]:
        """What a journal process would open; its own mappings of the same segments."""
        instance = self.log.instance
        return Segment.open(instance, "sequenced"), Segment.open(instance, "events")

    def publish(self, count: int) -> int:
        """Publish up to `count` commands with their events, as many as there is room for."""
        done = 0
        while done < count and log_room(self.log.address) >= 512:
            frame = numbered_command(self.sequence + 1)
            address = ring_claim(self.ring.address, len(frame))
            if address == 0:
                break
            self.sequence += 1
            done += 1
            ctypes.memmove(address, frame, len(frame))
            for part in numbered_events(self.sequence):
                ctypes.memmove(log_claim(self.log.address, len(part)), part, len(part))
                self.events_end += len(part)
        ring_flush(self.ring.address)
        log_publish(self.log.address, self.events_end)
        return done

    def __enter__(self) -> "CoreSide":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ring.close()
        self.log.close()


def numbered_command(sequence: int) -> bytes:
    return command(sequence, b"%d" % sequence * (1 + sequence % 29))


def numbered_events(sequence: int) -> tuple[bytes, bytes]:
    return event(sequence, 64), event(sequence, 32 * (1 + sequence % 7))


def all_commands(first: int, last: int) -> bytes:
    return b"".join(numbered_command(n) for n in range(first, last + 1))


def all_events(first: int, last: int) -> bytes:
    return b"".join(b"".join(numbered_events(n)) for n in range(first, last + 1))
