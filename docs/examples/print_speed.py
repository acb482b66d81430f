"""Prints the speed of every car that a broker brings: python docs/examples/print_speed.py mqtt://127.0.0.1:1883 [DEVICE]"""

import asyncio
import sys
from contextlib import suppress

from host_tools.reader import listen, samples


async def main(url: str, device: str | None = None) -> None:
    async for reading in samples(listen(url, device, reconnect=True)):
        if reading.path == "Vehicle.Speed" and reading.quality == "valid":
            when = f"{reading.time:%H:%M:%S}" if reading.time else "        "
            print(f"{when}  {reading.device}  {reading.value:.1f} {reading.unit}", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
