"""Every message is a table, every group of a message one beside it: names are the schema's.

    new_order_single   sequence, time, sender, producer │ account, cl_ord_id, price, order_qty …
    execution_report   entry, sequence, time, receiver │ order_id, exec_type, last_px …
    mass_quote_quotes  sequence, place │ instrument, bid_px, bid_size …

What is left of the bar is the frame's: `sender` and `receiver` are session numbers, `entry` is
where the event stands in the event stream and names it for ever.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.messages import codecs
from sbe.dtypes import block_dtype
from sbe.layout import Block, Group, Message
from sbe.naming import snake
from tools.audit import frames
from tools.audit.columns import Column, columns_of, enums, moments, variable
from tools.audit.frames import Stretch

FIRST_OF_CORE = 100  # Below: between client and gateway.
FIRST_REPORT, FIRST_INTERNAL, FIRST_NOTICE = 200, 400, 500
COMMAND_COLUMNS = (("sequence", "BIGINT"), ("time", "TIMESTAMP_NS"), ("sender", "INTEGER"),
                   ("producer", "UTINYINT"))  # fmt: skip
EVENT_COLUMNS = (("entry", "BIGINT"), ("sequence", "BIGINT"), ("time", "TIMESTAMP_NS"),
                 ("receiver", "INTEGER"))  # fmt: skip


def is_event(template: int) -> bool:
    """Whether the core says it; else it is said to the core."""
    return FIRST_REPORT <= template < FIRST_INTERNAL or template >= FIRST_NOTICE


@dataclass(frozen=True, slots=True)
class Child:
    """The table of a group: at which place it stands in its message, and its columns."""

    name: str
    place: int
    block: np.dtype[np.void]
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The table of a message. `text` is the name of its variable bytes, if it has some."""

    name: str
    message: Message
    event: bool
    block: np.dtype[np.void]
    columns: tuple[Column, ...]
    children: tuple[Child, ...]
    text: tuple[str, bool, bool] | None  # name, whether its length is a uint16, whether readable

    def create(self) -> list[str]:
        """The statements that make it and its children."""
        frame = EVENT_COLUMNS if self.event else COMMAND_COLUMNS
        own = [(column.name, column.sql) for column in self.columns]
        if self.text is not None:
            own.append((self.text[0], "VARCHAR" if self.text[2] else "BLOB"))
        key = ("entry" if self.event else "sequence", "BIGINT")
        return [
            _create(self.name, [*frame, *own]),
            *(_create(child.name, [key, ("place", "USMALLINT"),
                                   *((c.name, c.sql) for c in child.columns)])
              for child in self.children),
        ]  # fmt: skip

    def rows(self, stretch: Stretch, places: NDArray[np.void], start: int) -> pa.Table:
        """What these messages say. start: position of the stretch in its stream."""
        blocks = frames.gather(stretch, places, self.block)
        values: dict[str, pa.Array] = {"sequence": _plain(places["sequence"])}
        values["time"] = moments(np.ascontiguousarray(places["time"]))
        if self.event:
            values = {"entry": _plain(places["at"] + (start - 24)), **values}
            values["receiver"] = _plain(places["session"])
        else:
            values["sender"] = _plain(places["session"])
            values["producer"] = _plain(places["producer"])
        for column in self.columns:
            values[column.name] = column.of(blocks)
        if self.text is not None:
            name, wide, readable = self.text
            ends, content = frames.texts(stretch, places, len(self.message.groups), wide)
            values[name] = variable(ends, content, readable)
        return pa.table(values)

    def entries(
        self, child: Child, stretch: Stretch, places: NDArray[np.void], start: int
    ) -> pa.Table:
        """The entries of one group of these messages."""
        rows, owners = frames.entries(stretch, places, child.place, child.block)
        first = np.searchsorted(owners, owners) if len(owners) else owners
        of = places[owners]
        key = of["at"] + (start - 24) if self.event else of["sequence"]
        values = {"entry" if self.event else "sequence": _plain(key)}
        values["place"] = _plain(np.arange(len(owners)) - first)
        for column in child.columns:
            values[column.name] = column.of(rows)
        return pa.table(values)


def _plain(values: NDArray[np.generic]) -> pa.Array:
    return pa.array(np.ascontiguousarray(values))


def _create(name: str, columns: list[tuple[str, str]]) -> str:
    listed = ", ".join(f'"{column}" {sql}' for column, sql in columns)
    return f"CREATE TABLE {name} ({listed})"


def _columns(block: Block, frame: tuple[tuple[str, str], ...]) -> tuple[Column, ...]:
    """Those of the message; one that is called as one of the frame's gets `its_` in front."""
    taken = {name for name, _ in frame}
    columns = [c for element in block.fields for c in columns_of(element)]
    return tuple(
        replace(c, name=f"its_{c.name}") if c.name in taken else c
        for c in columns if c.name != "transact_time"
    )


def _child(name: str, place: int, group: Group) -> Child:
    columns = _columns(group, (("entry", ""), ("sequence", ""), ("place", "")))
    return Child(f"{name}_{snake(group.name)}", place, block_dtype(group, "<"), columns)


def _table(message: Message) -> Table:
    name = snake(message.name)
    text = None
    if message.data:
        (data,) = message.data
        length = data.type.member("length")
        assert length is not None
        text = snake(data.name), length.size == 2, data.bytes.encoding is not None
    children = tuple(_child(name, i, group) for i, group in enumerate(message.groups))
    event = is_event(message.id)
    columns = _columns(message, EVENT_COLUMNS if event else COMMAND_COLUMNS)
    return Table(name, message, event, block_dtype(message, "<"), columns, children, text)


@cache
def tables() -> dict[int, Table]:
    """The table of each template."""
    return {
        message.id: _table(message)
        for codec in codecs()
        for message in codec.schema.messages
        if message.id >= FIRST_OF_CORE
    }


def types() -> list[str]:
    """The statements that make the enums."""
    found = {
        enum.name: enum
        for table in tables().values()
        for block in (table.message, *table.message.groups)
        for element in block.fields
        for enum in enums(element)
    }
    return [
        f'CREATE TYPE "{name}" AS ENUM ({", ".join(repr(c.name) for c in enum.choices)})'
        for name, enum in sorted(found.items())
    ]
