#!/usr/bin/python3
"""Clients that hold their connections for a time and compare all they get.

    lasting_clients.py websockets|typing HOST:PORT SECONDS

websockets: eight clients, messages of all sizes, each echoed. typing: four people at a shell on a terminal,
key by key, as through ssh: each key is echoed by the terminal before the next one follows.
"""

import asyncio
import random
import sys
import time

import websockets

MOST_BYTES = 200_000
PATIENCE = 10


async def talk(address, until, seed):
    chance, messages = random.Random(seed), 0
    async with websockets.connect(f"ws://{address}/", max_size=None, ping_interval=1) as client:
        while time.monotonic() < until:
            message = chance.randbytes(int(MOST_BYTES ** chance.random()))
            await client.send(message)
            assert await asyncio.wait_for(client.recv(), PATIENCE) == message, "another message"
            messages += 1
    return messages, 0.0


async def type_keys(address, until, seed):
    chance, keys, longest = random.Random(seed), 0, 0.0
    reader, writer = await asyncio.open_connection(*address.rsplit(":", 1))
    line = 0
    while time.monotonic() < until:
        line += 1
        for key in f"echo $(({line} * 7))\n":
            begin = time.monotonic()
            writer.write(key.encode())
            expected = key.replace("\n", "\r\n").encode()
            shown = await asyncio.wait_for(reader.readexactly(len(expected)), PATIENCE)
            assert shown == expected, (shown, expected)
            longest = max(longest, time.monotonic() - begin)
            keys += 1
            await asyncio.sleep(chance.uniform(0.005, 0.05))
        said = await asyncio.wait_for(reader.readline(), PATIENCE)
        assert said == b"%d\r\n" % (line * 7), said
    writer.close()
    return keys, longest


async def main(kind, address, seconds):
    client, count = {"websockets": (talk, 8), "typing": (type_keys, 4)}[kind]
    until = time.monotonic() + float(seconds)
    results = await asyncio.gather(*(client(address, until, seed) for seed in range(count)))
    done, longest = sum(each for each, _ in results), max(time for _, time in results)
    print(f"{done} {'messages' if kind == 'websockets' else 'keys'}, no error"
          + (f", the longest took {longest * 1e3:.0f} ms" if longest else ""))


asyncio.run(main(*sys.argv[1:]))
