from array import array
from mmap import mmap

def scan(
    table: bytes | bytearray | memoryview | mmap,
    start: int,
    stop: int,
    picked: array[int],
    *,
    mask: int,
    value: int,
) -> tuple[int, int, int]: ...
def find(table: bytes | bytearray | memoryview | mmap, main_entries: int, key: bytes) -> int: ...
