"""What the doors with sockets of their own have in common: a listener, an epoll, a way to sleep."""

import select
import socket

from core.doorbell import Doorbell


class Listener:
    """A listening TCP socket, and the epoll that watches it and whatever else is registered.

    `port` is where it listens. Raises OSError if the address cannot be bound.
    """

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((host, port))
            self._listener.listen(128)
        except OSError:
            self._listener.close()
            raise
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)

    def wake_on(self, descriptor: int) -> None:
        """Let `wait` end when this descriptor has something to read, too."""
        self._epoll.register(descriptor, select.EPOLLIN)

    def wait(self, seconds: float) -> bool:
        """Sleep until something is ready or the time is over; whether there was something."""
        return bool(self._epoll.poll(seconds, 1))


class SocketBell(Doorbell):
    """A doorbell that also wakes its owner when a socket is ready."""

    sockets: Listener

    def wait(self, timeout_seconds: float) -> bool:
        """Sleep until a byte comes, a socket is ready, or the time is over."""
        return self.sockets.wait(timeout_seconds)
