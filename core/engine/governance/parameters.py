"""Every risk parameter: where it stands in the state, its bounds, and which way is tighter.

    1–11 everywhere    20–35 of an instrument    40–48 of an asset
    60–62 of an account    70 of an owner    80–81 of an event

For most a direction is the safer one: more margin, a lower limit. Of a limit 0 means none, which is
the loosest. Where neither direction is safer (how a liquidation goes about it), each is loosening.
"""

import sbe.generated.control as control
from core.engine.accounts import account_exists, asset_exists
from core.engine.liquidation.queue import look_at_all
from core.engine.margin.collateral_cap import follow_collateral
from core.engine.margin.interest_scale import MOST, follow_interest, wanted_base
from core.engine.margin.linear import size_threshold
from core.engine.money import MILLION, UNITS_MAX
from core.jit import jit
from core.linked import linked
from core.records import FIRST_CLIENT

HIGHER, LOWER, NEITHER = 1, -1, 0
_LONGEST = 400 * 86_400_000_000_000  # ns


@jit
def known_scope(s, parameter, scope):
    """Whether what a parameter is to be set of exists."""
    if parameter < control.RISK_PARAMETER_MARGIN_BASE_INITIAL:
        return scope == 0
    if parameter < control.RISK_PARAMETER_HAIRCUT_INITIAL:
        return 0 < scope < len(s.instruments) and s.instruments[scope].state != 0
    if parameter < control.RISK_PARAMETER_ACCOUNT_LEVERAGE:
        return asset_exists(s, scope)
    if parameter < control.RISK_PARAMETER_OWNER_EXPOSURE:
        return scope >= FIRST_CLIENT and account_exists(s, scope)
    if parameter < control.RISK_PARAMETER_EVENT_ACCOUNT_LIMIT:
        return 0 < scope < len(s.owners) and s.owners[scope].registered != 0
    return 0 < scope < len(s.event_groups) and s.event_groups[scope].kind != 0


@jit
def tighter_way(parameter):
    """HIGHER, LOWER or NEITHER."""
    if parameter == control.RISK_PARAMETER_LIQUIDATION_ENABLED:
        return HIGHER
    if parameter == control.RISK_PARAMETER_BACKSTOP_NOTICE:
        return HIGHER
    if parameter == control.RISK_PARAMETER_LOOSENING_DELAY:
        return HIGHER
    if parameter == control.RISK_PARAMETER_PROPOSAL_LIFE:
        return LOWER
    if parameter == control.RISK_PARAMETER_LISTING_RAMP:
        return LOWER
    if parameter < control.RISK_PARAMETER_MARGIN_BASE_INITIAL:
        return NEITHER
    if parameter <= control.RISK_PARAMETER_MARGIN_FACTOR_MAINTENANCE:
        return HIGHER
    if parameter == control.RISK_PARAMETER_INTEREST_SCALE_MOST:
        return HIGHER
    if parameter < control.RISK_PARAMETER_HAIRCUT_INITIAL:
        return LOWER
    if parameter <= control.RISK_PARAMETER_BORROW_MARGIN_MAINTENANCE:
        return HIGHER
    return LOWER


@jit
def zero_is_none(parameter):
    """Whether 0 of a parameter means that there is no limit."""
    if parameter == control.RISK_PARAMETER_INSURANCE_CAP:
        return False
    if parameter == control.RISK_PARAMETER_UTILISATION_CEILING:
        return False
    if parameter == control.RISK_PARAMETER_POSITION_LIMIT:
        return False
    if parameter == control.RISK_PARAMETER_OWNER_INTEREST_FREE:
        return False
    if parameter == control.RISK_PARAMETER_LISTING_RAMP:
        return True
    return parameter >= control.RISK_PARAMETER_PRICE_BAND and tighter_way(parameter) == LOWER


@jit
def loosens(parameter, before, value):
    """Whether a change makes anything less safe."""
    way = tighter_way(parameter)
    if way == HIGHER:
        return value < before
    if way == NEITHER:
        return value != before
    if zero_is_none(parameter):
        return before != 0 and (value == 0 or value > before)
    return value > before


@linked
def bounds(s, parameter, scope):
    """(least, greatest) value of a parameter."""
    p = parameter
    if p == control.RISK_PARAMETER_LIQUIDATION_ENABLED:
        return 0, 1
    if p == control.RISK_PARAMETER_LIQUIDATION_INTERVAL:
        return 1, _LONGEST
    if p == control.RISK_PARAMETER_LIQUIDATION_SLICE:
        return 1, MILLION
    if p == control.RISK_PARAMETER_FILLABLE_SPREAD or p == control.RISK_PARAMETER_FILLABLE_MINIMUM:
        return 0, MILLION
    if control.RISK_PARAMETER_DEGRADED_WAIT <= p <= control.RISK_PARAMETER_PROPOSAL_LIFE:
        return 0, _LONGEST
    if p == control.RISK_PARAMETER_MARGIN_BASE_INITIAL:
        return s.instruments[scope].margin_base_maintenance, MILLION
    first = control.RISK_PARAMETER_INTEREST_SCALE_START
    if first <= p <= control.RISK_PARAMETER_INTEREST_SCALE_MOST:
        return _scale_bounds(s.markets[scope], p)
    if p == control.RISK_PARAMETER_MARGIN_BASE_MAINTENANCE:
        return 1, s.markets[scope].base_initial
    if p == control.RISK_PARAMETER_MARGIN_FACTOR_INITIAL:
        return s.instruments[scope].margin_factor_maintenance, 1 << 31
    if p == control.RISK_PARAMETER_MARGIN_FACTOR_MAINTENANCE:
        return 0, s.instruments[scope].margin_factor_initial
    if p == control.RISK_PARAMETER_PRICE_BAND or p == control.RISK_PARAMETER_PREMIUM_BAND:
        return 0, MILLION
    if p == control.RISK_PARAMETER_POSITION_LIMIT:
        return 1, s.markets[scope].position_bound
    if p == control.RISK_PARAMETER_HAIRCUT_INITIAL:
        return s.assets[scope].haircut_maintenance, MILLION
    if p == control.RISK_PARAMETER_HAIRCUT_MAINTENANCE:
        return 0, s.assets[scope].haircut_initial
    if p == control.RISK_PARAMETER_BORROW_MARGIN_INITIAL:
        return s.assets[scope].borrow_margin_maintenance, 10 * MILLION
    if p == control.RISK_PARAMETER_BORROW_MARGIN_MAINTENANCE:
        return 0, s.assets[scope].borrow_margin_initial
    if p == control.RISK_PARAMETER_UTILISATION_CEILING:
        return 0, MILLION
    if p == control.RISK_PARAMETER_OWNER_INTEREST_SHARE:
        return 0, MILLION
    if p == control.RISK_PARAMETER_WITHDRAWAL_SHARE:
        return 0, MILLION
    return 0, UNITS_MAX


@jit
def _scale_bounds(market, p):
    """Of what open interest does to the initial base: the start lies before the end."""
    if p == control.RISK_PARAMETER_INTEREST_SCALE_START:
        return 0, max(0, market.scale_end - 1)
    if p == control.RISK_PARAMETER_INTEREST_SCALE_END:
        return market.scale_start + 1, UNITS_MAX
    return 0, MOST


@jit
def known_parameter(p):
    """Whether there is a parameter of this number."""
    if p <= control.RISK_PARAMETER_LISTING_RAMP:
        return p >= control.RISK_PARAMETER_LIQUIDATION_ENABLED
    if p <= control.RISK_PARAMETER_OWNER_INTEREST_FREE:
        return p >= control.RISK_PARAMETER_MARGIN_BASE_INITIAL
    if p <= control.RISK_PARAMETER_WITHDRAWAL_SHARE:
        return p >= control.RISK_PARAMETER_HAIRCUT_INITIAL
    if p <= control.RISK_PARAMETER_ACCOUNT_BORROWING:
        return p >= control.RISK_PARAMETER_ACCOUNT_LEVERAGE
    if p == control.RISK_PARAMETER_OWNER_EXPOSURE:
        return True
    event = control.RISK_PARAMETER_EVENT_ACCOUNT_LIMIT
    return event <= p <= control.RISK_PARAMETER_EVENT_OWNER_LIMIT


@linked
def exchange(s, parameter, scope, value, keep):
    """What a parameter is; if `keep`, the value takes its place."""
    if parameter < control.RISK_PARAMETER_MARGIN_BASE_INITIAL:
        return _everywhere(s, parameter, value, keep)
    if parameter < control.RISK_PARAMETER_HAIRCUT_INITIAL:
        return _of_instrument(s, parameter, scope, value, keep)
    if parameter < control.RISK_PARAMETER_ACCOUNT_LEVERAGE:
        return _of_asset(s, parameter, scope, value, keep)
    return _of_holder(s, parameter, scope, value, keep)


@jit
def _everywhere(s, parameter, value, keep):
    risk = s.risk
    before = 0
    if parameter == control.RISK_PARAMETER_LIQUIDATION_ENABLED:
        before = risk.enabled
        risk.enabled = value if keep else before
        if keep:
            look_at_all(s)
    elif parameter == control.RISK_PARAMETER_LIQUIDATION_INTERVAL:
        before = risk.interval
        risk.interval = value if keep else before
    elif parameter == control.RISK_PARAMETER_LIQUIDATION_SLICE:
        before = risk.slice
        risk.slice = value if keep else before
    elif parameter == control.RISK_PARAMETER_LIQUIDATION_WHOLE:
        before = risk.whole
        risk.whole = value if keep else before
    elif parameter == control.RISK_PARAMETER_FILLABLE_SPREAD:
        before = risk.fillable_spread
        risk.fillable_spread = value if keep else before
    elif parameter == control.RISK_PARAMETER_FILLABLE_MINIMUM:
        before = risk.fillable_minimum
        risk.fillable_minimum = value if keep else before
    elif parameter == control.RISK_PARAMETER_DEGRADED_WAIT:
        before = risk.degraded_wait
        risk.degraded_wait = value if keep else before
    elif parameter == control.RISK_PARAMETER_BACKSTOP_NOTICE:
        before = risk.backstop_notice
        risk.backstop_notice = value if keep else before
    elif parameter == control.RISK_PARAMETER_LOOSENING_DELAY:
        before = risk.loosening_delay
        risk.loosening_delay = value if keep else before
    elif parameter == control.RISK_PARAMETER_PROPOSAL_LIFE:
        before = risk.proposal_life
        risk.proposal_life = value if keep else before
    else:
        before = risk.listing_ramp
        risk.listing_ramp = value if keep else before
    return before


@jit
def _of_instrument(s, parameter, scope, value, keep):
    if parameter <= control.RISK_PARAMETER_MARGIN_FACTOR_MAINTENANCE:
        return _margins(s, parameter, scope, value, keep)
    first = control.RISK_PARAMETER_INTEREST_SCALE_START
    most = control.RISK_PARAMETER_INTEREST_SCALE_MOST
    if first <= parameter <= most:
        return _interest_scale(s, parameter, scope, value, keep)
    book = s.instruments[scope]
    market = s.markets[scope]
    before = 0
    if parameter == control.RISK_PARAMETER_PRICE_BAND:
        before = book.price_band
        book.price_band = value if keep else before
    elif parameter == control.RISK_PARAMETER_PREMIUM_BAND:
        before = market.premium_band
        market.premium_band = value if keep else before
        book.limited |= keep
    elif parameter == control.RISK_PARAMETER_POSITION_LIMIT:
        before = book.position_maximum
        book.position_maximum = value if keep else before
    elif parameter == control.RISK_PARAMETER_OWNER_POSITION_LIMIT:
        before = market.owner_limit
        market.owner_limit = value if keep else before
        book.limited |= keep
    elif parameter == control.RISK_PARAMETER_OPEN_INTEREST_LIMIT:
        before = market.interest_limit
        market.interest_limit = value if keep else before
        book.limited |= keep
    elif parameter == control.RISK_PARAMETER_FUNDING_RATE_CAP:
        before = market.funding_cap
        market.funding_cap = value if keep else before
    elif parameter == control.RISK_PARAMETER_OWNER_INTEREST_SHARE:
        before = market.interest_share
        market.interest_share = value if keep else before
        book.limited |= keep
    elif parameter == control.RISK_PARAMETER_OWNER_INTEREST_FREE:
        before = market.interest_free
        market.interest_free = value if keep else before
    else:
        before = market.insurance_cap
        market.insurance_cap = value if keep else before
        market.insurance_set |= keep
    return before


@jit
def _margins(s, parameter, scope, value, keep):
    book = s.instruments[scope]
    before = 0
    if parameter == control.RISK_PARAMETER_MARGIN_BASE_INITIAL:
        before = s.markets[scope].base_initial
        s.markets[scope].base_initial = value if keep else before
        if keep:
            s.markets[scope].base_wanted = wanted_base(book, s.markets[scope])
            book.margin_base_initial = s.markets[scope].base_wanted
    elif parameter == control.RISK_PARAMETER_MARGIN_BASE_MAINTENANCE:
        before = book.margin_base_maintenance
        book.margin_base_maintenance = value if keep else before
    elif parameter == control.RISK_PARAMETER_MARGIN_FACTOR_INITIAL:
        before = book.margin_factor_initial
        book.margin_factor_initial = value if keep else before
    else:
        before = book.margin_factor_maintenance
        book.margin_factor_maintenance = value if keep else before
    if keep:
        book.size_threshold_initial = size_threshold(
            book.margin_base_initial, book.margin_factor_initial)
        book.size_threshold_maintenance = size_threshold(
            book.margin_base_maintenance, book.margin_factor_maintenance)
        s.price_version += 1
        look_at_all(s)
    return before


@jit
def _interest_scale(s, parameter, scope, value, keep):
    market = s.markets[scope]
    before = 0
    if parameter == control.RISK_PARAMETER_INTEREST_SCALE_START:
        before = market.scale_start
        market.scale_start = value if keep else before
    elif parameter == control.RISK_PARAMETER_INTEREST_SCALE_END:
        before = market.scale_end
        market.scale_end = value if keep else before
    else:
        before = market.scale_most
        market.scale_most = value if keep else before
    if keep:
        follow_interest(s, scope)
    return before


@jit
def _of_asset(s, parameter, scope, value, keep):
    if parameter >= control.RISK_PARAMETER_COLLATERAL_CAP:
        return _cap_of_asset(s, parameter, scope, value, keep)
    asset = s.assets[scope]
    before = 0
    if parameter == control.RISK_PARAMETER_HAIRCUT_INITIAL:
        before = asset.haircut_initial
        asset.haircut_initial = value if keep else before
    elif parameter == control.RISK_PARAMETER_HAIRCUT_MAINTENANCE:
        before = asset.haircut_maintenance
        asset.haircut_maintenance = value if keep else before
    elif parameter == control.RISK_PARAMETER_BORROW_MARGIN_INITIAL:
        before = asset.borrow_margin_initial
        asset.borrow_margin_initial = value if keep else before
    elif parameter == control.RISK_PARAMETER_BORROW_MARGIN_MAINTENANCE:
        before = asset.borrow_margin_maintenance
        asset.borrow_margin_maintenance = value if keep else before
    elif parameter == control.RISK_PARAMETER_BORROW_LIMIT:
        before = asset.borrow_limit
        asset.borrow_limit = value if keep else before
    else:
        before = asset.utilisation_ceiling
        asset.utilisation_ceiling = value if keep else before
    if keep:
        follow_collateral(s, scope)  # It leaves the haircut out.
        s.price_version += 1
        look_at_all(s)
    return before


@jit
def _cap_of_asset(s, parameter, scope, value, keep):
    asset = s.assets[scope]
    before = 0
    if parameter == control.RISK_PARAMETER_COLLATERAL_CAP:
        before = asset.collateral_cap
        asset.collateral_cap = value if keep else before
    elif parameter == control.RISK_PARAMETER_COLLATERAL_RAMP:
        before = asset.collateral_ramp
        asset.collateral_ramp = value if keep else before
    else:
        before = asset.withdrawal_share
        asset.withdrawal_share = value if keep else before
    if keep:
        follow_collateral(s, scope)
    return before


@jit
def _of_holder(s, parameter, scope, value, keep):
    before = 0
    if parameter == control.RISK_PARAMETER_ACCOUNT_LEVERAGE:
        before = s.accounts[scope].leverage_limit
        s.accounts[scope].leverage_limit = value if keep else before
    elif parameter == control.RISK_PARAMETER_ACCOUNT_EXPOSURE:
        before = s.accounts[scope].exposure_limit
        s.accounts[scope].exposure_limit = value if keep else before
    elif parameter == control.RISK_PARAMETER_ACCOUNT_BORROWING:
        before = s.accounts[scope].borrowing_limit
        s.accounts[scope].borrowing_limit = value if keep else before
    elif parameter == control.RISK_PARAMETER_OWNER_EXPOSURE:
        before = s.owners[scope].exposure_limit
        s.owners[scope].exposure_limit = value if keep else before
    elif parameter == control.RISK_PARAMETER_EVENT_ACCOUNT_LIMIT:
        before = s.event_groups[scope].account_limit
        s.event_groups[scope].account_limit = value if keep else before
    else:
        before = s.event_groups[scope].owner_limit
        s.event_groups[scope].owner_limit = value if keep else before
    if keep:
        _mark_limited(s, parameter, scope)
    return before


@jit
def _mark_limited(s, parameter, scope):
    """Let the path of an order see with one look that there are limits to be asked."""
    if parameter <= control.RISK_PARAMETER_ACCOUNT_BORROWING:
        s.accounts[scope].limited = 1
    elif parameter == control.RISK_PARAMETER_OWNER_EXPOSURE:
        account = s.owners[scope].first_account
        while account != 0:
            s.accounts[account].limited = 1
            account = s.accounts[account].owner_next
    else:
        event = s.event_groups[scope]
        for outcome in range(event.outcomes):
            if event.instrument[outcome] != 0:
                s.instruments[event.instrument[outcome]].limited = 1
