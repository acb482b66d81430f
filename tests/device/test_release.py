"""The way from what is on a device to a release: only what changed is sent, into the slot that is not in use."""

import pytest

from host_tools import boards
from host_tools.device.release import PROFILE, Found, Plan, Release, digest, made, plan
from host_tools.errors import InputError

ROOT = {"/boot.py": b"boot", "/main.py": b"main"}
OLD = Release(ROOT, {"p/app.mpy": b"old", "p/same.mpy": b"same", "p/gone.mpy": b"gone"})
NEW = Release(ROOT, {"p/app.mpy": b"new", "p/same.mpy": b"same", "p/more.mpy": b"more"})
ROOM = 1 << 20


def found(active: str | None, free: int = ROOM, **slots: Release) -> Found:
    """A device with these releases in its slots."""
    files = {} if active is None else dict(ROOT)
    files |= {f"/{slot}/{name}": content for slot, release in slots.items() for name, content in release.slot.items()}
    return Found({path: digest(content) for path, content in files.items()}, active, 5 if active else 0, free)


def moves(todo: Plan) -> tuple[object, ...]:
    return todo.slot, todo.flips, sorted(todo.send), sorted(todo.copy), sorted(todo.remove), sorted(todo.replace)


def test_bare_board_gets_all_in_slot_a() -> None:
    sent = ["/a/p/app.mpy", "/a/p/gone.mpy", "/a/p/same.mpy"]
    assert moves(plan(OLD, found(None))) == ("a", True, sent, [], [], ["/boot.py", "/main.py"])


@pytest.mark.parametrize(("active", "other"), ["ab", "ba"])
def test_other_slot_gets_what_changed_and_copies_the_rest(active: str, other: str) -> None:
    todo = plan(NEW, found(active, **{active: OLD}))
    sent = [f"/{other}/p/app.mpy", f"/{other}/p/more.mpy"]
    assert moves(todo) == (other, True, sent, [(f"/{active}/p/same.mpy", f"/{other}/p/same.mpy")], [], [])
    assert todo.bytes_sent == len(b"new" b"more")
    assert todo.wanted == {f"/{other}/{name}": digest(content) for name, content in NEW.slot.items()}


def test_slot_in_force_is_left_alone_when_nothing_changed() -> None:
    assert moves(plan(OLD, found("b", a=NEW, b=OLD))) == ("b", False, [], [], [], [])


def test_slot_of_before_is_pointed_at_again_without_sending() -> None:
    assert moves(plan(OLD, found("b", a=OLD, b=NEW))) == ("a", True, [], [], [], [])


def test_slot_of_before_keeps_what_fits_and_loses_what_does_not() -> None:
    todo = plan(NEW, found("a", a=OLD, b=OLD))
    assert moves(todo) == ("b", True, ["/b/p/app.mpy", "/b/p/more.mpy"], [], ["/b/p/gone.mpy"], [])


def test_slot_in_force_with_a_file_too_many_or_damaged_is_not_repaired_in_place() -> None:
    more = Release(ROOT, {**OLD.slot, "p/more.mpy": b"more"})
    damaged = Release(ROOT, {**OLD.slot, "p/app.mpy": b"0ld"})
    assert [plan(OLD, found("a", a=there)).slot for there in (more, damaged)] == ["b", "b"]


def test_files_outside_the_slots_and_the_profile_are_replaced_where_they_differ() -> None:
    there = found("a", a=OLD)
    assert plan(Release({**ROOT, "/boot.py": b"new boot"}, OLD.slot), there).replace == {"/boot.py": b"new boot"}
    assert plan(OLD, there, b"profile").replace == {PROFILE: b"profile"}
    there.hashes[PROFILE] = digest(b"profile")
    assert plan(OLD, there, b"profile").replace == {}


def test_flash_that_is_too_small_is_refused_before_anything_is_sent() -> None:
    needed = 2 * 4096 + 2 * 8192 + 4096  # two files sent and one copied, /b and /b/p
    assert plan(NEW, found("a", needed, a=OLD)).flips
    with pytest.raises(InputError, match="flash has 27 KiB free, and 28 KiB are needed"):
        plan(NEW, found("a", needed - 1, a=OLD))


@pytest.mark.parametrize("name", ["esp32-mcp2515", "esp32c3-can"])
def test_modules_of_a_board_go_outside_the_slots_where_one_is_named(name: str) -> None:
    board = boards.load(name)
    with_it, without = made(board.arch, board), made(board.arch)
    assert with_it.root.keys() - without.root.keys() == {"/chip.mpy", "/board.mpy"} and with_it.slot == without.slot
    assert with_it.root["/chip.mpy"][:2] == with_it.root["/board.mpy"][:2] == b"M\x06"


def test_what_the_boards_have_in_common_is_replaced_before_the_board_that_builds_on_it() -> None:
    board = boards.load("esp32c3-can")
    replaced = [*plan(made(board.arch, board), found("a", a=OLD)).replace]
    assert replaced.index("/chip.mpy") < replaced.index("/board.mpy")


@pytest.mark.parametrize("name", ["esp32c3-can", "unix"])
def test_module_of_another_kind_of_board_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} runs .*, but the device runs xtensawin"):
        made("xtensawin", boards.load(name))
