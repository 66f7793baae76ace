"""Risk arrays: what price links would be worth if their underlying moved, as a sidecar computed it.

One command gives all arrays of an underlying at once, so that a scan never mixes two versions:

    nodes     δ_1 … δ_n            moves of the underlying, each an exact fraction
    columns   (expiries settled, volatility) …
    value[instrument][node × columns + column]       0 … 1, parts per million
    netted[instrument]             λ, the fraction that may be netted at all, 1e-3

They come in as journaled commands, so that a replay needs no mathematics library and a customer can
be shown the very numbers that judged him. What is refused here never reaches a margin check: the
nodes must contain both ends of the initial and of the maintenance range, which must be those of the
underlying's first perpetual, or those that its open interest asks for (interest_scale), and each
value must be a probability.
"""

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.liquidation.queue import index_source, price_moved
from core.engine.margin.grid import EXTREME_NODE, INITIAL_NODE, MAINTENANCE_NODE, move_of
from core.engine.margin.interest_scale import take_base
from core.engine.margin.rates import keep, quotient
from core.engine.money import MILLION
from core.engine.order_terms import refuse
from core.engine.registry import known_asset
from core.jit import jit
from core.linked import linked
from core.records import RISK_COLUMNS_MAX, RISK_NODES_MAX
from core.wide import product, wide
from sbe.raw import load_i32

NETTED_MAX = 1000
_DELTA_MAX = 10 * MILLION
_WEIGHT_BASE_MAX = 10 * MILLION
_FRACTION_MAX = 1 << 62


@jit
def set_unit_rates(s, a):
    """SetUnitRates: 0 or the reason against it."""
    number = control.set_unit_rates_asset(a)
    reason = known_asset(s, number)
    if reason != 0:
        return reason
    weight = control.set_unit_rates_weight(a)
    base = control.set_unit_rates_weight_base(a)
    hedge = control.set_unit_rates_hedge_initial(a)
    maintenance = control.set_unit_rates_hedge_maintenance(a)
    if number == 0 or weight > MILLION:
        return refuse(s, oe.REASON_INVALID_FIELD, weight, MILLION)
    if base < weight or base > _WEIGHT_BASE_MAX:
        return refuse(s, oe.REASON_INVALID_FIELD, base, _WEIGHT_BASE_MAX)
    if maintenance > hedge or hedge > MILLION:
        return refuse(s, oe.REASON_INVALID_FIELD, hedge, MILLION)
    asset = s.assets[number]
    asset.weight = weight
    asset.weight_base = base
    asset.weight_penalty = control.set_unit_rates_weight_penalty(a)
    asset.hedge_initial = hedge
    asset.hedge_maintenance = maintenance
    s.risk.joint_assets &= ~(1 << number)
    if weight != 0:
        s.risk.joint_assets |= 1 << number
    price_moved(s, index_source(number))
    return 0


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
    perpetual = s.assets[number].perpetual
    reason = _judge_grid(s, a, nodes, perpetual)
    if reason == 0:
        reason = _judge_arrays(s, a, nodes, arrays, values)
    if reason != 0:
        return reason
    if control.set_risk_array_sigma_initial(a) != s.instruments[perpetual].margin_base_initial:
        take_base(s, perpetual)
    grid.version = version
    grid.time = s.time
    grid.index = control.set_risk_array_index(a)
    grid.perpetual = perpetual
    grid.sigma_initial = control.set_risk_array_sigma_initial(a)
    grid.sigma_maintenance = control.set_risk_array_sigma_maintenance(a)
    grid.nodes = control.set_risk_array_nodes_count(nodes)
    grid.columns = control.set_risk_array_columns(a)
    grid.level[0] = control.set_risk_array_first_expiry(a)
    grid.level[1] = control.set_risk_array_second_expiry(a)
    grid.level[2] = control.set_risk_array_third_expiry(a)
    for node in range(grid.nodes):
        _keep_node(grid, node, _node(nodes, node))
    _keep(s, grid, arrays, values)
    price_moved(s, index_source(number))
    return 0


@jit
def _node(nodes, node):
    """Where a node of the message begins."""
    stride = control.set_risk_array_nodes_stride(nodes)
    return nodes + control.SET_RISK_ARRAY_NODES_HEADER_SIZE + node * stride


@jit
def _keep_node(grid, node, e):
    numerator = control.set_risk_array_nodes_numerator(e)
    denominator = control.set_risk_array_nodes_denominator(e)
    grid.delta[node] = control.set_risk_array_nodes_delta(e)
    grid.scans[node] = control.set_risk_array_nodes_scans(e)
    grid.strike[node] = control.set_risk_array_nodes_strike(e)
    keep(grid.move[node], move_of(numerator, denominator))
    keep(grid.share[node], wide(0))
    if grid.scans[node] & EXTREME_NODE and numerator != 0:
        keep(grid.share[node], quotient(wide(denominator), product(2, abs(numerator))))


@jit
def _judge_node(s, e):
    """The exact move is a fraction of sound numbers and rounds to the one in millionths."""
    delta = control.set_risk_array_nodes_delta(e)
    numerator = control.set_risk_array_nodes_numerator(e)
    denominator = control.set_risk_array_nodes_denominator(e)
    if delta < -MILLION or delta > _DELTA_MAX:
        return refuse(s, oe.REASON_INVALID_FIELD, delta, _DELTA_MAX)
    if denominator <= 0 or denominator > _FRACTION_MAX:
        return refuse(s, oe.REASON_INVALID_FIELD, denominator, _FRACTION_MAX)
    apart = product(numerator, MILLION) - product(delta, denominator)
    if apart > wide(denominator) or -apart > wide(denominator):
        return refuse(s, oe.REASON_INVALID_FIELD, numerator, delta)
    if control.set_risk_array_nodes_scans(e) >= 2 * EXTREME_NODE:
        return refuse(s, oe.REASON_INVALID_FIELD, control.set_risk_array_nodes_scans(e), 7)
    return 0


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
    if initial != book.margin_base_initial and initial != s.markets[perpetual].base_wanted:
        return refuse(s, oe.REASON_INVALID_FIELD, initial, book.margin_base_initial)
    if maintenance != book.margin_base_maintenance:
        return refuse(s, oe.REASON_INVALID_FIELD, maintenance, book.margin_base_maintenance)
    if count > RISK_NODES_MAX or columns < 1 or columns > RISK_COLUMNS_MAX:
        return refuse(s, oe.REASON_INVALID_FIELD, count, RISK_NODES_MAX)
    ends = 0
    for node in range(count):
        e = _node(nodes, node)
        reason = _judge_node(s, e)
        if reason != 0:
            return reason
        delta = control.set_risk_array_nodes_delta(e)
        scans = control.set_risk_array_nodes_scans(e)
        if scans & INITIAL_NODE:
            ends |= (delta == initial) | (delta == -initial) << 1
        if scans & MAINTENANCE_NODE:
            ends |= (delta == maintenance) << 2 | (delta == -maintenance) << 3
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
