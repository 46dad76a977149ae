#!/usr/bin/env python3
"""A producer for muster in plain Python 3: producer.py REDIS_URL FLEET QUEUE."""
import json
import socket
import sys
import time
import uuid
from urllib.parse import unquote, urlparse

# Redis starts, fails over or is busy: the same call may pass in a moment.
PASSING = ("LOADING", "READONLY", "MASTERDOWN", "BUSY", "TRYAGAIN")


class Refused(Exception):
    """Redis or muster said no, and would again."""


class Muster:
    def __init__(self, url, fleet, queue):
        self.url, self.key = urlparse(url), "ms:{%s/%s}:cfg" % (fleet, queue)
        self.link = None

    def connect(self):
        if self.url.scheme == "unix":
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(5)
            sock.connect(self.url.path)
        else:
            address = self.url.hostname, self.url.port or 6379
            sock = socket.create_connection(address, timeout=5)
        self.link = sock.makefile("rwb")
        if self.url.password:
            user = unquote(self.url.username or "default")
            self.call("AUTH", user, unquote(self.url.password))
        if self.url.scheme != "unix" and self.url.path.strip("/"):
            self.call("SELECT", self.url.path.strip("/"))

    def call(self, *words):
        data = [str(word).encode() for word in words]
        self.link.write(b"*%d\r\n" % len(data) + b"".join(
            b"$%d\r\n%s\r\n" % (len(word), word) for word in data))
        self.link.flush()
        line = self.link.readline().decode()
        if line.startswith("-"):
            if line[1:].startswith(PASSING):
                raise ConnectionError(line)
            raise Refused(line[1:].strip())
        if not line.startswith("$"):
            return line[1:].strip()
        body = self.link.read(int(line[1:]) + 2)
        if not body.endswith(b"\r\n"):
            raise ConnectionError("the connection broke inside an answer")
        return body[:-2].decode()

    def enqueue(self, kind, payload, **options):
        # Whether a call that broke has arrived nobody knows.  Its token makes
        # the next try give the first one's answer, and no second job.
        options.setdefault("token", uuid.uuid4().hex)
        words = ["FCALL", "muster_enqueue", 1, self.key, kind,
                 json.dumps(payload)]
        for option in options.items():
            words.extend(option)
        for pause in (0.05, 0.2, 1, 3, 10, 10, None):
            try:
                if self.link is None:
                    self.connect()
                return json.loads(self.call(*words))
            except (OSError, ValueError):
                self.link = None
                if pause is None:
                    raise
                time.sleep(pause)


if __name__ == "__main__":
    muster = Muster(*sys.argv[1:4])
    for answer in (
        muster.enqueue("noop.echo", {"to": 7}),
        muster.enqueue("noop.echo", ["first"], priority=0, group="tenant-1"),
        muster.enqueue("noop.echo", "later", delay_ms=200),
        muster.enqueue("noop.echo", {"invoice": 4711}, id="invoice:4711"),
        muster.enqueue("noop.echo", {}, unique="report", delay_ms=500),
        muster.enqueue("noop.echo", {}, unique="report"),  # deduplicated
    ):
        print(json.dumps(answer))
    try:
        muster.enqueue("noop.echo", {}, priority=10)
    except Refused as why:
        print("refused:", why, file=sys.stderr)
