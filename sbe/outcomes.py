"""What `check` can say of some bytes; the slow codec gives the same reasons by name."""

from __future__ import annotations

#: Fewer bytes than the header, a block, a group or data need.
ERROR_TRUNCATED = 1
#: The header names another schema.
ERROR_SCHEMA = 2
#: The header names no message of this schema.
ERROR_TEMPLATE = 3
#: A block is shorter than its fields at the sender's version.
ERROR_BLOCK_LENGTH = 4
#: A group has more or fewer entries than it may, or more empty ones than bytes are left.
ERROR_GROUP_COUNT = 5
#: The length of data is its null value or out of its range.
ERROR_DATA_LENGTH = 6
#: Bytes are left over, and the sender's version is not newer than ours.
ERROR_TRAILING_BYTES = 7

#: code -> the reason in words, as in `DecodeError.reason`.
REASONS = {
    ERROR_TRUNCATED: "truncated",
    ERROR_SCHEMA: "schema",
    ERROR_TEMPLATE: "template",
    ERROR_BLOCK_LENGTH: "block-length",
    ERROR_GROUP_COUNT: "group-count",
    ERROR_DATA_LENGTH: "data-length",
    ERROR_TRAILING_BYTES: "trailing-bytes",
}
