"""Damages XML: most often so that it is still well-formed but says something else."""

from __future__ import annotations

import random
import re

TOKEN = re.compile(rb"<[^<>]*>|[^<]+")
NUMBER = re.compile(rb"(?<=[>\"/:,-])[0-9]+(?=[<\"/:,-])")
NUMBERS = (
    b"0", b"1", b"7", b"8", b"31", b"32", b"33", b"64", b"127", b"128", b"129", b"242", b"256",
    b"65535", b"65536", b"1048575", b"1048576", b"16777215", b"16777216", b"2147483648",
    b"4294967295", b"4294967296", b"281474976710655", b"281474976710656",
    b"18446744073709551615", b"18446744073709551616", b"9" * 40, b"-1", b"+1", b" 7\n", b"007",
    b"1-2", b"2-1", b"0-0", b"16777215-16777216", b"0x10", b"1e3", b"", b"\xd9\xa1",
)  # fmt: skip
TEXTS = (
    b"", b" ", b"\r\n", b"true", b"1", b"false", b"TRUE", b"&amp;", b"&lt;", b"&#65;", b"&#x20AC;",
    b"&#0;", b"&#x110000;", b"&lol;", b"<![CDATA[<x>]]>", b"<![CDATA[", b"<!-- x -->", b"<!--",
    b"<?pi x?>", b"<?xml version='1.0'?>", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"10.1.2.3/20",
    b"10.1.2.3", b"10.1.2.3/", b"::/0", b"2001:db8::1/128", b"::ffff:10.0.0.1/128", b"fe80::1%1/64",
    b"0.0.0.0/0", b"255.255.255.255/32", b"1.2.3/8", b"ff:ff:ff:ff:ff:ff", b"0:0:0:0:0:0",
    b"00:00:00:00:00:00", b"2:aa:bb:0:0:1", b"02:aa:bb:00:00:01:02", b"field-hash", b"gre", b"udp",
    b"vxlan", b"native", b"mpls", b"x" * 70, b"\xc8\x80", b"\xff", b"\xed\xa0\x80", b"\x00",
    b"\xef\xbf\xbe", b"<a/>", b"<a>b</a>", b"</a>", b"0/0/EndOfRib", b"1/1/x", b"25/242/x",
)  # fmt: skip


def damaged(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """`data` with one to four mistakes."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        data = _bytes(data, others, rng) if rng.randrange(6) == 0 else _tokens(data, others, rng)
    return data


def _bytes(raw: bytes, others: list[bytes], rng: random.Random) -> bytes:
    data = bytearray(raw)
    at = rng.randrange(len(data) + 1)
    match rng.randrange(6):
        case 0:
            data[at : at + 1] = bytes([rng.randrange(256)])
        case 1:
            del data[at:]
        case 2:
            del data[at : at + rng.randrange(1, 12)]
        case 3:
            data[at:at] = rng.randbytes(rng.randrange(1, 12))
        case 4:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            data[at:at] = other[start : start + rng.randrange(1, 60)]
        case _:
            data[at:at] = rng.choice(TEXTS)
    return bytes(data)


def _tokens(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    tokens = TOKEN.findall(data)
    if not tokens:
        return data
    at = rng.randrange(len(tokens))
    match rng.randrange(9):
        case 0 | 1:
            return _number(data, rng)
        case 2:
            tokens[at] = tokens[at] if tokens[at].startswith(b"<") else rng.choice(TEXTS)
        case 3:  # text where there was none
            tokens[at:at] = [rng.choice(TEXTS)]
        case 4:  # an element less
            del tokens[at : _end(tokens, at)]
        case 5:  # an element twice, or elsewhere
            element = tokens[at : _end(tokens, at)]
            where = rng.randrange(len(tokens) + 1)
            tokens[where:where] = element
        case 6:  # an element of another stanza
            other = TOKEN.findall(rng.choice(others))
            start = rng.randrange(len(other))
            tokens[at:at] = other[start : _end(other, start)]
        case 7:  # an element renamed, or within another
            end = _end(tokens, at)
            name = rng.choice((b"x", b"entry", b"next-hop", b"item", b"retract", b"iq", b"label"))
            tokens[at:end] = [b"<%s>" % name, *tokens[at:end], b"</%s>" % name]
        case _:  # more of the same
            element = tokens[at : _end(tokens, at)]
            tokens[at:at] = element * rng.choice((2, 3, 40)) if len(element) < 40 else []
    return b"".join(tokens)


def _number(data: bytes, rng: random.Random) -> bytes:
    found = list(NUMBER.finditer(data))
    if not found:
        return data
    one = rng.choice(found)
    return data[: one.start()] + rng.choice(NUMBERS) + data[one.end() :]


def _end(tokens: list[bytes], at: int) -> int:
    """Behind the element that begins at a token, or behind the token if none does."""
    depth = 0
    for end in range(at, len(tokens)):
        token = tokens[end]
        if token.startswith(b"</"):
            depth -= 1
        elif token.startswith(b"<") and not token.endswith(b"/>"):
            depth += 1
        if depth <= 0:
            return end + 1
    return at + 1
