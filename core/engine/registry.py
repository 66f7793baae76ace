"""What the exchange knows: assets, owners, accounts, sessions, prediction events.

Each is registered once, by number, and never forgotten; a number that is taken is refused with
AlreadyExists. Instruments are in core.engine.listing.
"""

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.accounts import INDEX_ONE, account_exists, asset_exists
from core.engine.emit import event_begin
from core.engine.money import MILLION
from core.engine.order_terms import refuse
from core.jit import jit
from core.linked import linked
from core.records import FEE_TIERS, FIRST_CLIENT, HOUSE_OWNER, OUTCOMES_MAX
from sbe.raw import copy

ASSETS_MAX = 62  # One bit each in an account's `assets_seen`.
USDC_DECIMALS = 6
DECIMALS_MAX = 12
_BORROW_MARGIN_MAX = 10 * MILLION


@linked
def register_asset(s, a):
    """RegisterAsset: 0 or the reason against it. Asset 0 is USDC, with 6 decimals."""
    number = control.register_asset_asset(a)
    if number >= min(len(s.assets), ASSETS_MAX):
        return refuse(s, oe.REASON_CAPACITY_REACHED, number, min(len(s.assets), ASSETS_MAX))
    if s.assets[number].registered != 0:
        return refuse(s, oe.REASON_ALREADY_EXISTS, number, 0)
    decimals = control.register_asset_decimals(a)
    if decimals > DECIMALS_MAX or (number == 0 and decimals != USDC_DECIMALS):
        return refuse(s, oe.REASON_INVALID_FIELD, decimals, DECIMALS_MAX)
    if not _asset_rates_sound(a):
        return oe.REASON_INVALID_FIELD
    asset = s.assets[number]
    asset.registered = 1
    asset.decimals = decimals
    asset.unit = 1
    for _ in range(decimals):
        asset.unit *= 10
    _keep_asset_rates(asset, a)
    asset.borrow_index = INDEX_ONE
    asset.lend_index = INDEX_ONE
    asset.ramp_start = s.work.time
    if s.risk.enabled != 0:  # The assets a venue is founded with count at once.
        asset.collateral_ramp = s.risk.listing_ramp
    copy(asset.name.ctypes.data, control.register_asset_name_address(a),
         control.REGISTER_ASSET_NAME_LENGTH)
    _asset_registered(s, a, number)
    return 0


@jit
def _asset_rates_sound(a):
    """Shares are shares, and what is required initially is no less than what maintains."""
    haircut = control.register_asset_haircut_initial(a)
    margin = control.register_asset_borrow_margin_initial(a)
    return (
        control.register_asset_haircut_maintenance(a) <= haircut <= MILLION
        and control.register_asset_borrow_margin_maintenance(a) <= margin <= _BORROW_MARGIN_MAX
        and control.register_asset_utilisation_ceiling(a) <= MILLION
        and control.register_asset_reserve_share(a) <= MILLION
        and control.register_asset_borrow_limit(a) >= 0
    )


@jit
def _keep_asset_rates(asset, a):
    asset.lendable = control.register_asset_lendable(a) != 0
    asset.borrowable = control.register_asset_borrowable(a) != 0
    asset.haircut_initial = control.register_asset_haircut_initial(a)
    asset.haircut_maintenance = control.register_asset_haircut_maintenance(a)
    asset.borrow_margin_initial = control.register_asset_borrow_margin_initial(a)
    asset.borrow_margin_maintenance = control.register_asset_borrow_margin_maintenance(a)
    asset.borrow_limit = control.register_asset_borrow_limit(a)
    asset.utilisation_ceiling = control.register_asset_utilisation_ceiling(a)
    asset.reserve_share = control.register_asset_reserve_share(a)


@jit
def _asset_registered(s, a, number):
    asset = s.assets[number]
    e = event_begin(s, control.ASSET_REGISTERED_BLOCK, 0, 0)
    control.write_asset_registered_header(e - 8)
    control.set_asset_registered_asset(e, number)
    control.set_asset_registered_decimals(e, asset.decimals)
    control.set_asset_registered_lendable(e, asset.lendable)
    control.set_asset_registered_borrowable(e, asset.borrowable)
    copy(control.asset_registered_name_address(e), control.register_asset_name_address(a),
         control.REGISTER_ASSET_NAME_LENGTH)
    control.set_asset_registered_haircut_initial(e, asset.haircut_initial)
    control.set_asset_registered_haircut_maintenance(e, asset.haircut_maintenance)
    control.set_asset_registered_utilisation_ceiling(e, asset.utilisation_ceiling)
    control.set_asset_registered_reserve_share(e, asset.reserve_share)


@linked
def register_owner(s, a):
    """RegisterOwner: 0 or the reason against it. Number 1 is the house's."""
    number = control.register_owner_owner(a)
    if number < 2 or number >= len(s.owners):
        return refuse(s, oe.REASON_CAPACITY_REACHED, number, len(s.owners))
    if s.owners[number].registered != 0:
        return refuse(s, oe.REASON_ALREADY_EXISTS, number, 0)
    tier = control.register_owner_fee_tier(a)
    mode = control.register_owner_self_trade_prevention(a)
    if tier >= FEE_TIERS:
        return refuse(s, oe.REASON_INVALID_FIELD, tier, FEE_TIERS - 1)
    if mode > oe.SELF_TRADE_PREVENTION_NOT_APPLIED:
        return refuse(s, oe.REASON_INVALID_SELF_TRADE_PREVENTION, mode, 5)
    owner = s.owners[number]
    owner.registered = 1
    owner.fee_tier = tier
    owner.self_trade_prevention = mode
    name = control.register_owner_name_address(a)
    copy(owner.name.ctypes.data, name, control.REGISTER_OWNER_NAME_LENGTH)
    e = event_begin(s, control.OWNER_REGISTERED_BLOCK, 0, 0)
    control.write_owner_registered_header(e - 8)
    control.set_owner_registered_owner(e, number)
    copy(control.owner_registered_name_address(e), name, control.REGISTER_OWNER_NAME_LENGTH)
    return 0


@linked
def register_account(s, a):
    """RegisterAccount: 0 or the reason against it."""
    number = control.register_account_account(a)
    owner = control.register_account_owner(a)
    if number < FIRST_CLIENT or number >= len(s.accounts):
        return refuse(s, oe.REASON_CAPACITY_REACHED, number, len(s.accounts))
    if account_exists(s, number):
        return refuse(s, oe.REASON_ALREADY_EXISTS, number, 0)
    if owner >= len(s.owners) or s.owners[owner].registered == 0:
        return refuse(s, oe.REASON_UNKNOWN_OWNER, owner, 0)
    if owner == HOUSE_OWNER:  # Its ledgers are no client's.
        return refuse(s, oe.REASON_NOT_AUTHORIZED, owner, 0)
    account = s.accounts[number]
    account.owner = owner
    account.state = oe.ACCOUNT_STATE_ACTIVE
    account.auto_lend = control.register_account_auto_lend(a) != 0
    account.auto_borrow = control.register_account_auto_borrow(a) != 0
    account.owner_next = s.owners[owner].first_account
    s.owners[owner].first_account = number
    account.limited = s.owners[owner].exposure_limit != 0
    s.accounts_used = max(s.accounts_used, number)
    name = control.register_account_name_address(a)
    copy(account.name.ctypes.data, name, control.REGISTER_ACCOUNT_NAME_LENGTH)
    e = event_begin(s, control.ACCOUNT_REGISTERED_BLOCK, 0, 0)
    control.write_account_registered_header(e - 8)
    control.set_account_registered_account(e, number)
    control.set_account_registered_owner(e, owner)
    copy(control.account_registered_name_address(e), name, control.REGISTER_ACCOUNT_NAME_LENGTH)
    control.set_account_registered_auto_lend(e, account.auto_lend)
    return 0


@linked
def register_session(s, a):
    """RegisterSession: 0 or the reason against it. Account 0: messages must name one."""
    number = control.register_session_session(a)
    owner = control.register_session_owner(a)
    account = control.register_session_account(a)
    kind = control.register_session_kind(a)
    if number < 1 or number >= len(s.sessions):
        return refuse(s, oe.REASON_CAPACITY_REACHED, number, len(s.sessions))
    if s.sessions[number].registered != 0:
        return refuse(s, oe.REASON_ALREADY_EXISTS, number, 0)
    if owner >= len(s.owners) or s.owners[owner].registered == 0:
        return refuse(s, oe.REASON_UNKNOWN_OWNER, owner, 0)
    if owner == HOUSE_OWNER:  # Its ledgers are no client's.
        return refuse(s, oe.REASON_NOT_AUTHORIZED, owner, 0)
    if account != 0 and not account_exists(s, account):
        return refuse(s, oe.REASON_UNKNOWN_ACCOUNT, account, 0)
    if account != 0 and s.accounts[account].owner != owner:
        return refuse(s, oe.REASON_NOT_AUTHORIZED, account, owner)
    if kind != oe.SESSION_KIND_FIX and kind != oe.SESSION_KIND_BINARY:
        return refuse(s, oe.REASON_INVALID_FIELD, kind, oe.SESSION_KIND_BINARY)
    session = s.sessions[number]
    session.registered = 1
    session.owner = owner
    session.account = account
    session.kind = kind
    session.next_inbound = 1
    session.next_outbound = 1
    name = control.register_session_name_address(a)
    copy(session.name.ctypes.data, name, control.REGISTER_SESSION_NAME_LENGTH)
    e = event_begin(s, control.SESSION_REGISTERED_BLOCK, 0, 0)
    control.write_session_registered_header(e - 8)
    control.set_session_registered_session(e, number)
    control.set_session_registered_owner(e, owner)
    control.set_session_registered_account(e, account)
    control.set_session_registered_kind(e, kind)
    copy(control.session_registered_name_address(e), name, control.REGISTER_SESSION_NAME_LENGTH)
    return 0


@linked
def register_event(s, a, block):
    """RegisterEvent: 0 or the reason against it. Its outcomes are listed as instruments later."""
    number = control.register_event_event(a)
    kind = control.register_event_kind(a)
    outcomes = control.register_event_outcomes(a)
    if number < 1 or number >= len(s.event_groups):
        return refuse(s, oe.REASON_CAPACITY_REACHED, number, len(s.event_groups))
    if s.event_groups[number].kind != 0:
        return refuse(s, oe.REASON_ALREADY_EXISTS, number, 0)
    if kind < oe.EVENT_KIND_EXCLUSIVE or kind > oe.EVENT_KIND_NESTED:
        return refuse(s, oe.REASON_INVALID_FIELD, kind, oe.EVENT_KIND_NESTED)
    if outcomes < 1 or outcomes > OUTCOMES_MAX:
        return refuse(s, oe.REASON_INVALID_FIELD, outcomes, OUTCOMES_MAX)
    event = s.event_groups[number]
    event.kind = kind
    event.outcomes = outcomes
    rules = control.register_event_rules_hash_address(a)
    copy(event.rules_hash.ctypes.data, rules, control.REGISTER_EVENT_RULES_HASH_LENGTH)
    title = a + block
    size = control.REGISTER_EVENT_TITLE_HEADER_SIZE + control.register_event_title_length(title)
    e = event_begin(s, control.EVENT_REGISTERED_BLOCK, size, 0)
    control.write_event_registered_header(e - 8)
    control.set_event_registered_event(e, number)
    control.set_event_registered_kind(e, kind)
    control.set_event_registered_outcomes(e, outcomes)
    copy(control.event_registered_rules_hash_address(e), rules,
         control.REGISTER_EVENT_RULES_HASH_LENGTH)
    copy(e + control.EVENT_REGISTERED_BLOCK, title, size)
    return 0


@linked
def set_account_state(s, a):
    """SetAccountState: 0 or the reason against it. Open orders stay; new ones obey the state."""
    number = control.set_account_state_account(a)
    state = control.set_account_state_state(a)
    if number < FIRST_CLIENT or not account_exists(s, number):
        return refuse(s, oe.REASON_UNKNOWN_ACCOUNT, number, 0)
    if state < oe.ACCOUNT_STATE_ACTIVE or state > oe.ACCOUNT_STATE_SUSPENDED:
        return refuse(s, oe.REASON_INVALID_FIELD, state, oe.ACCOUNT_STATE_SUSPENDED)
    s.accounts[number].state = state
    e = event_begin(s, control.ACCOUNT_STATE_CHANGED_BLOCK, 0, 0)
    control.write_account_state_changed_header(e - 8)
    control.set_account_state_changed_account(e, number)
    control.set_account_state_changed_state(e, state)
    return 0


@jit
def known_asset(s, asset):
    """0, or UnknownAsset with the number noted."""
    if asset_exists(s, asset):
        return 0
    return refuse(s, oe.REASON_UNKNOWN_ASSET, asset, 0)
