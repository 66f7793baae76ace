"""Where records and tables lie: on whole lines of the processor's cache.

An order in a line of its own costs one wait for memory, across two lines two, and so does every
neighbour it is linked to. Tables are entered anywhere, so both the table's beginning and its
records' size are multiples of a line. Offsets are numpy's otherwise.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

LINE_SIZE = 64


def on_lines(fields: Sequence[Any], shared: Mapping[str, str] | None = None) -> np.dtype[Any]:
    """A record for tables that are entered anywhere: of whole cache lines, so that none is shared.

    shared: names for what lies where another field does, of which a record has one or the other.
    """
    plain = np.dtype(list(fields), align=True)
    places = {name: plain.fields[name][:2] for name in plain.names or () if plain.fields}
    for name, other in (shared or {}).items():
        places[name] = places[other]
    return np.dtype(
        {
            "names": list(places),
            "formats": [kind for kind, _ in places.values()],
            "offsets": [offset for _, offset in places.values()],
            "itemsize": -(-plain.itemsize // LINE_SIZE) * LINE_SIZE,
        },
        align=True,
    )


def laid_out(fields: Sequence[Any]) -> np.dtype[Any]:
    """The fields one behind the other, each table from a cache line on."""
    plain = np.dtype(list(fields), align=True)
    names, formats, offsets, end = [], [], [], 0
    for name in plain.names or ():
        kind = plain[name]
        step = LINE_SIZE if kind.itemsize > kind.alignment else kind.alignment
        offsets.append(-(-end // step) * step)
        end = offsets[-1] + kind.itemsize
        names.append(name)
        formats.append(kind)
    size = -(-end // LINE_SIZE) * LINE_SIZE
    return np.dtype(
        {"names": names, "formats": formats, "offsets": offsets, "itemsize": size}, align=True
    )
