"""Judges a message on the topic `command`: loaded for it and forgotten. It must be JSON, short enough, of somebody with the key,
new, in time and known, in this order. Once it is known to be new it is answered, and never again."""

import json
from binascii import unhexlify
from hashlib import sha256
from micropython import const
from pigtail import once, uptime
from pigtail.uplink.clock import NONE

_LONGEST = const(512)
_LONGEST_ID = const(36)
_MAC = const(32)
_BLOCK = const(64)  # of SHA-256, bytes
_FIELDS = "id", "nonce", "expires_ms", "command", "arguments"
_TYPES = [str, int, int, str, dict]
_ARGUMENTS = {
    "ping": (), "flush": (), "reboot": (), "set_period": (("signal", str), ("period_ms", int)), "snapshot": (("signals", list),),
    "capture": (("ids", list), ("duration_ms", int), ("frames", int)), "allow": (("requests", bool),), "unmute": (),
    "gate": (("skip", int),), "ask": (("ecu", str), ("request", str)), "clear": (("ecu", str), ("request", str)),
    "config": (("set", dict),), "settings": (("skip", int),),
}  # fmt: skip


def judge(commands, message):
    """The command that is to be run; None where it is refused, which is counted and, where it may be, answered."""
    command, reason = _opened(commands, message)
    if not reason and not once.call("pigtail.control.nonces", "take", command["nonce"]):
        reason = "replayed"
    if reason:
        return commands.refuse(reason)
    reason, text = _untimely(commands.clock, command["expires_ms"]), ""
    if not reason:
        reason, text = _unfit(command["command"], command["arguments"])
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
    return command, None if _is_command(command) else "malformed"


def _is_command(command):
    if type(command) is not dict or [type(command.get(name)) for name in _FIELDS] != _TYPES or len(command) != len(_FIELDS):
        return False
    return 1 <= len(command["id"]) <= _LONGEST_ID and 0 <= command["nonce"] < 1 << 63


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


def _unfit(command, arguments):
    """(reason, text), (None, "") where the device knows the command and its arguments."""
    wanted = _ARGUMENTS.get(command)
    if wanted is None:
        return "unknown_command", ""
    if len(arguments) != len(wanted):
        return "bad_arguments", "takes " + (", ".join([name for name, _ in wanted]) or "none")
    for name, kind in wanted:
        if type(arguments.get(name)) is not kind:
            return "bad_arguments", "%s: takes %s" % (name, kind.__name__)
    return None, ""
