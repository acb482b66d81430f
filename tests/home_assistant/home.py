"""A real Home Assistant in a folder of its own, with its MQTT integration, and what its REST API says."""

import asyncio
import json
import os
import socket
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from host_tools.paths import CACHE
from host_tools.sim.child import bound

HASS = CACHE / "home-assistant" / "bin" / "hass"
START_S = 90.0
_ACCOUNT = {"username": "owner", "password": "tail-and-pig"}
_CLIENT = "http://127.0.0.1/"
_ENTRY = {
    "entry_id": "broker", "version": 1, "minor_version": 1, "domain": "mqtt", "title": "broker", "options": {}, "unique_id": None,
    "pref_disable_new_entities": False, "pref_disable_polling": False, "source": "user", "disabled_by": None,
}  # fmt: skip


class Home:
    """`start` and `stop` it as often as you like: the folder remembers."""

    def __init__(self, folder: Path, broker_port: int) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        self._token = ""
        self._process: asyncio.subprocess.Process | None = None
        (folder / ".storage").mkdir(parents=True)
        entry = _ENTRY | {"data": {"broker": "127.0.0.1", "port": broker_port, "discovery": True}}
        store = {"version": 1, "minor_version": 1, "key": "core.config_entries", "data": {"entries": [entry]}}
        (folder / ".storage" / "core.config_entries").write_text(json.dumps(store))
        port = self._url.rpartition(":")[2]
        (folder / "configuration.yaml").write_text(
            "homeassistant: {name: test, latitude: 0, longitude: 0, elevation: 0, unit_system: metric, time_zone: UTC}\n"
            f"http: {{server_host: 127.0.0.1, server_port: {port}}}\nauth:\napi:\n"
        )

    async def start(self) -> None:
        """Returns when it answers."""
        if not self._token:
            await self._run("--script", "auth", "-c", str(self.folder), "add", *_ACCOUNT.values())
        with (self.folder / "said.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *bound([str(HASS), "-c", str(self.folder), "--skip-pip"]), stdout=log, stderr=log,
                stdin=asyncio.subprocess.DEVNULL, env=os.environ | {"HOME": str(self.folder)},
            )  # fmt: skip
        deadline = asyncio.get_running_loop().time() + START_S
        while True:
            try:
                self._token = await asyncio.to_thread(self._log_in)
                return
            except OSError:
                assert self._process.returncode is None, (self.folder / "said.log").read_text()[-2000:]
                assert asyncio.get_running_loop().time() < deadline, "Home Assistant does not answer"
                await asyncio.sleep(0.5)

    async def stop(self) -> None:
        """Ends it in order."""
        if self._process and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def entities(self) -> dict[str, dict[str, Any]]:
        """What it knows of the sensors of MQTT, by their names."""
        states = await asyncio.to_thread(self._ask, "/api/states")
        kinds = "sensor.", "binary_sensor."
        return {s["attributes"].get("friendly_name", ""): s for s in states if s["entity_id"].startswith(kinds)}

    def registered(self) -> set[str]:
        """The unique ids that its registry of entities has kept on disk; it writes them when it stops."""
        stored = json.loads((self.folder / ".storage" / "core.entity_registry").read_text())
        return {entity["unique_id"] for entity in stored["data"]["entities"] if entity["platform"] == "mqtt"}

    async def _run(self, *arguments: str) -> None:
        process = await asyncio.create_subprocess_exec(*bound([str(HASS), *arguments]), stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0

    def _log_in(self) -> str:
        flow = {"client_id": _CLIENT, "redirect_uri": _CLIENT, "handler": ["homeassistant", None]}
        ident = self._ask("/auth/login_flow", flow)["flow_id"]
        code = self._ask(f"/auth/login_flow/{ident}", _ACCOUNT | {"client_id": _CLIENT})["result"]
        form = {"grant_type": "authorization_code", "code": code, "client_id": _CLIENT}
        token: str = self._ask("/auth/token", urllib.parse.urlencode(form).encode())["access_token"]
        return token

    def _ask(self, path: str, sent: object = None) -> Any:
        data = sent if isinstance(sent, bytes) or sent is None else json.dumps(sent).encode()
        request = urllib.request.Request(self._url + path, data)
        if not isinstance(sent, bytes):
            request.add_header("Content-Type", "application/json")
        if path.startswith("/api"):
            request.add_header("Authorization", f"Bearer {self._token}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
