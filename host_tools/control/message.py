"""A command as the bytes that a device takes (firmware/SPEC.md, section 4)."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from host_tools.errors import InputError

MOST_BODY = 512  # bytes
MOST_ID = 36  # characters
_KEY = re.compile(r"[0-9a-fA-F]{64}")

Key = bytes


@dataclass(frozen=True)
class Command:
    """A command by its `name`. Its `id` is what the reply names, `nonce` a number higher than any command with this key has had
    (UTC in ms will do); after `expires_ms` (UTC, ms since 1970) the device refuses it."""

    name: str
    id: str
    nonce: int
    expires_ms: int
    arguments: Mapping[str, object] = field(default_factory=dict)


def body(command: Command) -> str:
    """The JSON text that is signed. Raises InputError for what no device takes."""
    if not 1 <= len(command.id) <= MOST_ID or not 0 <= command.nonce < 1 << 63:
        raise InputError(f"command {command.name}: give an id of 1 to {MOST_ID} characters and a nonce from 0 to 2^63 - 1")
    fields = {
        "id": command.id, "nonce": command.nonce, "expires_ms": command.expires_ms, "command": command.name,
        "arguments": dict(command.arguments),
    }  # fmt: skip
    return _short(command.name, json.dumps(fields, ensure_ascii=False, separators=(",", ":")))


def typed(ident: str, name: str, arguments: Mapping[str, object]) -> bytes:
    """A command as the console takes it, without the newline. Raises InputError for what no device takes."""
    fields = {"id": ident, "command": name, "arguments": dict(arguments)}
    return _short(name, json.dumps(fields, ensure_ascii=False, separators=(",", ":"))).encode()


def mac(key: Key, device: str, text: str) -> str:
    """HMAC-SHA256 of the device and the body, as hex."""
    return hmac.new(key, f"{device}\n{text}".encode(), hashlib.sha256).hexdigest()


def message(key: Key, device: str, command: Command) -> bytes:
    """The payload for the device's topic `command`. Raises InputError for what no device takes."""
    text = body(command)
    return json.dumps({"mac": mac(key, device, text), "body": text}, ensure_ascii=False).encode()


def _short(name: str, text: str) -> str:
    if len(text.encode()) > MOST_BODY:
        raise InputError(f"command {name}: {len(text.encode())} bytes; a device takes {MOST_BODY}: name fewer signals")
    return text


def read_key(path: Path) -> Key:
    """The key in a file: 64 hex digits, as the device has them in `command.key`. Raises InputError."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"cannot read the key {path}: {reason}; give the file with the device's command.key") from error
    if not _KEY.fullmatch(text):
        raise InputError(f"{path} holds no key: it must be 64 hex digits, those of the device's command.key")
    return bytes.fromhex(text)
