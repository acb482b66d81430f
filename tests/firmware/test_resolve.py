"""uplink/resolve: a name is asked for aside, in time or not at all; whatever goes wrong, the next one can be asked for."""

import asyncio
import errno
from fakes import Time
from pigtail.uplink import resolve
from runner import raises


class FakeNetwork:
    """Answers as the ESP32 does, with a tuple; with `address` as that says."""

    def __init__(self, error=None, address=None):
        self.asked = []
        self._error = error
        self._address = address

    def getaddrinfo(self, host, port):
        self.asked.append((host, port))
        if self._error:
            raise self._error
        return [(2, 1, 0, "", self._address or ("10.1.2.3", port))] if host != "empty" else []


class FakeThread:
    """Keeps what it should run until the test lets it: `go()`."""

    def __init__(self, error=None):
        self.started = []
        self._error = error

    def start_new_thread(self, function, args):
        if self._error:
            raise self._error
        self.started.append((function, args))

    def go(self):
        function, args = self.started.pop(0)
        try:
            function(*args)
        except MemoryError:
            pass  # ends the thread, nobody else


def _scene(network=None, thread=None):
    resolve.socket = network or FakeNetwork()
    resolve._thread = thread or FakeThread()
    resolve._running[:] = bytes(2)
    return Time().into(resolve), resolve.socket, resolve._thread


def _asking(host, purpose=resolve.BROKER):
    return asyncio.create_task(resolve.resolve(host, 1883, 5000, purpose))


async def test_dotted_quad_needs_no_thread():
    for host in "192.168.4.1", "0.0.0.0", "255.255.255.255":
        _, _, thread = _scene()
        assert await resolve.resolve(host, 1883, 1000, resolve.BROKER) == ("10.1.2.3", 1883)
        assert thread.started == []


async def test_fault_27_digits_and_dots_that_are_no_address_are_asked_for_in_a_thread():
    for host in "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.04", "1.2..4", "1.2.3.4.", "16909060", "...", "":
        time, network, thread = _scene()
        task = _asking(host)
        await time.passes(20)
        assert (network.asked, len(thread.started)) == ([], 1)
        thread.go()
        await time.passes(50)
        assert await task == ("10.1.2.3", 1883)


async def test_name_is_asked_for_in_a_thread():
    time, network, thread = _scene()
    task = _asking("broker")
    await time.passes(100)
    assert network.asked == []
    thread.go()
    await time.passes(50)
    assert await task == ("10.1.2.3", 1883)
    assert network.asked == [("broker", 1883)]


async def test_fault_27_name_that_does_not_exist_is_an_oserror():
    for network in FakeNetwork(OSError(-2)), FakeNetwork():
        time, _, thread = _scene(network)
        task = _asking("empty")
        await time.passes(20)
        thread.go()
        await time.passes(50)
        with raises(OSError) as caught:
            await task
        assert caught.error.errno == errno.EHOSTUNREACH


async def test_fault_27_resolver_that_hangs_is_an_oserror_in_time():
    time, _, thread = _scene()
    task = _asking("broker")
    await time.passes(5100, step=20)
    with raises(OSError) as caught:
        await task
    assert caught.error.errno == errno.ETIMEDOUT


async def test_address_as_the_unix_port_gives_it_comes_through_unchanged():
    address = bytes(range(16))
    time, _, thread = _scene(FakeNetwork(address=address))
    task = _asking("broker")
    await time.passes(20)
    thread.go()
    await time.passes(50)
    assert await task == address


async def test_thread_lets_nothing_out_but_bytes_in_a_buffer_made_before_it():
    time, _, thread = _scene()
    task = _asking("broker")
    await time.passes(20)
    function, (host, port, answer, purpose) = thread.started[0]
    before = len(answer)
    assert type(answer) is bytearray
    assert function(host, port, answer, purpose) is None
    assert len(answer) == before
    await time.passes(50)
    assert await task == ("10.1.2.3", 1883)


async def test_address_too_long_for_the_buffer_is_an_oserror():
    time, _, thread = _scene(FakeNetwork(address=bytes(64)))
    task = _asking("broker")
    await time.passes(20)
    thread.go()
    await time.passes(50)
    with raises(OSError):
        await task


async def _scene_of_a_name_given_up():
    """Its resolver still hangs."""
    time, network, thread = _scene()
    first = _asking("first")
    await time.passes(5100, step=20)
    with raises(OSError):
        await first
    return time, network, thread


async def test_answer_that_comes_too_late_is_not_taken_for_that_of_the_next_name():
    time, network, thread = await _scene_of_a_name_given_up()
    second = _asking("second")
    network._address = ("10.9.9.9", 1883)
    thread.go()
    await time.passes(50)
    network._address = ("10.4.5.6", 1883)
    thread.go()
    await time.passes(50)
    assert await second == ("10.4.5.6", 1883)


async def test_second_name_waits_for_a_resolver_that_hangs():
    time, network, thread = await _scene_of_a_name_given_up()
    second = _asking("second")
    await time.passes(100)
    assert len(thread.started) == 1
    thread.go()
    await time.passes(50)
    thread.go()
    await time.passes(50)
    assert await second == ("10.1.2.3", 1883)
    assert network.asked == [("first", 1883), ("second", 1883)]


async def test_fault_27_resolver_that_hangs_for_the_clock_leaves_the_broker_s_name_alone():
    for first, second in (resolve.CLOCK, resolve.BROKER), (resolve.BROKER, resolve.CLOCK):
        time, _, thread = _scene()
        hanging = _asking("hangs", first)
        await time.passes(20)
        asked = _asking("answers", second)
        await time.passes(20)
        thread.started.pop(0)
        thread.go()
        await time.passes(50)
        assert await asked == ("10.1.2.3", 1883)
        again = _asking("answers", second)
        await time.passes(20)
        thread.go()
        await time.passes(50)
        assert await again == ("10.1.2.3", 1883)
        await time.passes(5100, step=20)
        with raises(OSError):
            await hanging
        assert thread.started == []


async def test_thread_that_runs_out_of_memory_does_not_block_the_next():
    time, _, thread = _scene(FakeNetwork(MemoryError()))
    task = _asking("broker")
    await time.passes(20)
    thread.go()
    await time.passes(5100, step=20)
    with raises(OSError):
        await task
    resolve.socket = FakeNetwork()
    task = _asking("broker")
    await time.passes(20)
    thread.go()
    await time.passes(50)
    assert await task == ("10.1.2.3", 1883)


async def test_thread_that_cannot_be_started_does_not_block_the_next():
    time, _, _ = _scene(thread=FakeThread(MemoryError()))
    with raises(MemoryError):
        await resolve.resolve("broker", 1883, 1000, resolve.BROKER)
    resolve._thread = thread = FakeThread()
    task = _asking("broker")
    await time.passes(20)
    thread.go()
    await time.passes(50)
    assert await task == ("10.1.2.3", 1883)


async def test_real_thread_and_resolver():
    import _thread
    import socket

    _scene(socket, _thread)
    from time import ticks_ms

    resolve.ticks_ms, resolve.sleep_ms = ticks_ms, asyncio.sleep_ms
    address = await resolve.resolve("localhost", 1883, 5000, resolve.BROKER)
    assert address == socket.getaddrinfo("127.0.0.1", 1883)[0][-1]
