"""The device's uplink, with TLS, run inside MicroPython against a server on this machine: what came of it."""

import json
import shutil
from pathlib import Path

from on_device import run

# An uplink with a session that publishes once and waits for the PUBACK; says what came of it.
DEVICE = """
import asyncio, json, os, vfs
vfs.mount(vfs.VfsPosix(os.getenv("RUN")), "/run")
from pigtail.config.schema import check
from pigtail.uplink.mqtt import Client
from pigtail.uplink.tls import Tls
from pigtail.uplink.uplink import Uplink
config = check(json.loads(os.getenv("CONFIG")))
class Clock: quality = int(os.getenv("CLOCK"))
class Link: up = True
class Session:
    acknowledged = []
    state = None
    async def run(self, link, beat):
        client.on_puback = self.acknowledged.append
        client.publish("t", bytes(1000), False, 1)
        while link.up and not self.acknowledged:
            client.step()
            await asyncio.sleep_ms(5)
        Session.state = uplink.state
        raise SystemExit
def told(): print(json.dumps([Session.state or uplink.state, uplink.reason, uplink.trust, Session.acknowledged]))
tls = Tls(config, Clock)
client = Client("dev", config["mqtt.host"], config["mqtt.port"], "me", "secret", 30, tls)
uplink = Uplink(client, Link, Session)
async def main():
    task = asyncio.create_task(uplink.run(lambda: None))
    for _ in range(300):
        await asyncio.sleep_ms(20)
        if uplink.failures or Session.acknowledged: break
try:
    asyncio.run(main())
except SystemExit:
    pass
told()
"""


def outcome(
    folder: Path, port: int, clock: int = 2, speed: float = 1.0, faketime: str = "", **config: object
) -> list[object]:
    """[state, reason, trust, acknowledged packet ids] of an uplink to the server on this port."""
    (folder / "link").write_text("1")
    whole: dict[str, object] = {"mqtt.host": "127.0.0.1", "mqtt.port": port, "mqtt.tls": 1}
    for name, value in config.items():
        if isinstance(value, Path) and value.exists():
            shutil.copyfile(value, folder / f"{name}.file")
        key = f"mqtt.{name}_file" if name in ("ca", "cert", "key") else f"mqtt.{name}"
        whole[key] = f"/run/{name}.file" if isinstance(value, Path) else value
    more = {"FAKETIME": faketime} if faketime else {}
    said = run(["-c", DEVICE], speed=speed, RUN=folder, CONFIG=json.dumps(whole), CLOCK=clock, **more)
    result: list[object] = json.loads(said.splitlines()[-1])
    return result
