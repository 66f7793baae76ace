"""The one record of the feed: its channels, its stream of packets, its receivers.

A packet goes out as it is over UDP, and over TCP behind a framing header (`gateway.binary.frames`):

     0       6         8          10        14          22
     +-------+---------+----------+---------+-----------+--------+---------+--------+----
     | SOFH  | channel | version  | number  | sent, ns  | length | message | length | …
     | TCP   | u16     | u16      | u32     | u64       | u16    | SBE     | u16    |
     +-------+---------+----------+---------+-----------+--------+---------+--------+----
             everything little-endian but the SOFH; numbers rise by 1 in each channel

All packets of all channels are written, framed, into one *stream*: a ring of bytes that every TCP
receiver reads at a position of its own, straight from memory, as fast as it can. Nobody waits for
a receiver; one that is overtaken by the stream is cut off. The stream is also the memory from which
packets are sent again.

    oldest          receiver's position              end
    ──────┬───────────────┬──────────────────────────┬──▶
          │ sent to it    │ not yet                  │ open packet

Channels: 0 answers to one receiver, 1 spot, 2 perpetuals, 3 predictions, 4 prices; 101 to 103 the
snapshots of 1 to 3. A new run of the process is a new `version`: whatever a receiver knew of a
channel is void then.
"""

from typing import Any

import numpy as np

from gateway.feed.book import Limits

CHANNELS_MAX = 128
PACKETS_MAX = 1 << 16  # of a channel, that may be asked for again
RECEIVERS_MAX = 1024
ROWS_MAX = RECEIVERS_MAX * 2
PACKET_HEADER = 16
PACKET_MAX = 1400  # with its header: a datagram that is never fragmented
SCRATCH_SIZE = 1 << 18

ANSWERS, SPOT, PERPETUAL, PREDICTION, PRICES = 0, 1, 2, 3, 4
SNAPSHOT = 100  # added to an incremental channel's number
INCREMENTAL = (SPOT, PERPETUAL, PREDICTION)
CHANNELS = (*INCREMENTAL, PRICES, *(SNAPSHOT + channel for channel in INCREMENTAL))

LAPPED, BLOCKED, CUT_OFF, GONE = range(1, 5)

RECEIVER = np.dtype(
    [
        ("descriptor", "i8"),  # −1: nobody
        ("position", "i8"),  # in the stream
        ("blocked", "i8"),
        ("again", "i8"),  # address of packets to send once more
        ("again_length", "i8"),
        ("again_at", "i8"),  # the position at which they are sent
    ]
)

CHANNEL = np.dtype([("next", "i8"), ("packets", "i8"), ("last_ns", "i8")])  # packets: address

INSTRUMENT = np.dtype(
    [
        ("channel", "i8"),  # 0: not listed
        ("number", "i8"),  # rptSeq of the last message
        ("touched", "i8"),
        ("bid", "i8"),
        ("bid_quantity", "i8"),
        ("offer", "i8"),
        ("offer_quantity", "i8"),
        ("open_interest", "i8"),
        ("open_interest_sent", "i8"),
    ]
)

ROW = np.dtype([("kind", "i8"), ("receiver", "i8")])


def feed_dtype(limits: Limits, accounts_max: int) -> np.dtype[Any]:
    """The layout for these limits."""
    instruments = limits.instruments_max
    return np.dtype(
        [
            ("log", "i8"),
            ("position", "i8"),
            ("waiting_for", "i8"),
            ("gate_address", "i8"),
            ("scratch", "i8"),
            ("control_at", "i8"),  # offset of a control event for Python, −1: none
            ("muted", "i8"),  # 1 while history is replayed: books move, nothing is sent
            ("stream", "i8"),  # address of its data, mapped twice
            ("stream_size", "i8"),
            ("end", "i8"),  # of closed packets
            ("open", "i8"),  # bytes of the open packet, framing included; 0: none
            ("open_channel", "i8"),
            ("version", "i8"),
            ("datagrams", "i8"),  # descriptor of the UDP socket, −1: none
            ("last_flags", "i8"),  # address of the flags of the newest message in the open packet
            ("touched_used", "i8"),
            ("rows_used", "i8"),
            ("receivers_used", "i8"),  # all beyond are free
            ("messages", "i8"),
            ("packets", "i8"),
            ("rows", ROW, (ROWS_MAX,)),
            ("receivers", RECEIVER, (RECEIVERS_MAX,)),
            ("channels", CHANNEL, (CHANNELS_MAX,)),
            ("touched", "i8", (instruments,)),
            ("instruments", INSTRUMENT, (instruments,)),
            ("positions", "i8", (accounts_max, instruments)),
        ],
        align=True,
    )


def new_feed(limits: Limits, accounts_max: int) -> Any:
    """One record, nothing sent yet: an array of one element."""
    feed = np.zeros(1, feed_dtype(limits, accounts_max))
    feed["datagrams"] = -1
    feed["receivers"]["descriptor"] = -1
    feed["channels"]["next"] = 1
    return feed
