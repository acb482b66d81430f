"""outbox/keeper: whether it holds when the ignition goes off."""

from fakes import Machine
from pigtail.outbox import keeper
from pigtail.outbox.keeper import Keeper
from runner import raises


class Outbox:
    bound_ms = 2000

    def __init__(self):
        self.flushed = 0

    def tidy(self, now):
        pass

    def flush_all(self):
        self.flushed += 1


def turned(*seen):
    """The keeper after one turn for each of these states of the ignition, 100 ms apart; and how often all was flushed."""
    ignition = iter(seen)
    part = Keeper([], Outbox(), 1, 20, None, (0, 0), lambda: next(ignition))
    for i in range(len(seen)):
        part._turn(100 * i)
    return part.holding, part._outbox.flushed


def test_ignition_that_goes_off_holds_and_flushes():
    assert turned(True, False) == (True, 1)


def test_ignition_that_comes_back_goes_on():
    assert turned(True, False, True) == (False, 1)


def test_board_without_a_sense_of_the_ignition_never_holds():
    assert turned(None, None) == (False, 0)


def test_fault_8_restart_restarts_though_there_is_no_memory_to_hold():
    class Full:
        def hold(self, now):
            raise MemoryError

    keeper.machine = machine = Machine()
    with raises(MemoryError):
        keeper.restart(Full())
    assert machine.resets == 1
