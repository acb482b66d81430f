"""outbox/boots: every boot has a number of its own, whatever the flash went through."""

# heap: 512k

import json
import os
from configured import forget
from packed import get, put
from pair import Pair
from pigtail.outbox.boots import next_boot
from runner import raises


def _forget():
    for name in os.listdir("/"):
        if name.startswith("boots."):
            os.remove("/" + name)


def test_first_boot_is_1():
    _forget()
    assert next_boot() == 1


def test_each_boot_counts():
    _forget()
    assert [next_boot() for _ in range(5)] == [1, 2, 3, 4, 5]


def test_number_is_on_flash_when_it_is_given_out():
    _forget()
    boot = next_boot()
    assert Pair("/boots").read() == bytes([boot, 0, 0, 0])


def test_power_cut_while_counting_gives_no_number_twice():
    _forget()
    given = [next_boot(), next_boot()]
    older = get("/boots.1")
    for size in range(len(older)):
        put("/boots.1", older[:size])  # the copy that boot 3 was being written to
        assert next_boot() not in given


def test_flash_that_refuses_gives_no_number():
    import pigtail.outbox.boots as boots

    inner, boots.Pair = boots.Pair, lambda name: inner("/nowhere/boots")
    try:
        with raises(OSError):
            next_boot()
    finally:
        boots.Pair = inner


def test_foreign_payload_counts_from_1():
    _forget()
    Pair("/boots").write(b"abc")
    assert next_boot() == 1


def test_rotten_newest_copy_never_gives_a_number_twice():
    _forget()
    given = [next_boot() for _ in range(4)]
    path = "/boots.%d" % (given[-1] & 1)
    whole = get(path)
    for i in range(len(whole)):
        put(path, whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        assert next_boot() not in given
        _forget()
        given = [next_boot() for _ in range(4)]


def test_number_that_the_outbox_knows_is_the_events_too_and_is_counted_on_from():
    import board
    from pigtail.assembly import Assembly
    from pigtail.outbox.outbox import Outbox

    forget()
    put("/config.json", json.dumps({}))
    _forget()  # the file system was formatted, the outbox's partition was not
    known = Outbox(40, [], board.outbox_device()).boot
    made = Assembly("1.2.3")
    assert made.boot == made.outbox.boot == made.events._boot == known + 1
    assert next_boot() == known + 2
