"""Risk arrays: what price links would be worth if their underlying moved, as a sidecar computed it.

One command gives all arrays of an underlying at once, so that a scan never mixes two versions:

    nodes     δ_1 … δ_n            moves of the underlying, parts per million
    columns   (expiries settled, volatility) …
    value[instrument][node × columns + column]       0 … 1, parts per million
    netted[instrument]             λ, the fraction that may be netted at all, 1e-3

They come in as journaled commands, so that a replay needs no mathematics library and a customer can
be shown the very numbers that judged him. What is refused here never reaches a margin check: the
nodes must contain both ends of the initial and of the maintenance range, which must be those of the
underlying's first perpetual, and each value must be a probability.
"""

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.liquidation.queue import index_source, price_moved
from core.engine.money import MILLION
from core.engine.order_terms import refuse
from core.engine.registry import known_asset
from core.jit import jit
from core.linked import linked
from core.records import RISK_COLUMNS_MAX, RISK_NODES_MAX
from sbe.raw import load_i32

ARRAYS_AGE_MAX = 60_000_000_000  # ns; older ones net nothing
NETTED_MAX = 1000
_DELTA_MAX = 10 * MILLION


@jit
def arrays_are_fresh(s, grid):
    """Whether an underlying's arrays are there and young enough to net by."""
    return grid.version != 0 and s.time - grid.time <= ARRAYS_AGE_MAX


@linked
def set_risk_array(s, a, block):
    """SetRiskArray: 0 or the reason against it, and nothing changed."""
    number = control.set_risk_array_asset(a)
    reason = known_asset(s, number)
    if reason != 0:
        return reason
    grid = s.risk_grids[number]
    version = control.set_risk_array_version(a)
    if version <= grid.version:
        return refuse(s, oe.REASON_INVALID_FIELD, version, grid.version + 1)
    nodes = a + block
    arrays = nodes + control.SET_RISK_ARRAY_NODES_HEADER_SIZE + (
        control.set_risk_array_nodes_count(nodes) * control.set_risk_array_nodes_stride(nodes))
    values = arrays + control.SET_RISK_ARRAY_ARRAYS_HEADER_SIZE + (
        control.set_risk_array_arrays_count(arrays) * control.set_risk_array_arrays_stride(arrays))
    perpetual = _first_perpetual(s, number)
    reason = _judge_grid(s, a, nodes, perpetual)
    if reason == 0:
        reason = _judge_arrays(s, a, nodes, arrays, values)
    if reason != 0:
        return reason
    grid.version = version
    grid.time = s.time
    grid.index = control.set_risk_array_index(a)
    grid.perpetual = perpetual
    grid.sigma_initial = control.set_risk_array_sigma_initial(a)
    grid.sigma_maintenance = control.set_risk_array_sigma_maintenance(a)
    grid.nodes = control.set_risk_array_nodes_count(nodes)
    grid.columns = control.set_risk_array_columns(a)
    for node in range(grid.nodes):
        grid.delta[node] = _delta(nodes, node)
    _keep(s, grid, arrays, values)
    price_moved(s, index_source(number))
    return 0


@jit
def _first_perpetual(s, underlying):
    """The lowest-numbered perpetual of an underlying, 0 for none."""
    found = 0
    number = s.assets[underlying].first_instrument
    while number != 0:
        book = s.instruments[number]
        if book.kind == oe.INSTRUMENT_KIND_PERPETUAL and (found == 0 or number < found):
            found = number
        number = book.next_of_underlying
    return found


@jit
def _delta(nodes, node):
    stride = control.set_risk_array_nodes_stride(nodes)
    return load_i32(nodes + control.SET_RISK_ARRAY_NODES_HEADER_SIZE + node * stride)


@jit
def _judge_grid(s, a, nodes, perpetual):
    """The ranges are the perpetual's, and their ends are among the nodes."""
    count = control.set_risk_array_nodes_count(nodes)
    columns = control.set_risk_array_columns(a)
    initial = control.set_risk_array_sigma_initial(a)
    maintenance = control.set_risk_array_sigma_maintenance(a)
    if perpetual == 0:
        return refuse(s, oe.REASON_UNKNOWN_INSTRUMENT, 0, 0)
    book = s.instruments[perpetual]
    if initial != book.margin_base_initial:
        return refuse(s, oe.REASON_INVALID_FIELD, initial, book.margin_base_initial)
    if maintenance != book.margin_base_maintenance:
        return refuse(s, oe.REASON_INVALID_FIELD, maintenance, book.margin_base_maintenance)
    if count > RISK_NODES_MAX or columns < 1 or columns > RISK_COLUMNS_MAX:
        return refuse(s, oe.REASON_INVALID_FIELD, count, RISK_NODES_MAX)
    ends = 0
    for node in range(count):
        delta = _delta(nodes, node)
        if delta < -MILLION or delta > _DELTA_MAX:
            return refuse(s, oe.REASON_INVALID_FIELD, delta, _DELTA_MAX)
        if delta == initial:
            ends |= 1
        if delta == -initial:
            ends |= 2
        if delta == maintenance:
            ends |= 4
        if delta == -maintenance:
            ends |= 8
    return 0 if ends == 15 else refuse(s, oe.REASON_INVALID_FIELD, ends, 15)


@jit
def _judge_arrays(s, a, nodes, arrays, values):
    """Each array belongs to a price link of the underlying; each value is a probability."""
    size = control.set_risk_array_nodes_count(nodes) * control.set_risk_array_columns(a)
    count = control.set_risk_array_arrays_count(arrays)
    if control.set_risk_array_values_count(values) != count * size:
        return refuse(s, oe.REASON_INVALID_FIELD, control.set_risk_array_values_count(values),
                      count * size)
    e = arrays + control.SET_RISK_ARRAY_ARRAYS_HEADER_SIZE
    for _ in range(count):
        number = control.set_risk_array_arrays_instrument(e)
        netted = control.set_risk_array_arrays_netted(e)
        if number < 1 or number >= len(s.instruments):
            return refuse(s, oe.REASON_UNKNOWN_INSTRUMENT, number, 0)
        book = s.instruments[number]
        linked = book.state != 0 and book.kind >= oe.INSTRUMENT_KIND_PRICE_ABOVE
        if not linked or book.base != control.set_risk_array_asset(a):
            return refuse(s, oe.REASON_UNKNOWN_INSTRUMENT, number, 0)
        if netted > NETTED_MAX:
            return refuse(s, oe.REASON_INVALID_FIELD, netted, NETTED_MAX)
        e += control.set_risk_array_arrays_stride(arrays)
    e = values + control.SET_RISK_ARRAY_VALUES_HEADER_SIZE
    for _ in range(count * size):
        value = load_i32(e)
        if value < 0 or value > MILLION:
            return refuse(s, oe.REASON_INVALID_FIELD, value, MILLION)
        e += control.set_risk_array_values_stride(values)
    return 0


@jit
def _keep(s, grid, arrays, values):
    size = grid.nodes * grid.columns
    e = arrays + control.SET_RISK_ARRAY_ARRAYS_HEADER_SIZE
    v = values + control.SET_RISK_ARRAY_VALUES_HEADER_SIZE
    for _ in range(control.set_risk_array_arrays_count(arrays)):
        array = s.risk_arrays[control.set_risk_array_arrays_instrument(e)]
        array.version = grid.version
        array.netted = control.set_risk_array_arrays_netted(e)
        for place in range(size):
            array.value[place] = load_i32(v)
            v += control.set_risk_array_values_stride(values)
        e += control.set_risk_array_arrays_stride(arrays)
