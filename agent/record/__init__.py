"""Recordings: everything that entered the core of an agent, in a file that can be replayed.

In: the calls that the shell makes of the core, as events with their times; the bytes of a
recording file. Out: blocks of bytes for the file; the events again. Never: a file, a clock,
or the core itself; what writes the file is agent/io/recording.py, what plays it again
agent/daemon/replay.py.
"""

from agent.record.codec import Reader, Recorded, Writer
from agent.record.frames import BLOCK_SIZE, MAGIC, MAX_ENTRY, Packer, Unpacker

__all__ = [
    "BLOCK_SIZE",
    "MAGIC",
    "MAX_ENTRY",
    "Packer",
    "Reader",
    "Recorded",
    "Unpacker",
    "Writer",
]
