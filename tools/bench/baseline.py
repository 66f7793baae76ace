"""What the gateways are measured beside: a server that only sends back, a disk that only writes.

The echo server is a uvloop BufferedProtocol in a process of its own: it does nothing else, and
nobody could do less. Under `fsync` an acknowledgement also waits for a disk, so that is timed bare.
"""

import asyncio
import contextlib
import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import uvloop

from tools.bench.samples import summary


def _serve(control: Any, spin: bool) -> None:
    """A bare uvloop server that sends back what came; tells its port through `control`."""
    class Echo(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(1 << 18)

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.transport.write(bytes(memoryview(self.buffer)[:nbytes]))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        control.send(server.sockets[0].getsockname()[1])

        def again() -> None:
            loop.call_soon(again)

        if spin:
            again()
        await server.serve_forever()

    uvloop.run(main())


@contextlib.contextmanager
def echo_connection(spin: bool) -> Iterator[int]:
    """An echo server that spins or sleeps; the descriptor of a connection that doesn't block."""
    context = multiprocessing.get_context("spawn")
    control, far = context.Pipe()
    process = context.Process(target=_serve, args=(far, spin), daemon=True)
    process.start()
    try:
        with socket.create_connection(("127.0.0.1", control.recv())) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setblocking(False)
            yield connection.fileno()
    finally:
        process.kill()
        process.join()
        control.close()
        far.close()


def bare_disk(frames: int) -> dict[str, Any]:
    """Write 256 bytes and fdatasync, again and again: what an acknowledgement under fsync adds."""
    took = np.zeros(frames, np.int64)
    with tempfile.TemporaryFile() as file:
        for number in range(frames):
            begin = time.monotonic_ns()
            os.write(file.fileno(), bytes(256))
            os.fdatasync(file.fileno())
            took[number] = time.monotonic_ns() - begin
    return {"latency_ns": summary(took)}
