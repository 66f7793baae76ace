"""A gateway over real sockets and real shared memory, stepped by hand beside a fake core."""

import socket
import time
from types import SimpleNamespace

import pytest
import structlog

from core import config
from core.messages import decode, encode
from core.process import Options
from gateway.binary.__main__ import build, load
from gateway.binary.frames import framed
from gateway.binary.signing import sign
from tests.gateway.binary.fake_core import FakeCore

SECRET = "a secret of sixteen or more"
SESSION = 7
PATIENCE = 5.0  # seconds


class Exchange:
    """The gateway, the core beside it, and a clock's patience."""

    def __init__(self, instance, tmp_path, **changes):
        self.options = Options(instance, tmp_path, tmp_path, tmp_path / "config.json")
        sessions = [
            config.BinarySession(
                session=number, key_id=f"key-{number}", secret=SECRET, owner="o",
                accounts=("a",), **changes.pop(f"session_{number}", {}),
            )
            for number in (SESSION, 8)
        ]
        core_log = changes.pop("log_bytes", 1 << 22)
        ring_bytes = changes.pop("ring_bytes", 1 << 22)
        binary = config.BinaryGateway(port=0, session=tuple(sessions), **changes)
        rings = config.Rings(command_bytes=ring_bytes)
        self.configuration = config.Configuration(binary=binary, rings=rings)
        self.core = FakeCore(instance, tmp_path, core_log, ring_bytes)
        self.clients = []
        self.start()

    def start(self):
        process = SimpleNamespace(
            options=self.options, configuration=self.configuration,
            log=structlog.get_logger("test"),
        )
        load(process)
        self.gateway, self.bell, self.row, self.port = build(process)

    def step(self):
        return self.gateway.poll() + self.core.poll()

    def settle(self, seconds=0.0):
        """Step until nothing happens any more, and for so long at least."""
        end = time.monotonic() + seconds
        while self.step() or time.monotonic() < end:
            pass

    def until(self, reached, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < end, "it did not happen in time"
            self.step()

    def client(self, **options):
        self.clients.append(Client(self, **options))
        return self.clients[-1]

    def restart(self):
        """The gateway is gone at once, as after a kill -9, and comes back."""
        self.gateway.close()
        self.start()

    def close(self):
        for client in self.clients:
            client.close()
        self.gateway.stop()
        self.bell.close()
        self.core.archive.close()


class Client:
    """A client that speaks the protocol with the slow codec and plain sockets."""

    def __init__(self, exchange, session=SESSION, secret=SECRET):
        self.exchange, self.session, self.secret = exchange, session, secret
        self.socket = socket.create_connection(("127.0.0.1", exchange.port))
        self.socket.setblocking(False)
        self.data = b""
        self.ended = False
        self.number = 1

    def send(self, name, **fields):
        self.write(framed(encode(name, fields)))

    def write(self, data):
        while data:
            try:
                data = data[self.socket.send(data) :]
            except BlockingIOError:
                self.exchange.step()

    def signed(self, name, **fields):
        fields["timestamp"] = fields.get("timestamp") or time.time_ns()
        self.send(name, **fields, signature=sign(name, fields, self.secret))

    def negotiate(self, version=None, **changes):
        self.version = version or time.time_ns()
        fields = {
            "sessionId": self.session, "versionId": self.version,
            "keyId": f"key-{self.session}", "nonce": 1,
        }
        self.signed("Negotiate", **(fields | changes))
        return self.receive()

    def establish(self, **changes):
        fields = {
            "sessionId": self.session, "versionId": self.version, "keepaliveInterval": 1000,
            "nextSeqNo": 1, "cancelOnDisconnectWindow": 0, "cancelOnDisconnect": 0,
        }
        self.signed("Establish", **(fields | changes))
        return self.receive()

    def connect(self, **changes):
        assert self.negotiate()[0] == "NegotiateResponse"
        name, fields = self.establish(**changes)
        assert name == "EstablishAck"
        return fields

    def order(self, number=None, **changes):
        """A new order under the client's next number; its bytes."""
        if number is None:
            number, self.number = self.number, self.number + 1
        fields = {
            "header": {"sendingTime": time.time_ns(), "msgSeqNum": number}, "account": 100,
            "clOrdId": number, "price": 100, "orderQty": 5, "instrument": 1, "side": 1,
            "ordType": 2, "timeInForce": 1, "execInst": 0, "stopPx": None, "displayQty": None,
            "expireTime": None, "tag": 0, "selfTradePrevention": 0, "triggerType": 0,
            "outcomeSide": 0, "echo": b"",
        }
        return framed(encode("NewOrderSingle", fields | changes))

    def pull(self):
        """Read what the socket has; whether there was anything."""
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            data = b""
        self.data += data
        self.ended = self.ended or not data
        return bool(data)

    def receive(self, seconds=PATIENCE):
        """The next message, or None when the connection has ended."""
        end = time.monotonic() + seconds
        while True:
            length = int.from_bytes(self.data[:4], "big")
            if length and len(self.data) >= length:
                message, self.data = self.data[6:length], self.data[length:]
                return decode(message)
            if self.ended:
                return None
            assert time.monotonic() < end, "no message in time"
            self.exchange.step()
            self.pull()

    def silent(self, seconds=0.1):
        """Whether nothing comes for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.exchange.step()
            self.pull()
        return not self.data

    def close(self):
        self.socket.close()


@pytest.fixture
def make(instance, tmp_path):
    """Make an exchange with changed settings."""
    made = []

    def start(**changes):
        made.append(Exchange(instance, tmp_path, **changes))
        return made[-1]

    yield start
    for exchange in made:
        exchange.close()


@pytest.fixture
def exchange(make):
    return make()


@pytest.fixture
def client(exchange):
    return exchange.client()
