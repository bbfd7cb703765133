"""Which rule of an access list decides: ours, one rule after another in C and Python, tries."""

from __future__ import annotations

import importlib
import random
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agent._fast.classifier import Classifier, End, Line, Place, Probe

HERE = Path(__file__).parent
SOURCES = HERE.parent / "agent" / "_fast" / "src"
SIZES = (10, 100, 1000)
PACKETS = 4096
PREFIXES = 1000
HOT = 256
DECLARED = """
    void *bench_new(uint32_t count);
    void bench_free(void *);
    size_t bench_memory(const void *);
    void bench_compile(void *);
    uint64_t run_compiled(const void *);
    uint64_t run_linear(const void *);
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The classifier's C and its peer, compiled with the flags of our kernels."""
    cffi = pytest.importorskip("cffi")
    folder: Path = tmp_path_factory.mktemp("classifier")
    shutil.copy(HERE / "classifier_peer.c", folder)
    sources = sorted(map(str, (SOURCES / "classifier").glob("*.c")))
    flags = ["-O2", "-std=c11", "-shared", "-fPIC", "-fstack-protector-strong"]
    command = ["cc", *flags, f"-I{SOURCES}", "classifier_peer.c", *sources, "-o", "peer.so"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no C compiler for the peer: {error!r}")
    ffi = cffi.FFI()
    ffi.cdef(DECLARED)
    return ffi.dlopen(str(folder / "peer.so"))


@pytest.fixture(params=SIZES)
def rules(request: pytest.FixtureRequest, library: Any) -> Any:
    """How many rules, and both classifiers filled with them."""
    bench = library.bench_new(request.param)
    yield request.param, bench
    library.bench_free(bench)


def match_group(size: int) -> str:
    return f"classifier: match, {size} security-group rules"


def test_match_vrouter(contest: Any, rules: Any, library: Any) -> None:
    size, bench = rules
    assert library.run_compiled(bench) == library.run_linear(bench) > 0
    contest(
        match_group(size),
        "vrouter",
        per=PACKETS,
        aim_ns=150,
        memory_kb=round(library.bench_memory(bench) / 1e3, 1),
    )(library.run_compiled, bench)


def test_match_linear(contest: Any, rules: Any, library: Any) -> None:
    size, bench = rules
    contest(match_group(size), "C loop", per=PACKETS)(library.run_linear, bench)


def test_compile_vrouter(contest: Any, rules: Any, library: Any) -> None:
    size, bench = rules
    contest("classifier: put a list, by the rule", f"vrouter, {size} rules", per=size)(
        library.bench_compile, bench
    )


@cache
def networks() -> list[int]:
    """Different /24 networks, as numbers."""
    return random.Random(1).sample(range(10 << 16, 11 << 16), PREFIXES)


@cache
def destinations() -> list[bytes]:
    chance = random.Random(2)
    picked = chance.choices(networks(), k=HOT)
    return [(number << 8 | chance.randrange(256)).to_bytes(4, "big") for number in picked]


def each(function: Callable[[Any], Any], arguments: list[Any]) -> None:
    for argument in arguments:
        function(argument)


def prefix_contest(contest: Any, impl: str, function: Callable[[Any], Any], given: Any) -> None:
    group = f"classifier: one of {PREFIXES} prefixes, from Python"
    contest(group, impl, per=HOT)(each, function, given)


def test_prefixes_vrouter(contest: Any) -> None:
    classifier = Classifier()
    anything = (((0, 255), (0, 65535), (0, 65535)),)
    lines = [
        Line(UUID(int=100 + at), 1, Place(), Place((IPv4Network((number << 8, 24)),)), anything)
        for at, number in enumerate(networks())
    ]
    classifier.put(0, lines)
    source = End(bytes((10, 0, 0, 1)))
    probes = [Probe(source, End(address), 6) for address in destinations()]
    found = classifier.rule_uuid(classifier.match((0,), probes[0]).rule)
    assert found == UUID(int=100 + networks().index(int.from_bytes(destinations()[0][:3], "big")))
    prefix_contest(contest, "vrouter", lambda probe: classifier.match((0,), probe), probes)


def dotted(packed: bytes) -> str:
    return ".".join(map(str, packed))


def test_prefixes_pytricia(contest: Any, peer: Any) -> None:
    peer("pytricia")
    table = importlib.import_module("pytricia").PyTricia(32)
    for at, number in enumerate(networks()):
        table.insert(f"{dotted((number << 8).to_bytes(4, 'big'))}/24", at)
    given = [dotted(address) for address in destinations()]
    prefix_contest(contest, "pytricia", table.get, given)


def test_prefixes_py_radix(contest: Any, peer: Any) -> None:
    peer("radix")
    table = importlib.import_module("radix").Radix()
    for number in networks():
        table.add(f"{dotted((number << 8).to_bytes(4, 'big'))}/24")
    prefix_contest(
        contest, "py-radix", lambda packed: table.search_best(packed=packed), destinations()
    )


def test_prefixes_python_loop(contest: Any) -> None:
    rules = [(number << 8, 0xFFFFFF00) for number in networks()]

    def first(address: int) -> int | None:
        for at, (network, mask) in enumerate(rules):
            if address & mask == network:
                return at
        return None

    given = [int.from_bytes(address, "big") for address in destinations()]
    prefix_contest(contest, "Python loop", first, given)
