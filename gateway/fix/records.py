"""The records that the compiled half of the FIX gateway and its Python half share.

Everything is int64 words and byte arrays at fixed places, handed to compiled code as one address
each. The dtypes below are the drawing; the constants after them are what the kernels use.

    CONNECTION   one per connected client: what scan must know to judge a message by itself
    SYMBOL       one row of the hash table of instrument symbols, and of that of account names
    INSTRUMENT   one row per instrument number: what a report says of it
    REASON       one row per reason of the core: the words of a report that tells of a change
    REFUSAL      one row per reason of the core: the words of a report that refuses an order

    tables       ┌ CONTEXT ───────────────────────────────────────────┐
                 │ symbols, accounts, instruments, sessions, reasons… │ addresses and masks
                 └────────────────────────────────────────────────────┘

A hash table has a power of two of rows, at most half of them used; a row with `length` 0 ends the
search. Names are at most 48 bytes, compared as a whole.
"""

from typing import Any

import numpy as np

EVENT_BODY_AT = 24  # in an event's frame: behind the frame's header and the message's
NAME_BYTES = 48
COMP_ID_BYTES = 64
PREFIX_BYTES = 160

CONNECTION = np.dtype(
    [
        # Who it is.
        ("session", "<i8"),  # number at the core; 0 until the logon is through
        ("account", "<i8"),  # meant when an order names none
        ("flags", "<i8"),  # FLAG_…
        # What the next message must look like.
        ("expected", "<i8"),  # inbound MsgSeqNum
        ("window_ns", "<i8"),  # how far SendingTime may be from now
        ("begin_length", "<i8"),
        ("begin", "u1", (16,)),  # "8=FIX.4.4␁9="
        ("sender_length", "<i8"),
        ("sender", "u1", (COMP_ID_BYTES,)),  # value of 49
        ("target_length", "<i8"),
        ("target", "u1", (COMP_ID_BYTES,)),  # value of 56
        # Throttle: a window of one second.
        ("throttle", "<i8"),  # orders a second, 0: no limit
        ("throttle_start", "<i8"),
        ("throttle_count", "<i8"),
        # What scan found.
        ("row_offset", "<i8"),  # of the message that Python must judge
        ("row_length", "<i8"),
        ("consumed", "<i8"),  # bytes of the buffer done with
        ("orders", "<i8"),  # commands written since the connection was made
        ("messages", "<i8"),
        ("garbled", "<i8"),
        ("last_heard", "<i8"),  # ns UTC of the last whole message
        # Outbound.
        ("send", "<i8"),  # address of the send buffer
        ("send_capacity", "<i8"),
        ("sent", "<i8"),  # bytes in it
        ("send_seq", "<i8"),  # number of the last message put there
        ("blocked", "<i8"),  # in the present batch an event of it waits for Python
        ("prefix_length", "<i8"),
        ("prefix", "u1", (PREFIX_BYTES,)),  # "␁49=…␁56=…" of what we send
        ("time_cache", "<i8", (6,)),
        ("reports", "<i8"),
    ]
)

SYMBOL = np.dtype(
    [
        ("length", "<i8"),
        ("number", "<i8"),
        ("owner", "<i8"),  # of an account: the session that may name it; 0 for a symbol
        ("name", "u1", (NAME_BYTES,)),
    ]
)

INSTRUMENT = np.dtype(
    [
        ("symbol_length", "<i8"),
        ("symbol", "u1", (NAME_BYTES,)),
        ("decimals", "<i8"),  # of the quote asset
        ("currency_length", "<i8"),
        ("currency", "u1", (NAME_BYTES,)),
    ]
)

REASON = np.dtype([("length", "<i8"), ("text", "u1", (56,))])

REFUSAL = np.dtype(
    [
        ("code", "<i8"),  # OrdRejReason (103)
        ("length", "<i8"),  # 0: Python has to find the words
        ("text", "u1", (112,)),  # a byte below 32 stands for a number of the event: NUMBER_…
    ]
)
NUMBER_VALUE, NUMBER_LIMIT = 1, 2  # with exponent −8
NUMBER_COUNT, NUMBER_MOST = 3, 4  # whole
NUMBER_NEEDED, NUMBER_FREE = 5, 6  # money, in units of the quote asset

CONTEXT = np.dtype(
    [
        ("symbols", "<i8"),
        ("symbol_mask", "<i8"),
        ("accounts", "<i8"),
        ("account_mask", "<i8"),
        ("instruments", "<i8"),
        ("instrument_count", "<i8"),
        ("reasons", "<i8"),
        ("reason_count", "<i8"),
        ("refusals", "<i8"),
        ("refusal_count", "<i8"),
        ("sessions", "<i8"),  # i64 per session number: the address of its CONNECTION, or 0
        ("session_count", "<i8"),
        ("ring", "<i8"),
        ("producer", "<i8"),
        ("core_ready", "<i8"),  # address of the word
        ("log", "<i8"),
        ("position", "<i8"),  # of the next event to look at
        ("gate", "<i8"),  # address of the sequence word that releases events
        ("rows", "<i8"),  # i64 pairs: position of an event for Python, number of its session
        ("rows_capacity", "<i8"),
        ("rows_count", "<i8"),
        ("dirty", "<i8"),  # i64 per session with bytes to send: its number
        ("dirty_count", "<i8"),
        ("index", "<i8"),  # see gateway/fix/history.py
        ("index_capacity", "<i8"),
        ("index_count", "<i8"),
        ("blocks", "<i8"),
        ("numbers", "<i8"),  # i64 per session: its newest outbound number
        ("opening", "<i8"),  # i64 per session: 1 from the begin of its numbers to our Logon
        ("copies", "<i8"),  # bits: Python wants to see 1 reports of others, 2 their balances
        ("day", "<i8"),  # of the cached date, days since 1970
        ("day_text", "<i8"),  # the cached date's eight digits
        ("scratch", "<i8"),  # address of room for one message
    ]
)

FLAG_READY = 1  # logged on, nothing missing, nothing queued: scan may turn orders into commands
FLAG_LIVE = 2  # the logon is answered: reports go straight into the send buffer

# What scan answers.
NEED_MORE = 0  # all that was whole is done
MESSAGE = 1  # a whole message for Python: row_offset, row_length
TOO_LONG = 2  # a BodyLength beyond what we buffer
BUSY = 3  # the ring is full: the message at the row was not taken


def _offsets(dtype: np.dtype[Any]) -> dict[str, int]:
    assert dtype.fields is not None
    return {name: int(place[1]) for name, place in dtype.fields.items()}


_C = _offsets(CONNECTION)
C_SESSION, C_ACCOUNT, C_FLAGS = _C["session"], _C["account"], _C["flags"]
C_EXPECTED, C_WINDOW = _C["expected"], _C["window_ns"]
C_BEGIN_LENGTH, C_BEGIN = _C["begin_length"], _C["begin"]
C_SENDER_LENGTH, C_SENDER = _C["sender_length"], _C["sender"]
C_TARGET_LENGTH, C_TARGET = _C["target_length"], _C["target"]
C_THROTTLE, C_THROTTLE_START = _C["throttle"], _C["throttle_start"]
C_THROTTLE_COUNT = _C["throttle_count"]
C_ROW_OFFSET, C_ROW_LENGTH, C_CONSUMED = _C["row_offset"], _C["row_length"], _C["consumed"]
C_ORDERS, C_MESSAGES, C_GARBLED = _C["orders"], _C["messages"], _C["garbled"]
C_LAST_HEARD = _C["last_heard"]
C_SEND, C_SEND_CAPACITY, C_SENT, C_SEND_SEQ = (
    _C["send"], _C["send_capacity"], _C["sent"], _C["send_seq"])
C_BLOCKED, C_PREFIX_LENGTH, C_PREFIX = _C["blocked"], _C["prefix_length"], _C["prefix"]
C_TIME_CACHE, C_REPORTS = _C["time_cache"], _C["reports"]

_S = _offsets(SYMBOL)
SYMBOL_SIZE = SYMBOL.itemsize
S_LENGTH, S_NUMBER, S_OWNER, S_NAME = _S["length"], _S["number"], _S["owner"], _S["name"]

_I = _offsets(INSTRUMENT)
INSTRUMENT_SIZE = INSTRUMENT.itemsize
I_SYMBOL_LENGTH, I_SYMBOL, I_DECIMALS = _I["symbol_length"], _I["symbol"], _I["decimals"]
I_CURRENCY_LENGTH, I_CURRENCY = _I["currency_length"], _I["currency"]

REASON_SIZE = REASON.itemsize
R_LENGTH, R_TEXT = _offsets(REASON)["length"], _offsets(REASON)["text"]

_F = _offsets(REFUSAL)
REFUSAL_SIZE = REFUSAL.itemsize
F_CODE, F_LENGTH, F_TEXT = _F["code"], _F["length"], _F["text"]

_T = _offsets(CONTEXT)
T_SYMBOLS, T_SYMBOL_MASK = _T["symbols"], _T["symbol_mask"]
T_ACCOUNTS, T_ACCOUNT_MASK = _T["accounts"], _T["account_mask"]
T_INSTRUMENTS, T_INSTRUMENT_COUNT = _T["instruments"], _T["instrument_count"]
T_REASONS, T_REASON_COUNT = _T["reasons"], _T["reason_count"]
T_REFUSALS, T_REFUSAL_COUNT = _T["refusals"], _T["refusal_count"]
T_SESSIONS, T_SESSION_COUNT = _T["sessions"], _T["session_count"]
T_RING, T_PRODUCER, T_CORE_READY = _T["ring"], _T["producer"], _T["core_ready"]
T_LOG, T_POSITION, T_GATE = _T["log"], _T["position"], _T["gate"]
T_ROWS, T_ROWS_CAPACITY, T_ROWS_COUNT = _T["rows"], _T["rows_capacity"], _T["rows_count"]
T_DIRTY, T_DIRTY_COUNT = _T["dirty"], _T["dirty_count"]
T_INDEX, T_INDEX_CAPACITY, T_INDEX_COUNT = _T["index"], _T["index_capacity"], _T["index_count"]
T_BLOCKS, T_NUMBERS, T_COPIES = _T["blocks"], _T["numbers"], _T["copies"]
T_OPENING = _T["opening"]
T_DAY, T_DAY_TEXT, T_SCRATCH = _T["day"], _T["day_text"], _T["scratch"]

assert CONNECTION.itemsize % 8 == 0
assert all(size % 8 == 0 for size in (
    SYMBOL_SIZE, INSTRUMENT_SIZE, REASON_SIZE, REFUSAL_SIZE, CONTEXT.itemsize))
