"""The errors of this package, as a tree.

SbeError
├── SchemaError     the XML breaks a rule: file, line, rule, what
└── MessageError
    ├── EncodeError     a value does not fit the schema: path, what
    └── DecodeError     the bytes are not a message of the schema: reason, what
"""

from __future__ import annotations


class SbeError(Exception):
    """Anything this package refuses."""


class SchemaError(SbeError):
    """A schema breaks a rule.

    `rule` is a stable short name such as `overlap` or `undefined-type`, for tests and tools.
    """

    def __init__(self, file: str, line: int, rule: str, what: str) -> None:
        super().__init__(f"{file}:{line}: {rule}: {what}")
        self.file = file
        self.line = line
        self.rule = rule
        self.what = what


class MessageError(SbeError):
    """A message can't be encoded or decoded."""


class EncodeError(MessageError):
    """A value does not fit its field; `path` reads like `quotes[2].bidPx`."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path
        self.what = what

    def under(self, name: str) -> EncodeError:
        """The same error as it looks from one level further up."""
        joint = "." if self.path and not self.path.startswith("[") else ""
        return EncodeError(f"{name}{joint}{self.path}", self.what)


class DecodeError(MessageError):
    """Bytes that are not one whole message of the schema.

    `reason` is the name of the code that the compiled `check` returns for the same bytes.
    """

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(f"{reason}: {what}")
        self.reason = reason
        self.what = what
