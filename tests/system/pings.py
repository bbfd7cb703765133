"""What a ping that was interrupted has shown."""

import re

UNDER_WAY = 3
"""So many packets at most have no answer yet in the moment in which ping is stopped."""


def counted(output: str) -> tuple[int, int]:
    """(sent, received) of a ping that was stopped, without what was still under way then."""
    found = re.search(r"(\d+) packets transmitted, (\d+) rec", output)
    assert found, output
    sent, received = map(int, found.groups())
    last = max(map(int, re.findall(r"icmp_seq=(\d+) ttl", output)), default=0)
    return (last if sent - last <= UNDER_WAY else sent), received
