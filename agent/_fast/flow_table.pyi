from array import array
from mmap import mmap

MATCH_SIZE: int
TALLY_WORDS: int

def key_hash(key: bytes) -> int: ...
def scan(
    table: bytes | bytearray | memoryview | mmap,
    start: int,
    stop: int,
    picked: array[int],
    *,
    mask: int,
    value: int,
    action: int = -1,
    match: bytes | None = None,
) -> tuple[int, int, int, int]: ...
def tally(
    table: bytes | bytearray | memoryview | mmap,
    main_entries: int,
    start: int,
    stop: int,
    counts: array[int],
) -> None: ...
def find(table: bytes | bytearray | memoryview | mmap, main_entries: int, key: bytes) -> int: ...
