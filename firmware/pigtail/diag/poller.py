"""Asks ECUs by the profile's schedule, and gives what they answer to the table.

A request is (name of the ECU, request, period_ms, priority, states of the vehicle in which it is asked, what takes its answer):
windows as (virtual id, place in the answer, ...), or an object with `heard(answer)`, true where it is to be asked again at once,
and `instead()` for another request in place of one that is not supported, or None. ECUs are asked in turn, each for what is most
overdue, a priority counting as a period.
"""

import struct
from array import array
from asyncio import create_task, sleep_ms
from binascii import hexlify
from micropython import const
from time import ticks_add, ticks_diff, ticks_ms
from pigtail.diag.isotp import Failure

_TURN_MS = const(50)
_LOOK_MS = const(500)  # the longest without a look at what is due
_MOST_LATE_MS = const(600000)  # ticks that are days old could not be told from coming ones
_SHUT_MS = const(2000)  # until the gate is tried again
_AGAIN_MS = const(200)  # after there was no budget
_SOON_MS = const(5000)  # what failed is tried again then, or after its period
_RARELY_MS = const(300000)  # what is never answered is asked so often at least
_TRIES = const(3)
_MOST_SILENCES = const(15)
_DROPPED = const(255)
_WINDOWS = const(8)  # given at a time
_NOT_SUPPORTED = b"\x11\x12\x31"  # serviceNotSupported, subFunctionNotSupported, requestOutOfRange
_NEVER = ("service", "id", "form", "buffer_overflow")
_SHUT = ("shut", "muted", "other_tester", "vehicle")
_PASSING = ("budget", "ecu_budget", "queue", "under_way")


class _Ecu:
    def __init__(self, server):
        self.server = server
        self.turn = 0  # the latest that it had
        self._task = None
        self._rests_until = None

    def ask(self, asking):
        self._task = create_task(asking)

    def rest(self, now, ms):
        self._rests_until = ticks_add(now, ms)

    def is_asked(self):
        if self._task and self._task.done():
            self._task = None
        return self._task is not None

    def is_free(self):
        return self._rests_until is None and not self.is_asked()

    def look(self, now):
        if self._rests_until is not None and ticks_diff(now, self._rests_until) >= 0:
            self._rests_until = None

    def stop(self):
        if self.is_asked():
            self._task.cancel()


class Poller:
    """`servers`: name to uds.Server of whom `requests` name; `vehicle_state()` gives the vehicle's. `put(slots, filled)` takes
    slots as `can.bus` has them, `tell(kind, text)` what is not supported or not answered."""

    def __init__(self, client, servers, requests, vehicle_state, put, tell):
        self._client = client
        self.requests = list(requests)
        self._ecus = {request[0]: _Ecu(servers[request[0]]) for request in requests}
        self._vehicle_state = vehicle_state
        self._put = put
        self._tell = tell
        self._state = None
        self._due = array("i", [ticks_ms()] * len(requests))
        self._refused = bytearray(len(requests))  # how often in a row; _DROPPED
        self._silent = bytearray(len(requests))
        self._told = set()
        self._slots = bytearray(16 * _WINDOWS)
        self._turn = 0
        self._sending = None  # the ECU whose request has not passed the gate yet
        self._error = None
        self._answered = self._failed = self._short = 0

    def status(self) -> dict:
        dropped = sum([n == _DROPPED for n in self._refused])
        rare = sum([n >= _TRIES for n in self._silent])
        return {
            "answered": self._answered, "failed": self._failed, "dropped": dropped, "rare": rare, "short": self._short,
        }  # fmt: skip

    async def run(self, beat) -> None:
        try:
            while not self._error:
                beat()
                await sleep_ms(self._look(ticks_ms()))
            error, self._error = self._error, None
            raise error
        finally:
            for ecu in self._ecus.values():
                ecu.stop()

    def _look(self, now):
        """Asks what is to be asked; returns when to look again."""
        state = self._vehicle_state()
        if state != self._state:
            self._state = state
            self._begin(now)
        for ecu in self._ecus.values():
            ecu.look(now)
        sending = self._sending
        if sending and sending.is_asked() and not sending.server.ecu.is_under_way:
            return _TURN_MS  # one after the other, so that none takes the budget before another's eyes
        self._sending = None
        i, wait_ms = self._next(now)
        if i >= 0:
            self._start(i, now)
        return wait_ms

    def _begin(self, now):
        """The vehicle has woken up, or fallen asleep: everything has its chance anew."""
        for i in range(len(self.requests)):
            if self._refused[i] or self._silent[i] or ticks_diff(now, self._due[i]) > 0:
                self._refused[i] = self._silent[i] = 0
                self._due[i] = now

    def _next(self, now):
        """(place of the request that is to be asked, or -1; when to look again)."""
        found, turn, most, wait_ms = -1, 0, 0, _LOOK_MS
        for i in range(len(self.requests)):
            if self._refused[i] == _DROPPED:
                continue
            late = ticks_diff(now, self._due[i])
            if late < 0:
                wait_ms = min(wait_ms, -late)
                continue
            name, _, period_ms, priority, states, _ = self.requests[i]
            late = min(late, _MOST_LATE_MS) if self._state in states else 0
            self._due[i] = ticks_add(now, -late)
            if self._state not in states:
                continue
            wait_ms = min(wait_ms, _TURN_MS)
            ecu = self._ecus[name]
            score = late * 8 // period_ms + 8 * priority
            is_better = found < 0 or ecu.turn < turn or ecu.turn == turn and score > most
            if is_better and ecu.is_free():
                found, turn, most = i, ecu.turn, score
        return found, wait_ms

    def _start(self, i, now):
        name, _, period_ms, _, _, _ = self.requests[i]
        late = ticks_diff(now, self._due[i])
        self._due[i] = ticks_add(now, period_ms - late if 2 * late < period_ms else period_ms)
        self._turn += 1
        self._sending = ecu = self._ecus[name]
        ecu.turn = self._turn
        ecu.ask(self._ask(i, ecu))

    async def _ask(self, i, ecu):
        began, rest_ms = ticks_ms(), 0
        try:
            answer = await self._client.ask(ecu.server, self.requests[i][1])
            if self._take(self.requests[i][5], answer):
                self._due[i] = ticks_ms()
            self._refused[i] = self._silent[i] = 0
            self._answered += 1
        except Failure as failure:
            rest_ms = self._fail(i, failure)
        except Exception as error:  # for the supervisor
            self._error = error
        now, asked_at = ticks_ms(), ecu.server.ecu.asked_at
        took = ticks_diff(now, began if asked_at is None else asked_at)
        # As long as it took: half of a slow ECU's time is its own.
        ecu.rest(now, rest_ms or max(took, ecu.server.ecu.interval_ms - took))

    def _take(self, taker, answer):
        if not isinstance(taker, tuple):
            return taker.heard(answer)
        tick, filled = ticks_ms() & 0x0FFFFFFF, 0
        for k in range(0, len(taker), 2):
            part = answer[taker[k + 1] : taker[k + 1] + 8]
            if not part:
                self._short += 1
                continue
            struct.pack_into("<II8s", self._slots, 16 * filled, taker[k], len(part) << 28 | tick, part)
            filled += 1
            if filled == _WINDOWS:
                self._put(self._slots, filled)
                filled = 0
        if filled:
            self._put(self._slots, filled)

    def _fail(self, i, failure):
        """For how long its ECU is not to be asked; 0: as long as it took."""
        code, now = failure.code, ticks_ms()
        if code in _SHUT or code in _PASSING:
            self._due[i] = now
            return _SHUT_MS if code in _SHUT else _AGAIN_MS
        self._failed += 1
        period_ms = self.requests[i][2]
        wait_ms = min(period_ms, _SOON_MS)
        if code in _NEVER or failure.nrc in _NOT_SUPPORTED:
            self._refused[i] += 1
            if self._refused[i] >= _TRIES or not isinstance(self.requests[i][5], tuple):
                if self._replace(i):
                    wait_ms = 0
                else:
                    self._refused[i] = _DROPPED
                    self._say(i, "unsupported", failure)
        else:
            self._silent[i] = silences = min(self._silent[i] + 1, _MOST_SILENCES)
            if silences >= _TRIES and self._replace(i):
                wait_ms = 0
            elif silences >= _TRIES:
                self._say(i, "unanswered", failure)
                wait_ms = min(period_ms << silences - _TRIES + 1, max(period_ms, _RARELY_MS))
        self._due[i] = ticks_add(now, wait_ms)
        # Before its codes are known nothing else is asked of it.
        return 0 if isinstance(self.requests[i][5], tuple) or wait_ms > _SOON_MS or self._refused[i] == _DROPPED else wait_ms

    def _replace(self, i):
        """Whether there is another request in its place."""
        name, _, period_ms, priority, states, taker = self.requests[i]
        request = None if isinstance(taker, tuple) else taker.instead()
        if request:
            self.requests[i] = name, request, period_ms, priority, states, taker
            self._refused[i] = self._silent[i] = 0
        return bool(request)

    def _say(self, i, kind, failure):
        if i not in self._told:  # once, lest the same be told on each drive
            self._told.add(i)
            name, request, _, _, _, _ = self.requests[i]
            self._tell(kind, "%s %s: %s" % (name, hexlify(request).decode(), failure))
