# SPDX-License-Identifier: Apache-2.0
"""A relay for TCP connections: a small load balancer before several httpds, or the wire between an httpd and its database server, which tests can cut."""
import select
import socket
import struct
import threading

from httpd import free_port


class Relay:
    """Listens on a port of its own; `target` is where each new connection leads: whatever has a `port` (on loopback), or the path of a unix socket.

    cut()    connections break with a reset, new ones too: the server is gone
    hang()   nothing moves any more and nothing breaks: a firewall that swallows, a server that stands still
    heal()   all is well again; what was under way while it hung goes on
    """

    def __init__(self, target):
        self.target = target
        self.port = free_port()
        self.moving = threading.Event()
        self.moving.set()
        self.whole, self.cuts = True, 0
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self):
        self.whole = False
        self.cuts += 1
        self.moving.set()

    def hang(self):
        self.moving.clear()

    def heal(self):
        self.whole = True
        self.moving.set()

    def close(self):
        # Closing alone would leave the port to whoever waits in accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    # --- threads ----------------------------------------------------------------------------------------------------------------

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client):
        cuts = self.cuts
        self.moving.wait()
        ends = [client]
        try:
            if self.whole:
                port = getattr(self.target, "port", None)
                server = socket.socket(socket.AF_UNIX if port is None else socket.AF_INET)
                ends.append(server)
                server.connect(str(self.target) if port is None else ("127.0.0.1", port))
                self._pump({client: server, server: client}, cuts)
        except OSError:
            pass
        for end in ends:
            if cuts != self.cuts or not self.whole:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()

    def _pump(self, other, cuts):
        while cuts == self.cuts:
            for end in select.select(list(other), [], [], 0.05)[0]:
                data = end.recv(65536)
                self.moving.wait()
                if not data or cuts != self.cuts:
                    return
                other[end].sendall(data)
