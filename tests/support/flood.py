"""More requests than a service can answer: open loop, a connection each, none waits for another."""

from __future__ import annotations

import asyncio
from collections import Counter

from demijohn.drill.http import Connection, Target

ASKED = "/data?limit=1"
"""Dearer to the service than to its client, so that one client can ask for too much; and it leaves
nothing behind, where a minute of writes would leave the tests that follow a slow database."""
MOST_AT_ONCE = 3_000
"""Connections that the client may hold; a request that finds them all taken is counted."""


async def flood(url: str, rate: float, seconds: float) -> Counter[str]:
    """Offer `ASKED` at `rate` a second; the counts of statuses, failures and `not sent`."""
    target = await Target.resolve(url)
    loop = asyncio.get_running_loop()
    ended: Counter[str] = Counter()
    under_way: set[asyncio.Task[None]] = set()

    async def ask() -> None:
        connection = Connection(timeout=30)
        answer = await connection.open(target) or await connection.exchange(request)
        ended[str(answer.failure or answer.status)] += 1
        connection.close()

    request = target.request("GET", ASKED, close=True)
    began, begun = loop.time(), 0
    while (passed := loop.time() - began) < seconds:
        for _ in range(int(passed * rate) - begun):
            begun += 1
            if len(under_way) >= MOST_AT_ONCE:
                ended["not sent"] += 1
                continue
            task = loop.create_task(ask())
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.sleep(0.005)
    await asyncio.gather(*under_way)
    return ended


async def capacity(url: str, clients: int, seconds: float) -> float:
    """Answers 200 a second to so many clients that each ask again as soon as they are answered."""
    target = await Target.resolve(url)
    loop = asyncio.get_running_loop()
    request = target.request("GET", ASKED, close=True)
    until = loop.time() + seconds
    good = 0

    async def client() -> None:
        nonlocal good
        while loop.time() < until:
            connection = Connection(timeout=30)
            if await connection.open(target) is None:
                answer = await connection.exchange(request)
                good += answer.status == 200
            connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return good / seconds
