"""Commanding a device: commands built and signed, sent, and their replies awaited."""

from host_tools.control.message import Command, Key, message, read_key
from host_tools.control.send import NoReply, send

__all__ = ["Command", "Key", "NoReply", "message", "read_key", "send"]
