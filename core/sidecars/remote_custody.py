"""Custody in a process of its own, spoken to over a Unix socket in lines of JSON.

    ─▶ {"id": 7, "call": "sending", "arguments": [12]}
    ◀─ {"id": 7, "result": [3, 0, 5000000, "bc1q…"]}     or {"id": 7, "error": "why not"}

`RemoteCustody` is the exchange's end. Nothing it hears is taken on trust: an answer has the number
of its question, arrives in time and has the shape that it must have, or there is none and the
question is asked again later. Each call waits `timeout_seconds` at most, so that a custody that
hangs delays nobody; a line that belongs to no open question (an answer given twice, or too late) is
passed over.

    python -m core.sidecars.remote_custody SQLITE SOCKET      the embedded custody, as that process
"""

import contextlib
import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from core.config import Custody as Configured
from core.sidecars.custody import (
    FAILED,
    SENT,
    Custody,
    CustodyError,
    CustodySilent,
    EmbeddedCustody,
    Receipt,
    Sending,
    Statement,
    custody_path,
)

Shape = TypeVar("Shape")
LINE_BYTES_MAX = 1 << 20
AMOUNT_MAX = 1 << 62
CALLS = ("receipts", "recognise", "send", "sending", "booked", "holdings", "departed", "statement")


class RemoteCustody:
    """The exchange's end of the socket at `path`. Every call may raise CustodyError."""

    def __init__(self, path: Path, timeout_seconds: float = 0.25) -> None:
        self._path = path
        self._timeout = timeout_seconds
        self._socket: socket.socket | None = None
        self._rest = b""
        self._number = 0

    def receipts(self, after: int) -> list[Receipt]:
        """What arrived, with numbers above `after`, in order."""
        return _shaped(_receipts, self._call("receipts", after))

    def recognise(self, reference: str, asset: int, amount: int) -> None:
        """An operator credited this without a receipt; it must be held nevertheless."""
        self._call("recognise", reference, asset, amount)

    def send(
        self, withdrawal: int, account: int, asset: int, amount: int, destination: str = ""
    ) -> None:
        """Pay out, to an address or where the account is at home; twice is one payment."""
        self._call("send", withdrawal, account, asset, amount, destination)

    def sending(self, withdrawal: int) -> Sending | None:
        """How far a withdrawal is; None if custody knows nothing of it."""
        return _shaped(_sending, self._call("sending", withdrawal))

    def booked(self, withdrawal: int) -> None:
        """The exchange has booked the end of this withdrawal."""
        self._call("booked", withdrawal)

    def holdings(self) -> dict[int, int]:
        """Units of each asset that are there."""
        return _shaped(_amounts, self._call("holdings"))

    def departed(self) -> dict[int, int]:
        """Units of each asset that are gone and not yet booked as such."""
        return _shaped(_amounts, self._call("departed"))

    def statement(self, epoch: int) -> Statement:
        """What is held, signed for an epoch."""
        stated = _shaped(_statement, self._call("statement", epoch))
        if stated.epoch != epoch:
            raise CustodyError(f"asked for a statement of epoch {epoch}, was {stated.epoch}")
        return stated

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest = None, b""

    def _call(self, name: str, *arguments: Any) -> Any:
        self._number += 1
        question = {"id": self._number, "call": name, "arguments": arguments}
        deadline = time.monotonic() + self._timeout
        try:
            self._connected(deadline).sendall(json.dumps(question).encode() + b"\n")
            answer = self._answer(deadline)
        except (OSError, ValueError) as error:
            self.close()
            raise CustodySilent(f"{name}: {error}") from error
        if "error" in answer:
            raise CustodyError(f"{name}: {answer['error']}")
        return answer.get("result")

    def _connected(self, deadline: float) -> socket.socket:
        if self._socket is None:
            fresh = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            fresh.settimeout(self._timeout)
            try:
                fresh.connect(str(self._path))
            except OSError:
                fresh.close()
                raise
            self._socket = fresh
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
        return self._socket

    def _answer(self, deadline: float) -> dict[str, Any]:
        """The answer to the last question; those to earlier ones are passed over."""
        while True:
            line, found, rest = self._rest.partition(b"\n")
            if found:
                self._rest = rest
                answer = json.loads(line)
                if isinstance(answer, dict) and answer.get("id") == self._number:
                    return answer
                continue
            if len(self._rest) > LINE_BYTES_MAX:
                raise ValueError(f"expected a line of at most {LINE_BYTES_MAX} bytes")
            data = self._connected(deadline).recv(1 << 16)
            if not data:
                raise ValueError("hung up before it answered")
            self._rest += data


def _shaped(shape: Callable[[Any], Shape], value: Any) -> Shape:
    """The value as it should be. Raises CustodyError for anything else."""
    try:
        return shape(value)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise CustodyError(f"no such answer makes sense: {error}") from error


def _whole(value: Any, least: int = 0) -> int:
    if type(value) is not int or not least <= value < AMOUNT_MAX:
        raise ValueError(f"expected a whole number from {least}, was {value!r}")
    return value


def _receipts(value: Any) -> list[Receipt]:
    return [
        Receipt(_whole(number, 1), str(transaction), _whole(account), _whole(asset),
                _whole(amount, 1))
        for number, transaction, account, asset, amount in value
    ]


def _sending(value: Any) -> Sending | None:
    if value is None:
        return None
    state, asset, amount, destination = value
    if not SENT <= _whole(state) <= FAILED:
        raise ValueError(f"state {state}")
    return Sending(state, _whole(asset), _whole(amount, 1), str(destination))


def _amounts(value: Any) -> dict[int, int]:
    return {int(asset): _whole(amount) for asset, amount in value.items()}


def _statement(value: Any) -> Statement:
    epoch, time_ns, holdings, departed, key, signature = value
    return Statement(
        _whole(epoch), _whole(time_ns), _amounts(holdings), _amounts(departed),
        bytes.fromhex(key), bytes.fromhex(signature),
    )


def custody_of(configured: Configured, data: Path) -> Custody:
    """The custody that the configuration asks for."""
    if configured.socket:
        return RemoteCustody(Path(configured.socket), configured.timeout_seconds)
    return EmbeddedCustody(custody_path(data))


# ---- the other end -------------------------------------------------------------------------------


def answer_to(custody: EmbeddedCustody, line: bytes) -> bytes:
    """The answer to one line, as a line."""
    question = json.loads(line)
    try:
        if question["call"] not in CALLS:
            raise CustodyError(f"no call {question['call']}")
        result = getattr(custody, question["call"])(*question["arguments"])
        if isinstance(result, Statement):
            result = [part.hex() if isinstance(part, bytes) else part for part in result]
        answer = {"id": question["id"], "result": result}
    except (CustodyError, TypeError) as error:
        answer = {"id": question["id"], "error": str(error)}
    return json.dumps(answer).encode() + b"\n"


def serve(custody: EmbeddedCustody, path: Path) -> None:
    """Answer whoever connects to a socket, until killed."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        os.chmod(path, 0o600)
        listener.listen()
        _serve_all(custody, listener)


def _serve_all(custody: EmbeddedCustody, listener: socket.socket) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        rests: dict[socket.socket, bytes] = {}
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    fresh = listener.accept()[0]
                    rests[fresh] = b""
                    selector.register(fresh, selectors.EVENT_READ)
                    continue
                peer = key.fileobj
                assert isinstance(peer, socket.socket)
                with contextlib.suppress(OSError):
                    data = peer.recv(1 << 16)
                    *lines, rests[peer] = (rests[peer] + data).split(b"\n")
                    for line in lines:
                        peer.sendall(answer_to(custody, line))
                    if data:
                        continue
                selector.unregister(peer)
                del rests[peer]
                peer.close()


if __name__ == "__main__":
    serve(EmbeddedCustody(Path(sys.argv[1])), Path(sys.argv[2]))
