"""Judges a message on the topic `command`: loaded for it and forgotten. It must be JSON, short enough, of somebody with the key,
new, in time and known, in this order. Once it is known to be new it is answered, and never again."""

import json
from binascii import unhexlify
from hashlib import sha256
from micropython import const
from pigtail import once, uptime
from pigtail.control.forms import is_command, unfit
from pigtail.uplink.clock import NONE

_LONGEST = const(512)
_MAC = const(32)
_BLOCK = const(64)  # of SHA-256, bytes
_FIELDS = "id", "nonce", "expires_ms", "command", "arguments"
_TYPES = [str, int, int, str, dict]


def judge(commands, message):
    """The command that is to be run; None where it is refused, which is counted and, where it may be, answered."""
    command, reason = _opened(commands, message)
    if not reason and not once.call("pigtail.control.nonces", "take", command["nonce"]):
        reason = "replayed"
    if reason:
        return commands.refuse(reason)
    reason, text = _untimely(commands.clock, command["expires_ms"]), ""
    if not reason:
        reason, text = unfit(command)
    if reason:
        return commands.answer(command, reason, text)
    return command


def _opened(commands, message):
    """(the command in a message, None), or (None, the reason why it is none)."""
    try:
        envelope = json.loads(message)
        mac, body = unhexlify(envelope["mac"]), envelope["body"].encode()
    except (ValueError, KeyError, TypeError, AttributeError, MemoryError):  # anybody may send it: it may be made to take memory
        return None, "malformed"
    if len(mac) != _MAC:
        return None, "malformed"
    if len(body) > _LONGEST:
        return None, "too_long"
    if not _is_same(mac, hmac(commands.key, commands.device.encode() + b"\n" + body)):
        return None, "bad_mac"
    try:
        command = json.loads(body)
    except ValueError:
        return None, "malformed"
    return command, None if is_command(command, _FIELDS, _TYPES) and 0 <= command["nonce"] < 1 << 63 else "malformed"


def hmac(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104) with a key of at most 64 bytes."""
    inner = sha256(_mixed(key, 0x36))
    inner.update(message)
    outer = sha256(_mixed(key, 0x5C))
    outer.update(inner.digest())
    return outer.digest()


def _mixed(key, mask):
    mixed = bytearray(_BLOCK)
    for i in range(_BLOCK):
        mixed[i] = (key[i] if i < len(key) else 0) ^ mask
    return mixed


def _is_same(a, b):
    """Takes as long wherever they differ."""
    differ = 0
    for i in range(len(b)):
        differ |= a[i] ^ b[i]
    return not differ


def _untimely(clock, expires_ms):
    if clock.quality == NONE:
        return "clock_unknown"
    return "expired" if clock.utc_of_boot_ms + uptime.ms() > expires_ms else None
