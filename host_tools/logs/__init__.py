"""Recorded CAN logs of any format as one stream of frames (python-can's `Message`)."""

from host_tools.logs.stream import read

__all__ = ["read"]
