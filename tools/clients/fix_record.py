"""A transcript of a `FixDesk` as a scenario that can be run again.

What is another one each time is left out (numbers, times, executions) or named: identities of ours
are renewed where they are first sent, order numbers of the exchange are learnt where they first
come. Heartbeats, and TestRequests with their answers, are left to the desk that runs it.
"""

from tools.clients.fix_desk import is_sound

_LEFT_OUT = frozenset((8, 9, 10, 17, 34, 35, 49, 52, 56, 60, 122, 880))
_OF_A_LOGON = frozenset((98, 95, 96, 554, 1137))
# What we call our messages, and where that is told again.
_OWN = frozenset((11, 66, 117, 262, 320, 324, 335, 526, 568, 584, 710, 902, 909, 923, 2328, 21037))
_TOLD_AGAIN = _OWN | {41, 379}
_ORDER_NUMBER = 37
Fields = list[tuple[int, str]]


class Recorder:
    """Makes lines of a scenario of lines of a transcript, in order."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._connected = False  # and not logged on since

    def line(self, entry: str) -> str:
        """The step for an entry; empty if it needs none."""
        mark, _, text = entry.partition(" ")
        if mark == "-":
            return self._event(text)
        secret = "|35=A|" in text  # and so not told whole
        if not secret and not is_sound(text.replace("|", "\x01").encode("latin-1")):
            return f"raw {text}"
        fields = [(int(tag), value) for tag, _, value in
                  (part.partition("=") for part in text.split("|") if part)]
        kind = dict(fields)[35]
        if kind == "A":
            return self._logon(fields) if mark == ">" else ""
        if kind == "1" and mark == "<":
            return ""
        if kind == "0" and (mark == ">" or 112 not in dict(fields)):
            return ""
        return f"{mark} {kind} {self._body(mark, fields)}".rstrip()

    def _event(self, text: str) -> str:
        self._connected = text == "connected"
        if text.startswith("seq"):
            return text
        return {"dropped": "drop", "closed by the exchange": "end"}.get(text, "")

    def _logon(self, fields: Fields) -> str:
        kept = [f"{tag}={value}" for tag, value in fields
                if tag not in _LEFT_OUT | _OF_A_LOGON and (tag, value) != (108, "30")]
        verb = "logon" if self._connected else "relogon"
        self._connected = False
        return f"{verb} {'|'.join(kept) or 'resume'}"

    def _body(self, mark: str, fields: Fields) -> str:
        parts: list[str] = []
        seen: set[int] = set()
        for tag, value in fields:
            # An expectation is of the first field of a tag; what is sent has them all.
            if tag not in _LEFT_OUT and not (mark == "<" and tag in seen):
                parts.append(f"{tag}={self._named(mark, tag, value)}")
            seen.add(tag)
        if mark == ">" and 60 in seen:
            parts.append("60={time}")
        return "|".join(parts)

    def _named(self, mark: str, tag: int, value: str) -> str:
        if value in self._names and tag in _TOLD_AGAIN | {_ORDER_NUMBER}:
            return f"{{{self._names[value]}}}"
        first = tag in _OWN if mark == ">" else tag == _ORDER_NUMBER and value != "NONE"
        if not first:
            return value
        name = self._names[value] = f"{'id' if mark == '>' else 'order'}{len(self._names) + 1}"
        return f"{{+{name}}}" if mark == ">" else f"{{{name}}}"


def scenario(transcript: list[str]) -> list[str]:
    """The steps that say and expect what a transcript tells."""
    recorder = Recorder()
    lines = [recorder.line(entry) for entry in transcript]
    while lines and lines[-1] in ("", "drop"):
        lines.pop()
    return [line for line in lines if line]
