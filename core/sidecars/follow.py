"""What all sidecars share: follow events once each, decide, command under a key, survive anything.

    poll ─▶ BEGIN ─▶ released events, in order ─▶ decide, once caught up ─▶ COMMIT ─▶ send
                          │ handlers write the store      │ commands into the outbox      │
                          ▼                               ▼                               ▼
                    store and position                keys persisted              ring to the core

A command is decided and written to the outbox in one transaction and sent after it. Its answer, the
event `CommandResult`, takes it out of the outbox. A sidecar that comes back first reads on to the
present, where it meets the answers it missed, and only then sends again what still has none, under
the same key: the core refuses a key it has had. Commands that are worthless when late (prices) may
be decided as `passing`: their key is persisted, they are not, and are never sent again.

No clock but the one handed in, no thread, no numba.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import structlog

from core.link import Event
from core.messages import decode, decode_body, template
from core.producers import Producer
from core.reference import ReferenceData
from core.sidecars.pick import pick
from core.sidecars.store import Store

EVENTS_MAX = 20_000  # in one transaction
FIRST_CONTROL_TEMPLATE = 400

REASON_NONE = 0
REASON_DUPLICATE_KEY = 47

_result = pick("CommandResult", "key", "producer", "refTemplateId", "reason", "detail",
               "limit")


class Follower(Protocol):
    """Where released events come from; `core.link.EventFollower` is one."""

    position: int

    def __iter__(self) -> Iterator[Event]:
        """The events there are now, `position` moving along."""


class Link(Protocol):
    """Where commands go; `core.link.CommandLink` is one."""

    def encode(self, name: str, fields: dict[str, Any]) -> bytes:
        """A message with its SBE header."""

    def send_message(self, message: bytes, session: int = 0) -> bool:
        """Publish it; False if there is no room now."""


@dataclass(frozen=True, slots=True)
class Result:
    """The core's answer to a command of ours; reason 0 is done, others as in the schema."""

    key: int
    template: int
    reason: int
    detail: int
    limit: int


class Sidecar:
    """The agent under every sidecar; see the module. Subclasses register handlers and decide."""

    producer: ClassVar[Producer]
    migrations: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        store: Store,
        follower: Follower,
        link: Link,
        *,
        clock: Callable[[], int] = time.time_ns,
        core_ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self.store = store
        self.follower = follower
        self.link = link
        self.clock = clock
        self.log = structlog.get_logger().bind(process=self.producer.name.lower())
        self.live = False  # Has caught up with the events since it was started.
        self.alarms = 0
        self.events = 0
        self.last_sequence = 0  # of the event in hand, or the last one
        self._core_ready = core_ready
        self._handlers: dict[int, Callable[[Event], None]] = {}
        self._unsent: deque[bytes] = deque()
        self._waiting: dict[int, str] = dict(
            store.connection.execute("SELECT key, name FROM outbox").fetchall()
        )
        self.reference = ReferenceData()
        for template_id, body in store.connection.execute(
            "SELECT template, body FROM definition ORDER BY ordinal"
        ):
            self.reference.apply(template_id, body)
        follower.position = store.position
        self.handle("CommandResult", self.on_result)

    # ---- for subclasses --------------------------------------------------------------------------

    def decide(self, now: int) -> int:
        """Called in every poll once caught up, inside the transaction; how much was done."""
        return 0

    def answered(self, name: str, result: Result) -> None:
        """A command from the outbox was done or refused; called once for each."""

    def before_commit(self) -> None:
        """Write what was kept in memory during the batch."""

    def handle(self, name: str, handler: Callable[[Event], None]) -> None:
        """Call for every event of this message name."""
        self._handlers[template(name)] = handler

    def handle_template(self, template_id: int, handler: Callable[[Event], None]) -> None:
        """The same by template id."""
        self._handlers[template_id] = handler

    def handle_fields(self, name: str, handler: Callable[[dict[str, Any]], None]) -> None:
        """The same with the decoded fields, for events that are rare."""
        self._handlers[template(name)] = lambda event: handler(
            decode_body(event.template, event.body)
        )

    def command(self, name: str, /, *, passing: bool = False, **fields: Any) -> int:
        """Decide on a command; it is sent when the transaction is committed. Its key."""
        key = self.store.last_key = self.store.last_key + 1
        message = self.link.encode(name, {"key": key, **fields})
        if not passing:
            self.store.connection.execute(
                "INSERT INTO outbox VALUES (?, ?, ?, ?)", (key, name, message, self.clock())
            )
            self._waiting[key] = name
        self._unsent.append(message)
        return key

    def waits_for(self, name: str) -> bool:
        """Whether a command of this name has no answer yet."""
        return name in self._waiting.values()

    def alarm(self, event: str, **details: Any) -> None:
        """Something that must never be: said in the log, counted in the status row."""
        self.alarms += 1
        self.log.error(event, alarm=True, **details)

    # ---- the agent -------------------------------------------------------------------------------

    def poll(self) -> int:
        """One batch of events and what follows from it; how much was done."""
        self.store.begin()
        try:
            keys = self.store.last_key
            work = self._follow()
            if self.live and self._core_ready():
                work += self.decide(self.clock())
            if work or self.store.last_key != keys:
                self.before_commit()
                self.store.commit(self.follower.position)
            else:
                self.store.rollback()
        except BaseException:
            self.store.rollback()
            raise
        self._send()
        return work

    def _follow(self) -> int:
        count = 0
        handlers = self._handlers
        for event in self.follower:
            self.last_sequence = event.sequence
            if event.template >= FIRST_CONTROL_TEMPLATE:
                self._define(event)
            handler = handlers.get(event.template)
            if handler is not None:
                handler(event)
            count += 1
            if count == EVENTS_MAX:
                break
        else:
            if not self.live:
                self._come_alive()
        self.events += count
        return count

    def _define(self, event: Event) -> None:
        """Learn what exists, and keep for the next start what is more than a price."""
        version = self.reference.version
        if self.reference.apply(event.template, event.body) and self.reference.version != version:
            self.store.connection.execute(
                "INSERT INTO definition (template, body) VALUES (?, ?)",
                (event.template, bytes(event.body)),
            )

    def _come_alive(self) -> None:
        """The past is read; whatever still has no answer is sent once more."""
        self.live = True
        rows = self.store.connection.execute("SELECT message FROM outbox ORDER BY key").fetchall()
        self._unsent.extend(row[0] for row in rows)
        if rows:
            self.log.info("sending again", commands=len(rows))
        self.on_live()

    def on_live(self) -> None:
        """Called once, when the present is reached, inside the transaction."""

    def _send(self) -> None:
        """Publish in the order of keys; what finds no room waits for the next poll."""
        while self._unsent and self.link.send_message(self._unsent[0]):
            self._unsent.popleft()

    def on_result(self, event: Event) -> None:
        """The answer to somebody's command; one of ours leaves the outbox."""
        answer = _result(event.body)
        if answer.producer != self.producer:
            return
        self.store.last_key = max(self.store.last_key, answer.key)
        name = self._waiting.get(answer.key)
        if name is None:
            return
        if answer.reason == REASON_DUPLICATE_KEY:
            self._again_under_new_key(answer.key, answer.limit)
            return
        del self._waiting[answer.key]
        self.store.connection.execute("DELETE FROM outbox WHERE key = ?", (answer.key,))
        result = Result(
            answer.key, answer.refTemplateId, answer.reason, answer.detail, answer.limit
        )
        if result.reason != REASON_NONE:
            self.log.warning("refused", command=name, key=result.key, reason=result.reason,
                             detail=result.detail, limit=result.limit)
        self.answered(name, result)

    def _again_under_new_key(self, key: int, last_of_core: int) -> None:
        """The core has had higher keys than this store knew: it is an old or a new store.

        The command itself was never done, as its own answer would have come first.
        """
        row = self.store.connection.execute(
            "SELECT message FROM outbox WHERE key = ?", (key,)
        ).fetchone()
        name, fields = decode(row[0])
        del self._waiting[key]
        self.store.connection.execute("DELETE FROM outbox WHERE key = ?", (key,))
        self.store.last_key = max(self.store.last_key, last_of_core)
        fields.pop("key")
        fresh = self.command(name, **fields)
        self.log.warning("key was used before this store", command=name, key=key,
                         new_key=fresh)
        self.rekeyed(name, key, fresh)

    def rekeyed(self, name: str, old: int, new: int) -> None:
        """A command that waits goes out under another key; called inside the transaction."""
