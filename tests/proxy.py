# SPDX-License-Identifier: MIT
"""A way to a server that can be cut without either side being told."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator

__all__ = ["Proxy", "proxy"]


class Proxy:
    """Hands bytes between its clients and a server of 127.0.0.1, on a thread.

    While `cut`, what either side sends is swallowed and no connection is made
    or closed, as where packets are dropped. `heal` ends the connections that
    have lost bytes, which TCP would have found out about by itself.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._bell, self._ear = socket.socketpair()
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._others: dict[socket.socket, socket.socket] = {}
        self._is_cut = False
        self._commands: list[str] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        self._do("cut")

    def heal(self) -> None:
        self._do("heal")

    def close(self) -> None:
        self._do("close")
        self._thread.join()

    def _do(self, command: str) -> None:
        self._done.clear()
        self._commands.append(command)
        self._bell.send(b"!")
        assert self._done.wait(10)

    # -- its thread ---------------------------------------------------------

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._ear:
                    self._ear.recv(1)
                    command = self._commands.pop(0)
                    self._is_cut = command == "cut"
                    if command != "cut":
                        self._drop_all()
                    if command == "close":
                        self._selector.close()
                        for it in (self._listener, self._bell, self._ear):
                            it.close()
                        self._done.set()
                        return
                    self._done.set()
                elif key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj in self._others:
                    assert isinstance(key.fileobj, socket.socket)
                    self._move(key.fileobj)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if self._is_cut:
            # The kernel has answered it; nobody else does.
            self._others[client] = client
            self._selector.register(client, selectors.EVENT_READ)
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port))
        except OSError:
            client.close()
            return
        for one, other in ((client, server), (server, client)):
            self._others[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _move(self, source: socket.socket) -> None:
        try:
            data = source.recv(1 << 16)
            if not self._is_cut:
                self._others[source].sendall(data)
        except OSError:
            data = b""
        if data:
            return
        if self._is_cut:
            self._selector.unregister(source)
        else:
            self._drop(source)

    def _drop(self, it: socket.socket) -> None:
        other = self._others.pop(it)
        self._others.pop(other, None)
        for one in {it, other}:
            with contextlib.suppress(KeyError):
                self._selector.unregister(one)
            one.close()

    def _drop_all(self) -> None:
        while self._others:
            self._drop(next(iter(self._others)))


@contextlib.contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    it = Proxy(port)
    try:
        yield it
    finally:
        it.close()
