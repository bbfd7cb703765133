from array import array
from mmap import mmap

TALLY_WORDS: int

def scan(
    table: bytes | bytearray | memoryview | mmap,
    start: int,
    stop: int,
    picked: array[int],
    *,
    mask: int,
    value: int,
    vrf: int = -1,
) -> tuple[int, int, int]: ...
def tally(
    table: bytes | bytearray | memoryview | mmap,
    main_entries: int,
    start: int,
    stop: int,
    counts: array[int],
) -> None: ...
def find(table: bytes | bytearray | memoryview | mmap, main_entries: int, key: bytes) -> int: ...
