# SPDX-License-Identifier: Apache-2.0
"""What a platform can do wrong beyond the plain switches of campus.py: a fault {"act": f} has f(handler, answer) return another answer, or send it in its own way and return None.

    campus.faults["nrps"] = {"act": faults.reset}
    campus.faults["nrps"] = {"act": faults.members(lambda people: people * 2)}
"""
import gzip
import io
import itertools
import json
import socket
import struct
import threading
import time

from campus_protocol import NRPS_TYPE, Answer

JSON = "application/json"


# --- how an answer is sent --------------------------------------------------------------------------------------------------------


def _send_part(handler, answer, size):
    """The head, which promises everything, and `size` bytes of the body. False if the other side has gone."""
    try:
        handler.send_response(answer.status)
        handler.send_header("Content-Type", answer.content_type)
        handler.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer.body[:size])
        handler.wfile.flush()
    except OSError:
        return False
    return True


def reset(handler, answer):
    """Half the body, then the connection is torn down (RST)."""
    handler.close_connection = True
    if _send_part(handler, answer, len(answer.body) // 2):
        time.sleep(0.05)  # so that the half arrives
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The descriptor is duplicated in the handler's files: closing all of them sends the RST.
        handler.rfile.close()
        handler.wfile.close()
        handler.server.connections.discard(handler.connection)
        handler.connection.close()
    handler.wfile = handler.rfile = io.BytesIO()


class Hang:
    """Half the body, and then nothing for as long as it is not ended."""

    def __init__(self):
        self.begun, self.ended = threading.Event(), threading.Event()

    def __call__(self, handler, answer):
        handler.close_connection = True
        _send_part(handler, answer, len(answer.body) // 2)
        self.begun.set()
        self.ended.wait(60)


def silent(handler, answer):
    """Takes the request and never says a word."""
    handler.close_connection = True
    handler.connection.settimeout(30)
    try:
        handler.connection.recv(1)  # until the other side gives up
    except OSError:
        pass


def dripping(seconds, pieces=10):
    """The whole body, but piece by piece."""

    def act(handler, answer):
        size = -(-len(answer.body) // pieces)
        if not _send_part(handler, answer, size):
            handler.close_connection = True
            return
        try:
            for begin in range(size, len(answer.body), size):
                time.sleep(seconds / pieces)
                handler.wfile.write(answer.body[begin : begin + size])
                handler.wfile.flush()
        except OSError:
            handler.close_connection = True

    return act


# --- what is in it ------------------------------------------------------------------------------------------------------------------


def say(body=b"", status=200, content_type=JSON, headers=()):
    """An answer of its own in place of the right one."""
    return lambda handler, answer: Answer(status, body, content_type, list(headers))


def labelled(content_type):
    return lambda handler, answer: Answer(answer.status, answer.body, content_type, answer.headers)


def spelt(change):
    """change(bytes) -> bytes."""
    return lambda handler, answer: Answer(answer.status, change(answer.body), answer.content_type, answer.headers)


def members(change):
    """change(list of members) -> list of members."""

    def act(handler, answer):
        container = json.loads(answer.body)
        container["members"] = change(container["members"])
        return Answer(answer.status, json.dumps(container, ensure_ascii=False).encode(), answer.content_type, answer.headers)

    return act


def compressed(handler, answer):
    return Answer(answer.status, gzip.compress(answer.body), answer.content_type, [*answer.headers, ("Content-Encoding", "gzip")])


def falsely_compressed(handler, answer):
    return Answer(answer.status, answer.body, answer.content_type, [*answer.headers, ("Content-Encoding", "gzip")])


def bomb(megabytes, begin=b'{"members": [', content_type=NRPS_TYPE):
    """A small answer that unfolds to many megabytes of blanks."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        file.write(begin)
        for _ in range(megabytes):
            file.write(b" " * (1 << 20))
    return say(packed.getvalue(), 200, content_type, [("Content-Encoding", "gzip")])


def endless(handler, answer):
    """Each page has a next link that was never there before, and names the same people."""
    number = next(_endless)
    path = handler.path.partition("?")[0]
    links = [("Link", f'<{handler.campus.issuer}{path}?page={number}>; rel="next"')]
    return Answer(answer.status, answer.body, answer.content_type, links)


_endless = itertools.count(2)
