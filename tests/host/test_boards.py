"""`boards/<board>/board.toml`: what is there loads; what makes no sense is one line that says where and what."""

from pathlib import Path

import pytest

from host_tools import boards, paths
from host_tools.errors import InputError

WANTED = {"esp32-mcp2515", "esp32-sn65hvd230", "esp32c3-can", "esp32s3-can", "lilygo-t-can485", "unix"}
TEXT = (paths.BOARDS / "esp32-mcp2515" / "board.toml").read_text()


def test_every_board_loads() -> None:
    loaded = boards.load_all()
    assert {board.name for board in loaded} >= WANTED
    assert {board.arch for board in loaded} == {"", "xtensawin", "rv32imc"}


@pytest.mark.parametrize("board", [b for b in boards.load_all() if b.chip != boards.SIMULATED], ids=lambda b: b.name)
def test_every_chip_has_what_a_board_consists_of(board: boards.Board) -> None:
    assert {path.name for path in board.folder.iterdir()} >= {"board.toml", "board.py", "manifest.py"}
    assert board.build in board.wanted and board.micropython in board.wanted


def test_no_board_of_that_name() -> None:
    with pytest.raises(InputError, match="no board 'esp8266'; there are esp32-mcp2515, "):
        boards.load("esp8266")


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of boards with one board in it."""
    (tmp_path / "esp32-mcp2515").mkdir()
    monkeypatch.setattr(paths, "BOARDS", tmp_path)
    return tmp_path / "esp32-mcp2515" / "board.toml"


def test_planted_board_is_fine_as_it_is(planted: Path) -> None:
    planted.write_text(TEXT)
    assert boards.load("esp32-mcp2515").crystal_hz == 8_000_000


@pytest.mark.parametrize(
    ("line", "instead", "says"),
    [
        ('name = "esp32-mcp2515"', 'name = "other"', "name is 'other', but the folder is 'esp32-mcp2515'"),
        ('title = "ESP32 + MCP2515"', "", "title is missing"),
        ('chip = "esp32"', 'chip = "esp8266"', "chip: 'esp8266' is none of esp32, esp32s3, esp32c3, unix"),
        ('micropython = "1.25"', 'micropython = "newest"', "'newest' is no version"),
        ('micropython = "1.25"', "micropython = 1.25", "micropython: 1.25 is no str"),
        ("flash_size = 4194304", "flash_size = 4000000", "flash_size: 4000000 is none of 4, 8 and 16 MiB"),
        ("flash_size = 4194304", 'flash_size = "4MB"', "flash_size: '4MB' is no int"),
        ("flash_size = 4194304", "flash_size = true", "flash_size: True is no int"),
        ("flash_offset = 0x1000", "flash_offset = 0", "flash_offset: the ROM of an esp32 starts what lies at 0x1000"),
        ("outbox_size = 1048576", "outbox_size = 1000000", "outbox_size: whole sectors"),
        ("outbox_size = 1048576", "outbox_size = 3145728", "outbox_size: whole sectors"),
        ("outbox_size = 1048576", "outbox_size = -4096", "outbox_size: whole sectors"),
        ("rx_queue = 2", "rx_queue = 0", "rx_queue: "),
        ("crystal_hz = 8000000", "", "crystal_hz: "),
        ("stock = true", "stock = 1", "stock: 1 is no bool"),
        ('controller = "mcp2515"', 'controller = "native"', "crystal_hz: "),
        ('build = "ESP32_GENERIC"', "", "build is missing"),
        ('file = "ESP32_GENERIC-20250415-v1.25.0.bin"', 'file = "ESP32_GENERIC_S3-20250415-v1.25.0.bin"', "file: "),
        ("cs = 5", "", "pins: cs is missing"),
        ("cs = 5", "cs = 49", "pins: cs is 49"),
        ("cs = 5", 'cs = "5"', "pins: cs is '5'"),
        ("cs = 5", "cs = true", "pins: cs is True"),
        *(("cs = 5", f"cs = {n}", f"pins: cs is {n}, but an esp32 has 0, 1, ") for n in (-1, 6, 11, 20, 24, 28, 31, 40)),
        *(("cs = 5", f"cs = {n}", f"pins: cs is {n}, but 34, 35, 36, 37, 38, 39 of an esp32 are inputs only") for n in (35, 39)),
        *((f"{pin} = ", f"{pin} = 36 #", f"pins: {pin} is 36, but 34, ") for pin in ("led", "sck", "mosi")),
        ("battery = 34", "battery = 25", "pins: battery is 25, but beside Wi-Fi an esp32 measures at 32, 33, 34, "),
        ("[pins]", "colours = " + "[" * 5000 + "\n[pins]", "recursion"),
        ("cs = 5", "cs = 18", "pins: two have the same number"),
        ("cs = 5", "cs = 5\nchip_select = 6", "pins: chip_select is not known here"),
        ("battery = 34", "", "divider: a pin battery needs one"),
        ("lower_ohm = 15000", "", "divider: give upper_ohm and lower_ohm"),
        ("lower_ohm = 15000", "lower_ohm = 0", "divider: ohms are integers above 0"),
        ("interrupt = 4", "interrupt = 21", "pins: interrupt is 21, but an esp32 is woken by 0, 2, 4, 12, "),
        ("ignition = 33", "ignition = 22", "pins: ignition is 22, but an esp32 is woken by 0, 2, 4, 12, "),
        ("stock = true", "sleeps = 1", "sleeps: 1 is no bool"),
        ('chip = "esp32"', 'chip = "esp32"\ncolour = 3', "colour is not known here"),
        ('chip = "esp32"', "chip =", "Invalid value"),
        ("[pins]", 'pins = "none"\n[tables]', "is not known here"),
    ],
)  # fmt: skip
def test_bad_board_is_one_line(planted: Path, line: str, instead: str, says: str) -> None:
    assert TEXT.count(line) >= 1
    planted.write_text(TEXT.replace(line, instead, 1))
    with pytest.raises(InputError) as caught:
        boards.load("esp32-mcp2515")
    told = str(caught.value)
    assert told.startswith("boards/esp32-mcp2515/board.toml: ") and says in told and "\n" not in told


C3 = (paths.BOARDS / "esp32c3-can" / "board.toml").read_text().replace("esp32c3-can", "esp32-mcp2515")


S3 = (paths.BOARDS / "esp32s3-can" / "board.toml").read_text().replace("esp32s3-can", "esp32-mcp2515")
OUTPUTS = "can_tx", "can_standby", "can_power"
T_CAN = (paths.BOARDS / "lilygo-t-can485" / "board.toml").read_text().replace("lilygo-t-can485", "esp32-mcp2515")
NATIVE = (paths.BOARDS / "esp32-sn65hvd230" / "board.toml").read_text().replace("esp32-sn65hvd230", "esp32-mcp2515")


@pytest.mark.parametrize(
    ("text", "pin", "number", "says"),
    [
        *((S3, "led", n, "but an esp32s3 has 0, 1, ") for n in (22, 25, 26, 32, 49)),
        *((S3, "battery", n, "but beside Wi-Fi an esp32s3 measures at 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 only") for n in (0, 11)),
        *((C3, "led", n, "but an esp32c3 has 0, 1, ") for n in (12, 17, 22)),
        (C3, "battery", 5, "but beside Wi-Fi an esp32c3 measures at 0, 1, 2, 3, 4 only (ADC1)"),
        *((T_CAN, pin, 37, "but 34, 35, 36, 37, 38, 39 of an esp32 are inputs only") for pin in OUTPUTS),
    ],
)
def test_pin_that_the_chip_lacks_or_cannot_use_is_one_line(planted: Path, text: str, pin: str, number: int, says: str) -> None:
    planted.write_text(text.replace(f"\n{pin} = ", f"\n{pin} = {number} # ", 1))
    with pytest.raises(InputError) as caught:
        boards.load("esp32-mcp2515")
    told = str(caught.value)
    assert told.startswith(f"boards/esp32-mcp2515/board.toml: pins: {pin} is {number}, {says}") and "\n" not in told


@pytest.mark.parametrize(
    ("text", "pin", "number"),
    [
        *((NATIVE, "led", n) for n in (0, 3, 12, 19, 21, 23, 25, 27)), *((NATIVE, "can_rx", n) for n in (35, 39)),
        *((NATIVE, "battery", n) for n in (35, 39)), *((S3, "led", n) for n in (0, 21, 33, 48)),
        *((S3, "battery", n) for n in (1, 10)), *((C3, "led", n) for n in (0, 11, 18, 21)), *((C3, "battery", n) for n in (0, 2)),
    ],
)  # fmt: skip
def test_pin_that_the_chip_has_is_taken(planted: Path, text: str, pin: str, number: int) -> None:
    planted.write_text(text.replace(f"\n{pin} = ", f"\n{pin} = {number} # ", 1))
    assert (boards.load("esp32-mcp2515").pins or {})[pin] == number


@pytest.mark.parametrize(
    ("line", "instead", "says"),
    [
        ("can_rx = 4", "can_rx = 8", "pins: can_rx is 8, but an esp32c3 is woken by 0, 1, 2, 3, 4, 5 only"),
        ("ignition_low = true", "", "ignition_low: the bus wakes an esp32c3 by a low pin, so the ignition must, too"),
    ],
)  # fmt: skip
def test_what_cannot_wake_the_chip_is_one_line_unless_the_board_does_not_sleep(
    planted: Path, line: str, instead: str, says: str
) -> None:
    planted.write_text(C3.replace(line, instead, 1))
    with pytest.raises(InputError) as caught:
        boards.load("esp32-mcp2515")
    assert str(caught.value) == f"boards/esp32-mcp2515/board.toml: {says}; or say sleeps = false"
    planted.write_text(C3.replace(line, instead, 1).replace("rx_queue", "sleeps = false\nrx_queue", 1))
    assert not boards.load("esp32-mcp2515").sleeps


def test_file_that_is_no_text(planted: Path) -> None:
    planted.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"boards/esp32-mcp2515/board.toml: "):
        boards.load("esp32-mcp2515")


def test_board_in_the_documents_has_ten_lines_and_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (paths.ROOT / "docs" / "boards.md").read_text()
    example = text.partition("```toml\n")[2].partition("```")[0]
    assert len(example.splitlines()) == 10
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "board.toml").write_text(example)
    monkeypatch.setattr(paths, "BOARDS", tmp_path)
    assert boards.load("mine").pins == {"can_tx": 0, "can_rx": 1}


def test_documents_name_every_board_and_its_build() -> None:
    text = (paths.ROOT / "docs" / "boards.md").read_text()
    wanted = {word for board in boards.load_all() for word in (board.name, board.build or board.name)}
    assert [word for word in sorted(wanted) if f"`{word}`" not in text] == []
