"""What the agent writes down of its numbers, so that they outlive the datapath.

In: indexes and labels with the keys of their objects; the bytes of files of an earlier run,
our own or the reference agent's. Out: the bytes and the name of the next file; the numbers
again, as rows that oper keeps for those keys. Never: a file, a clock, or a choice of what a
number means. What reads and writes the files is agent/io/backup.py.
"""

from agent.backup.files import FAMILY, REFERENCE, checked, family, file_name
from agent.backup.numbers import decode, encode
from agent.backup.reference import Restored, restored

__all__ = [
    "FAMILY",
    "REFERENCE",
    "Restored",
    "checked",
    "decode",
    "encode",
    "family",
    "file_name",
    "restored",
]
