from array import array
from mmap import mmap

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
) -> tuple[int, int, int, int]: ...
def find(table: bytes | bytearray | memoryview | mmap, main_entries: int, key: bytes) -> int: ...
