"""outbox/keeper: whether it holds when the ignition goes off."""

from pigtail.outbox.keeper import Keeper


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
    keeper = Keeper([], Outbox(), 1, 20, None, (0, 0), lambda: next(ignition))
    for i in range(len(seen)):
        keeper._turn(100 * i)
    return keeper.holding, keeper._outbox.flushed


def test_ignition_that_goes_off_holds_and_flushes():
    assert turned(True, False) == (True, 1)


def test_ignition_that_comes_back_goes_on():
    assert turned(True, False, True) == (False, 1)


def test_board_without_a_sense_of_the_ignition_never_holds():
    assert turned(None, None) == (False, 0)
