"""The tester (ISO 14229-1, 3.1): who asks the car, where the owner allowed the profile in force to; loaded only there.

It makes the gate, opens it once the bit rate is certain, and watches it. When the gate mutes itself the
controller goes back to listening only, and stays so over power cuts until the owner says otherwise.
"""

from asyncio import sleep_ms
from binascii import unhexlify
from micropython import const
from pair import Pair
from pigtail.can.ears import Ears
from pigtail.can.tx_guard import DEFAULT, Ecu, TxGuard
from pigtail.diag.isotp import Isotp
from pigtail.diag.uds import Client, Server
from pigtail.power.vehicle import Vehicle
from time import ticks_diff, ticks_ms

_TURN_MS = const(10)
_WATCH_MS = const(1000)
_BUS_OFF = const(4)
_DRAINS = const(8)
_ALIVE_MS = const(8000)  # longer than `outbox.keeper` holds
_MUTE = "/mute"
_EXTENDED, _WHOLE = const(0x20000000), const(0x3FFFFFFF)  # the latter: all bits of an id count


class Tester:
    """On `bus`, `asking` is what `signals.asking` says of whom, when and what. `services` are those that may be asked, as hex;
    "": the gate's default. `senses` are the board's and their limits (`power.vehicle`), `tell(kind, text)` takes events,
    `put(slots, filled)` what was answered, as `can.bus` has frames. Raises ValueError or KeyError."""

    START_ONLY = ("parts",)

    def __init__(self, bus, values, asking, services, senses, tell, put):
        told, states, requests = asking
        self._bus = bus
        self._tell = tell
        self._put = put
        self._kept = Pair(_MUTE)
        self._watched_at = ticks_ms()
        self._bus_offs = bus.bus_offs
        self.vehicle = Vehicle(values, states, *senses)
        ecus = [_ecu(one) for one in told]
        muted = (self._kept.read() or b"").decode() or ("damaged" if self._kept.damaged else "")
        self._untold = ""  # a mute that is not on flash yet
        self.guard = TxGuard(ecus, unhexlify(services) or DEFAULT, self.vehicle.state, self._silence, muted)
        self.servers, self.functional = {}, {}
        for i, one in enumerate(told):
            ecu = ecus[i]
            if ecu.functional:
                self.functional[one["name"]] = ecu
            else:
                self.servers[one["name"]] = Server(
                    ecu, one["rx_id"], one.get("rx_prefix", ecu.prefix), one.get("block_size", 0), one.get("st_min", 0),
                    one.get("pad", 0), one.get("timeout_ms", 1000),
                )  # fmt: skip
        self.isotp = Isotp(self.guard, list(self.servers.values()))
        self.client = Client(self.guard, self.isotp)
        self._ears = Ears(self.guard, ecus)
        bus.muted = bool(muted)
        bus.taps += [self._ears.take, self.isotp.take]
        self.poller = None
        if requests:
            from pigtail.diag.poller import Poller
            from pigtail.diag.watch import Codes

            requests = Codes.requests(self.servers, requests, self.guard, tell) + requests
            self.poller = Poller(self.client, self.servers, requests, self.vehicle.state, put, tell)

    def parts(self) -> list:
        """What it is made of, one of each kind."""
        ecus = list(self.functional.values()) + [server.ecu for server in self.servers.values()]
        codes = self.poller and self.poller.requests[0][5]
        return [self.vehicle, self.isotp, self.client, self._ears, codes] + ecus[:1] + list(self.servers.values())[:1]

    def ids(self) -> list:
        """What must be heard beside the profile, as `can.bus` takes it: answers, and the requests of another tester."""
        heard = list(self._ears.ids)
        for server in self.servers.values():
            heard += server.rx_id | (_EXTENDED if server.ecu.is_extended_id else 0), _WHOLE
        return heard

    async def run(self, beat) -> None:
        """Keeps time for the answers, and opens and watches the gate."""
        while True:
            self.isotp.take(b"", 0)
            if ticks_diff(ticks_ms(), self._watched_at) >= _WATCH_MS:
                self._watched_at = ticks_ms()
                self._watch()
            beat()
            await sleep_ms(_TURN_MS)

    def beat(self) -> None:
        """The supervisor is alive; the gate hears of it only while it is watched, too, and the bus is heard."""
        now = ticks_ms()
        if ticks_diff(now, self._watched_at) < _ALIVE_MS and now - self._bus.drained_at & 0x0FFFFFFF < _ALIVE_MS:
            self.guard.beat()

    def _watch(self):
        guard, bus = self.guard, self._bus
        if self._untold:
            self._keep()
        if not guard.muted and not guard.is_open and bus.bitrate:
            self._take_all()
            bus.let_send(guard)
            self._tell("gate", "open")
        state = bus.state()
        if bus.bus_offs != self._bus_offs:  # perhaps `can.condition` has seen it first, and the controller hears again
            self._bus_offs, state = bus.bus_offs, _BUS_OFF
        guard.watch(state, bus.transmit_errors())

    def _take_all(self):
        """What waits in the controller's queue would be lost when its mode changes."""
        bus = self._bus
        for _ in range(_DRAINS):
            filled = bus.drain()
            if filled:
                self._put(bus.slots, filled)

    def _silence(self, reason):
        """What the gate has done when it mutes itself."""
        self.guard.shut()
        self._bus.muted = True
        self._untold = reason
        try:
            self._keep()
            self._take_all()
        except MemoryError:
            pass  # `_watch` goes on with it
        self._bus.listen()  # last: a controller that does not answer raises

    def _keep(self):
        reason = self._untold
        try:
            self._kept.write(reason.encode())
        except OSError:
            reason += ", till the next start: flash does not keep it"
        self._tell("gate", "muted: " + reason)
        self._untold = ""

    def status(self) -> dict:
        guard = self.guard
        status = {"open": guard.is_open, "muted": guard.muted, "sent": guard.sent, "refused": guard.refused}
        if self.poller:
            status.update(self.poller.status())
        return status

    def unmute(self) -> None:
        """The owner says that it may ask again. Raises OSError where flash refuses: then it stays mute."""
        self._kept.write(b"")
        self._untold = ""
        self._bus.muted = False
        self.guard.unmute()


def _ecu(told):
    """Ecu refuses what it must not allow, whatever a text says."""
    return Ecu(
        told["tx_id"], told.get("is_extended_id", False), told.get("prefix"), bytes(told.get("sessions", ())),
        told.get("safe", ()), "rx_id" not in told, told.get("interval_ms", 100),
    )  # fmt: skip
