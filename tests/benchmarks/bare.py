"""The least that sends the batches of a first push: aiohttp in a loop, and nothing else.

    python tests/benchmarks/bare.py URL KEY HANDS FILE

FILE holds a list of [path, body]. The first is sent alone, the others by so many hands.
"""

import asyncio
import json
import sys

import aiohttp


async def send(url: str, key: str, hands: int, batches: list[tuple[str, object]]) -> None:
    """Send these bodies and read each reply."""
    left = iter(batches)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:

        async def post(path: str, body: object) -> None:
            async with session.post(url + path, json=body) as answer:
                answer.raise_for_status()
                await answer.json()

        async def worker() -> None:
            for path, body in left:
                await post(path, body)

        await post(*next(left))
        await asyncio.gather(*(worker() for _ in range(hands)))


if __name__ == "__main__":
    url, key, hands, name = sys.argv[1:]
    with open(name, encoding="utf-8") as file:  # noqa: PTH123 - the loop is to load nothing more
        batches = json.load(file)
    asyncio.run(send(url, key, int(hands), batches))
