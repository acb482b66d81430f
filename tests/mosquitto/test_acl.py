"""docs/fleet.md on a real mosquitto: its ACL file, client ids, shares and bridge. The topics are those of docs/asyncapi.yaml."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from asyncapi_document import Document, load

from host_tools.errors import BrokerError
from host_tools.reader.connection import Address, Connection
from tests.mosquitto.broker import HOST, Mosquitto

EXAMPLES = Path(__file__).parents[2] / "docs/examples"
USERS = ("a", "b", "reader", "commander", "home-assistant", "observer", "site-1")
OF_TESTS = "\nuser observer\ntopic readwrite #\n\nuser site-1\ntopic readwrite pigtail/v1/a/#\n"  # the page has the second
PLACES = {"hash": "94df40b4", "path": "Vehicle/Speed", "prefix": "homeassistant", "component": "sensor", "object": "Speed"}
KEPT = ("persistence true", "max_queued_messages 0")  # it is told so already
HANGS_S = 120
MARKER = b"marker"

Make = Callable[..., Mosquitto]


def topics(device: str, *channels: str) -> set[str]:
    """A device's documented topics, those of all channels unless some are named."""
    names = PLACES | {"device": device, "node": device}
    known = Document(load()).channels
    return {known[name]["address"].format(**names) for name in channels or known}


@pytest.fixture
def fleet(mosquitto: Make, tmp_path: Path) -> Mosquitto:
    return a_fleet(mosquitto, tmp_path)


def a_fleet(mosquitto: Make, folder: Path, *more: str, **settings: object) -> Mosquitto:
    """A broker with the page's ACL file, and a user beside who may do everything."""
    acl = folder / "acl"
    acl.write_text((EXAMPLES / "mosquitto.acl").read_text() + OF_TESTS)
    acl.chmod(0o600)
    accounts = {user: f"secret of {user}" for user in USERS}
    return mosquitto(accounts=accounts, more=(*more, f"acl_file {acl}"), **settings)


def connection(broker: Mosquitto, user: str, identifier: str | None = None) -> Connection:
    address = Address(HOST, broker.port, user, f"secret of {user}")
    return Connection(address, session=identifier, forget=identifier is not None)


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, HANGS_S))


async def until_marker(client: aiomqtt.Client) -> set[str]:
    """The topics of what comes before the marker."""
    got = set()
    async for told in client.messages:
        if told.payload == MARKER:
            break
        got.add(told.topic.value)
    return got


async def written(broker: Mosquitto, user: str, to: Iterable[str]) -> set[str]:
    """Those of the topics on which what this user publishes arrives."""
    async with connection(broker, "observer") as observer:
        await observer.subscribe("#", qos=1)
        for topic in to:
            with suppress(BrokerError):  # mosquitto 2.0.11 closes the connection of whoever may not
                async with connection(broker, user) as client:
                    await client.publish(topic, b"x", qos=1)
        await observer.publish("end", MARKER, qos=1)
        return await until_marker(observer)


async def read(broker: Mosquitto, user: str, filters: Iterable[str], marker: str) -> set[str]:
    """The topics that a user gets by such filters, of all of both devices', retained and as they come; it may read `marker`."""
    everything = topics("a") | topics("b")
    async with connection(broker, "observer") as observer, connection(broker, user) as client:
        for topic in everything:
            await observer.publish(topic, b"x", qos=1, retain=True)
        for one in filters:
            await client.subscribe(one, qos=1)
        for topic in everything:
            await observer.publish(topic, b"y", qos=1)
        await observer.publish(marker, MARKER, qos=1)
        return await until_marker(client)


def test_device_writes_its_own_topics_and_no_others(fleet: Mosquitto) -> None:
    async def main() -> None:
        beside = {"pigtail/v1/a", "pigtail/v1/a/x", "pigtail/v2/a/status", "homeassistant/status", "end"}
        got = await written(fleet, "a", topics("a") | topics("b") | beside)
        assert got == topics("a") - topics("a", "command")

    run(main())


def test_device_reads_its_own_commands_and_nothing_else(fleet: Mosquitto) -> None:
    async def main() -> None:
        for filters in ["#"], ["pigtail/v1/+/command"], sorted(topics("a") | topics("b")):
            assert await read(fleet, "a", filters, "pigtail/v1/a/command") == topics("a", "command")

    run(main())


@pytest.mark.parametrize(
    ("user", "reads", "marker"),
    [
        ("reader", ("status", "profile", "telemetry", "gap", "event", "state", "reply"), "pigtail/v1/a/status"),
        ("commander", ("reply", "capture"), "pigtail/v1/a/reply"),
        ("home-assistant", ("status", "state", "discovery"), "pigtail/v1/a/status"),
    ],
)
def test_others_read_what_is_for_them(fleet: Mosquitto, user: str, reads: tuple[str, ...], marker: str) -> None:
    async def main() -> None:
        assert await read(fleet, user, ["#"], marker) == topics("a", *reads) | topics("b", *reads)

    run(main())


@pytest.mark.parametrize("user", ["reader", "commander", "home-assistant"])
def test_others_write_nothing_not_even_as_a_device_of_their_name(fleet: Mosquitto, user: str) -> None:
    async def main() -> None:
        may = topics("a", "command") if user == "commander" else set()
        assert await written(fleet, user, topics("a") | topics(user)) == may

    run(main())


@pytest.mark.parametrize(("user", "password"), [(None, None), ("a", "secret of b"), ("c", "secret of c")])
def test_nobody_comes_in_without_an_account(fleet: Mosquitto, user: str | None, password: str | None) -> None:
    async def main() -> None:
        with pytest.raises(BrokerError):
            async with Connection(Address(HOST, fleet.port, user, password)):
                pass

    run(main())


def test_device_cannot_take_over_anothers_session(mosquitto: Make, tmp_path: Path) -> None:
    fleet = a_fleet(mosquitto, tmp_path, "use_username_as_clientid true")

    async def main() -> None:
        async with connection(fleet, "a", "a") as device, connection(fleet, "b", "a"), connection(fleet, "commander") as owner:
            await device.subscribe("pigtail/v1/a/command", qos=1)
            await owner.publish("pigtail/v1/a/command", MARKER, qos=1)
            assert await until_marker(device) == set()

    run(main())


def test_readers_divide_the_telemetry_of_the_fleet(fleet: Mosquitto) -> None:
    async def main() -> None:
        sent = [str(number).encode() for number in range(40)]
        got: list[tuple[int, bytes]] = []

        async def take(number: int, client: aiomqtt.Client) -> None:
            async for told in client.messages:
                assert isinstance(told.payload, bytes)
                got.append((number, told.payload))

        async with connection(fleet, "a") as device, connection(fleet, "reader") as one, connection(fleet, "reader") as other:
            for client in one, other:
                await client.subscribe("$share/fleet/pigtail/v1/+/telemetry", qos=1)
            tasks = [asyncio.ensure_future(take(number, client)) for number, client in enumerate((one, other))]
            for payload in sent:
                await device.publish("pigtail/v1/a/telemetry", payload, qos=1)
            while len(got) < len(sent):
                await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
        assert sorted(payload for _, payload in got) == sorted(sent) and {number for number, _ in got} == {0, 1}

    run(main())


def test_bridge_brings_what_a_site_says_also_after_the_fleets_broker_was_away(mosquitto: Make, tmp_path: Path) -> None:
    fleet = a_fleet(mosquitto, tmp_path, persistence=True)
    text = (EXAMPLES / "mosquitto-bridge.conf").read_text()
    assert "broker.example:8883" in text and text.count("secret") == 1
    text = text.replace("broker.example:8883", f"{HOST}:{fleet.port}").replace("secret", "secret of site-1")
    site = mosquitto(persistence=True, more=[line for line in text.splitlines() if line not in KEPT])

    async def main() -> None:
        said = topics("a") - topics("a", "command", "discovery")
        async with Connection(Address(HOST, site.port)) as device, connection(fleet, "observer") as observer:
            await observer.subscribe("pigtail/#", qos=1)
            await device.subscribe("pigtail/v1/a/command", qos=1)
            for topic in said:
                await device.publish(topic, b"1", qos=1)
            await device.publish("pigtail/v1/a/reply", MARKER, qos=1)
            assert await until_marker(observer) == said
            await observer.publish("pigtail/v1/a/command", MARKER, qos=1)
            assert await until_marker(device) == set()
            fleet.kill()
            for number in range(50):
                await device.publish("pigtail/v1/a/telemetry", str(number).encode(), qos=1)

    async def later() -> None:
        async with connection(fleet, "observer") as observer:
            await observer.subscribe("pigtail/v1/a/telemetry", qos=1)
            got: set[bytes] = set()
            async for told in observer.messages:
                assert isinstance(told.payload, bytes)
                got.add(told.payload)
                if len(got) == 50:
                    break

    with suppress(BrokerError):  # that of the observer, who was there when the broker died
        run(main())
    fleet.start()
    run(later())
