"""health/supervisor: a part that dies or stalls is begun anew and counted; the watchdog starves while one is silent."""

import asyncio
from fakes import Time, steps, stopped
from pigtail.health import supervisor


class Scene:
    def __init__(self):
        self.time = Time().into(supervisor)
        self.fed = []
        self.told = []
        self.supervisor = supervisor.Supervisor(
            lambda: self.fed.append(self.time.now), lambda kind, text: self.told.append((kind, text))
        )  # fmt: skip
        self.began = {}

    def part(self, name, body):
        """Adds a part whose body is `await body(beat)` for ever; notes when it begins."""
        starts = self.began[name] = []

        async def run(beat):
            starts.append(self.time.now)
            while True:
                await body(beat)

        self.supervisor.add(name, run)
        return starts

    async def healthy(self, beat):
        beat()
        await self.time.sleep_ms(500)

    async def run(self, ms):
        task = asyncio.create_task(self.supervisor.run())
        await self.time.passes(ms, step=50)
        await stopped(task)
        for part in self.supervisor.parts:
            await stopped(part._task)


async def test_healthy_parts_are_left_alone_and_the_watchdog_is_fed():
    scene = Scene()
    a, b = scene.part("a", scene.healthy), scene.part("b", scene.healthy)
    await scene.run(60000)
    assert (len(a), len(b), scene.supervisor.restarts()) == (1, 1, {})
    assert len(scene.fed) >= 55
    assert scene.supervisor.heap_used > 0


async def test_part_that_raises_is_begun_anew_later_each_time_and_counted():
    scene = Scene()

    async def dies(beat):
        await scene.time.sleep_ms(50)
        raise MemoryError("planted")

    dying, healthy = scene.part("dying", dies), scene.part("healthy", scene.healthy)
    await scene.run(200000)
    waits = [step // 500 * 500 for step in steps(dying)]
    assert waits[:8] == [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000]
    assert len(healthy) == 1
    assert scene.supervisor.restarts() == {"dying": len(dying)}
    assert "planted" in scene.supervisor.parts[0].error
    assert scene.told == [("part_restarted", "dying: MemoryError('planted',)")] * len(dying)


async def test_part_that_waits_to_be_begun_anew_does_not_starve_the_watchdog():
    scene = Scene()

    async def dies(beat):
        raise ValueError("planted")

    scene.part("dying", dies)
    await scene.run(100000)
    assert max(steps(scene.fed)) <= 1500


async def test_part_that_ends_by_itself_is_begun_anew():
    scene = Scene()
    starts = []

    async def ends(beat):
        starts.append(1)

    scene.supervisor.add("ending", ends)
    await scene.run(5000)
    assert len(starts) >= 3
    assert scene.supervisor.parts[0].error == "ended"
    assert scene.told[0] == ("part_restarted", "ending: ended")


async def test_part_that_stalls_is_cancelled_begun_anew_and_counted():
    scene = Scene()
    cancelled = []

    async def stalls(beat):
        try:
            await scene.time.sleep_ms(10000000)
        except asyncio.CancelledError:
            cancelled.append(scene.time.now)
            raise

    stalling, healthy = scene.part("stalling", stalls), scene.part("healthy", scene.healthy)
    await scene.run(100000)
    assert len(stalling) == 4
    assert len(cancelled) == 4  # the last by the test's own end
    assert all([30000 < step < 33000 for step in steps(stalling)])
    assert scene.supervisor.restarts() == {"stalling": 3}
    assert scene.told == [("part_restarted", "stalling: stalled")] * 3
    assert len(healthy) == 1


async def test_watchdog_is_not_fed_while_a_part_is_silent():
    scene = Scene()

    async def stalls(beat):
        await scene.time.sleep_ms(10000000)

    scene.part("stalling", stalls)
    inner = supervisor.Part.restart
    supervisor.Part.restart = lambda part: None  # were the stalled one not begun anew
    try:
        await scene.run(60000)
    finally:
        supervisor.Part.restart = inner
    assert scene.fed and scene.fed[-1] <= 31500


async def test_asyncio_cancellation_ends_a_part():
    scene = Scene()
    starts = scene.part("a", scene.healthy)
    await scene.run(2000)
    await scene.time.passes(5000, step=50)
    assert len(starts) == 1


async def test_part_that_ran_for_long_before_it_died_begins_soon_again():
    scene = Scene()

    async def dies_late(beat):
        for _ in range(70):
            beat()
            await scene.time.sleep_ms(1000)
        raise OSError("planted")

    starts = scene.part("late", dies_late)
    await scene.run(400000)
    assert len(starts) > 4 and max(steps(starts)) < 72000


async def test_heap_in_pieces_is_noted_and_stays_so():
    scene = Scene()
    scene.part("a", scene.healthy)
    await scene.run(3000)
    before = scene.supervisor.heap_block
    held = []
    try:
        while True:
            held.append(bytearray(700))
    except MemoryError:
        for i in range(0, len(held), 2):
            held[i] = None
    scene.supervisor._look_at_heap()
    noted = scene.supervisor.heap_free, scene.supervisor.heap_block
    del held
    scene.supervisor._look_at_heap()
    assert before == 8192 and noted[1] <= 1024 < 10000 < noted[0]
    assert scene.supervisor.heap_block == noted[1] and scene.supervisor.heap_free == noted[0]


async def test_beats_say_how_long_ago_each_part_was_alive():
    scene = Scene()

    async def slow(beat):
        beat()
        await scene.time.sleep_ms(20000)

    scene.part("a", scene.healthy)
    scene.part("slow", slow)
    await scene.run(10000)
    beats = scene.supervisor.beats()
    assert beats["a"] <= 600 and 9000 < beats["slow"] <= 10000 and len(beats) == 2


async def test_heartbeat_that_takes_itself_out_leaves_the_one_after_it_alone():
    scene = Scene()
    beats, called = scene.supervisor.heartbeats, []

    def once():
        called.append("once")
        beats.remove(once)

    beats.extend([once, lambda: called.append("each")])
    await scene.run(3050)
    assert called == ["once"] + ["each"] * len(scene.fed) and scene.fed


async def test_fault_8_part_is_begun_anew_though_there_is_no_memory_to_tell():
    def no_memory(kind, text):
        raise MemoryError

    scene = Scene()
    scene.supervisor._tell = no_memory

    async def dies(beat):
        await scene.time.sleep_ms(10)
        raise MemoryError

    async def hangs(beat):
        await scene.time.sleep_ms(1_000_000)

    died, hung = scene.part("dies", dies), scene.part("hangs", hangs)
    await scene.run(70_000)
    assert len(died) > 2 and len(hung) > 1 and scene.fed
