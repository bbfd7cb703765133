from array import array
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_Address = IPv4Address | IPv6Address | str | bytes | int
_Network = IPv4Network | IPv6Network
_Prefix = _Network | str | tuple[_Address, int]

NO_VALUE: int
"""What `lookup_many` gives for an address that no prefix covers; above every value."""

class PrefixTable:
    """Longest-prefix match over IPv4 or IPv6 prefixes with values 0 to NO_VALUE - 1.

    `family` is 4 or 6, or the wire's AF_INET 2 or AF_INET6 10. A prefix is an ipaddress
    network, its text, or (address, length) with no host bit set; an address is an
    ipaddress address, its text, its packed big-endian bytes (fastest), or a number.
    ValueError for one of another family or with host bits, OverflowError for a number
    that is too large, MemoryError with the table unchanged when memory runs out.
    """

    def __init__(self, family: int) -> None: ...
    @property
    def family(self) -> int:
        """4 or 6."""

    @property
    def memory(self) -> int:
        """Bytes held by the table."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[tuple[_Network, int]]: ...
    def items(self) -> list[tuple[_Network, int]]:
        """Every prefix with its value, in prefix order."""

    def insert(self, prefix: _Prefix, value: int) -> None:
        """Add a prefix or replace its value. RuntimeError while `lookup_many` runs."""

    def remove(self, prefix: _Prefix) -> bool:
        """Remove exactly this prefix; False if it is not there."""

    def get(self, prefix: _Prefix) -> int | None:
        """The value of exactly this prefix."""

    def covering(self, prefix: _Prefix) -> tuple[_Network, int] | None:
        """The longest prefix in the table that is shorter than `prefix` and contains it."""

    def lookup(self, address: _Address) -> int | None:
        """The value of the longest prefix that contains `address`."""

    def lookup_many(self, addresses: bytes | bytearray | memoryview) -> array[int]:
        """Look up packed big-endian addresses (4 or 16 bytes each), without the GIL.

        Gives one u32 an address, NO_VALUE where nothing matches.
        """
