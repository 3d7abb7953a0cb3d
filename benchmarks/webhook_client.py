"""An open-loop client of the webhook: sends at its times whether or not what it sent before was answered.

    python -m benchmarks.webhook_client PORT RATE SECONDS FOLDER RESULT

FOLDER holds bodies named EVENT.N.json. Writes one JSON object to RESULT: latencies from the time at which a delivery
was due to its 202, statuses, and the digests of what was acknowledged. Raw HTTP/1.1 over kept connections, because a
client that takes more of the machine than the service does would measure itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import sys
import time
from pathlib import Path

SECRET = b"benchmark"


class Client:
    """Connections are kept, and made when none is idle."""

    def __init__(self, port: int, bodies: list[tuple[str, bytes]]) -> None:
        self._port, self._bodies = port, bodies
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.latencies: list[float] = []
        self.statuses: dict[str, int] = {}
        self.acknowledged: list[str] = []
        self.late = 0.0

    def request(self, number: int) -> tuple[bytes, str]:
        """A delivery of its own, signed, and the digest of its body."""
        event, template = self._bodies[number % len(self._bodies)]
        body = b'{"benchmark":%d,' % number + template[1:]
        signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
        head = (
            "POST /webhooks/github HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: GitHub-Hookshot/bench\r\n"
            f"Content-Type: application/json\r\nX-GitHub-Event: {event}\r\nX-GitHub-Delivery: {number}\r\n"
            f"X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body, hashlib.sha256(body).hexdigest()

    async def send(self, number: int, due: float) -> None:
        """One delivery and its answer."""
        request, digest = self.request(number)
        try:
            reader, writer = await self._connection()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            self._count(type(error).__name__)
            return
        status = head.split(b" ", 2)[1].decode()
        self._count(status)
        if status == "202":
            self.latencies.append(time.perf_counter() - due)
            self.acknowledged.append(digest)
        self._idle.append((time.perf_counter(), reader, writer))

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The one used last, unless the service may be closing it: it does after five idle seconds."""
        while self._idle:
            used, reader, writer = self._idle.pop()
            if time.perf_counter() - used < 2:
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def run(self, rate: float, seconds: float, first: int) -> float:
        """Send `rate` a second; how long it took until all were answered."""
        started = time.perf_counter() + 0.1
        tasks = []
        for place in range(int(rate * seconds)):
            due = started + place / rate
            if (left := due - time.perf_counter()) > 0:
                await asyncio.sleep(left)
            self.late = max(self.late, time.perf_counter() - due)
            tasks.append(asyncio.create_task(self.send(first + place, due)))
        await asyncio.gather(*tasks)
        return time.perf_counter() - started

    def _count(self, outcome: str) -> None:
        self.statuses[outcome] = self.statuses.get(outcome, 0) + 1


def main() -> None:
    """A short run that warms both sides up, then the one that counts."""
    port, rate, seconds, folder = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
    bodies = [(path.name.split(".")[0], path.read_bytes()) for path in sorted(folder.glob("*.json"))]
    client = Client(port, bodies)
    asyncio.set_event_loop_policy(_fastest())

    async def both() -> float:
        await client.run(rate / 2, 2, 1_000_000_000)
        client.latencies.clear()
        client.statuses.clear()
        client.late = 0.0
        return await client.run(rate, seconds, 0)

    elapsed = asyncio.run(both())
    result = {
        "elapsed": elapsed,
        "latencies": client.latencies,
        "statuses": client.statuses,
        "late": client.late,
        "acknowledged": client.acknowledged,
        "cpu": sum(os.times()[:2]),
    }
    Path(sys.argv[5]).write_text(json.dumps(result))


def _fastest() -> asyncio.AbstractEventLoopPolicy:
    try:
        import uvloop
    except ImportError:
        return asyncio.DefaultEventLoopPolicy()
    return uvloop.EventLoopPolicy()


if __name__ == "__main__":
    main()
