"""The tables of docs/configuration.md, made from the keys: `python -m host_tools.config.reference` writes them."""

import json
from collections.abc import Iterator

from host_tools.config import firmware
from host_tools.config.keys import KEYS, Key
from host_tools.paths import ROOT

PAGE = ROOT / "docs" / "configuration.md"
_FIRST = "\n## "  # what stands before it people write


def page(written: str) -> str:
    """The whole page, with the tables as the keys have them."""
    return written.partition(_FIRST)[0] + "\n".join(_lines())


def _lines() -> Iterator[str]:
    group = ""
    for key in KEYS.values():
        if key.group != group:
            group = key.group
            yield from ("", f"## {group}", "", "| key | default | takes | |", "|---|---|---|---|")
        yield f"| `{key.name}` | {_default(key)} | {key.takes} | {key.text}{' Secret.' if key.is_secret else ''} |"
    yield from ("", "## Older names", "", "| schema | key | was called |", "|---|---|---|")
    for version, renamed in enumerate(firmware.RENAMED, 2):
        yield from (f"| {version} | `{new}` | `{old}` |" for old, new in renamed.items())
    yield ""


def _default(key: Key) -> str:
    return f"`{json.dumps(key.default)}`" if key.default or key.kind is int else ""


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
