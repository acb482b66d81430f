# What is frozen into this board's MicroPython: see docs/boards.md.
include("../manifest.py")
module("board.py", opt=3)
