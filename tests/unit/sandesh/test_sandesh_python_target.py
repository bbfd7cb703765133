"""`sandeshc --gen py`: the classes it makes, and their binary form."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import SandeshError
from agent.sandesh import runtime
from agent.sandesh.compiler.__main__ import main
from tests.unit.sandesh.sandesh_vectors import vector_rows

VROUTER = Path(__file__).parents[3] / "agent" / "sandesh" / "vrouter.sandesh"

BASE = """
enum Op { ADD = 1, DEL }
/** A "quoted" \\ name. */
struct Head { 1: Op op = DEL }
const Op FIRST = ADD
"""
SAMPLE = """
include "base.sandesh"
const list<i32> PRIMES = [2, 3]
const map<string, set<i32>> GROUPS = {"a": [1], "b": []}
const Inner INNER = {"name": "constant", "inner": {"name": "deep"}}
const binary RAW = "ab"
const ipv4 LOCAL = 0x7f000001
typedef map<string, list<Inner>> Table
struct Inner { 1: string name (key = "ObjectTable"); 2: optional Inner inner; 3: i32 class_ = 7 }
union Either { 1: i32 number; 2: string text }
exception Boom { 1: string why }
struct All {
  1: bool a = true; 2: byte b; 3: i16 c; 4: i32 d; 5: i64 e; 6: u16 f; 7: u32 g; 8: u64 h;
  9: ipv4 i = LOCAL; 10: ipaddr j; 11: double k; 12: string l; 13: binary m; 14: xml n;
  15: ct_uuid_t o; 16: Table p; 17: set<u64> q; 18: Inner r = INNER; 19: list<list<bool>> s;
  20: base.Op t = base.FIRST; 21: base.Head u; 22: map<i32, map<ipaddr, double>> v;
  23: optional list<i32> w = PRIMES; 24: optional string x; i32 y; 25: i32 field; 26: i32 int;
  27: Either z; 28: map<Point, set<Point>> keyed;
  29: base.Head base
} (period = "30")
struct Point { 1: ipaddr address; 2: u16 port }
struct Odd { 1: i32 __a = 5; 2: i32 b__ }
enum Kept { mro = 1, _x_, __y, __z__, name }
request sandesh Ask { 1: optional i32 n }
response sandesh Answer { 1: list<Inner> items (link = "Ask") }
systemlog sandesh Went { 1: "gone"; 2: string who }
uve sandesh Shown { 1: Inner data }
service Calls { i32 add(1: i32 a) throws (1: Boom boom) }
service More extends Calls { void nothing() }
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The module made from SAMPLE."""
    folder = tmp_path_factory.mktemp("idl")
    (folder / "base.sandesh").write_text(BASE)
    (folder / "sample.sandesh").write_text(SAMPLE)
    package = folder / "made_by_sandeshc"
    options = ["--gen", "py", "-r", "-o", str(package), "--package", "made_by_sandeshc"]
    result = CliRunner().invoke(main, [*options, str(folder / "sample.sandesh")])
    assert result.exit_code == 0, result.output
    assert "field 'y' of struct 'All' has no id, taking -1" in result.stderr
    assert sorted(path.name for path in package.iterdir()) == ["base.py", "sample.py"]
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module("made_by_sandeshc.sample")
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def vrouter(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The module made from vrouter.sandesh."""
    folder = tmp_path_factory.mktemp("vrouter")
    result = CliRunner().invoke(main, ["--gen", "py", "-o", str(folder), str(VROUTER)])
    assert result.exit_code == 0, result.output
    spec = importlib.util.spec_from_file_location("vrouter_by_sandeshc", folder / "vrouter.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def as_attributes(spec: runtime.Spec, fields: dict[str, Any]) -> dict[str, Any]:
    return {field.attribute: fields[field.name] for field in spec.fields}


def test_golden_vectors_both_ways(vrouter: ModuleType) -> None:
    for row in vector_rows("sandesh.jsonl"):
        raw = bytes.fromhex(row["hex"])
        kind = vrouter.MESSAGES[row["struct"]]
        record = kind(**as_attributes(kind.SPEC, row["fields"]))
        assert record.encode() == raw
        assert kind.decode(raw) == record


def test_defaults(sample: ModuleType) -> None:
    record = sample.All()
    assert (record.a, record.b, record.i, record.j) == (
        True,
        0,
        IPv4Address("127.0.0.1"),
        IPv4Address(0),
    )
    assert (record.l, record.m, record.o, record.p) == ("", b"", UUID(int=0), {})
    assert record.r == sample.Inner(name="constant", inner=sample.Inner(name="deep"))
    assert (record.t, record.u.op, record.w, record.x) == (1, 2, [2, 3], None)
    assert (record.field_, record.int_, sample.Inner().class_) == (0, 0, 7)
    assert record.w is not sample.All().w
    assert sample.PRIMES == [2, 3]
    groups = sample.GROUPS
    assert groups == {"a": {1}, "b": set()}
    assert sample.RAW == b"ab"
    assert sample._base.Op.DEL == 2
    assert sample._base.Head.__doc__ == "A 'quoted' \\ name."
    assert set(sample.MESSAGES) == {"Ask", "Answer", "Went", "Shown"}
    assert issubclass(sample.Boom, Exception)
    assert sample.Calls in sample.More.__mro__


def test_specs_keep_what_the_idl_says(sample: ModuleType) -> None:
    assert sample.Inner.SPEC.fields[0].annotations == (("key", "ObjectTable"),)
    assert sample.All.SPEC.annotations == (("period", "30"),)
    assert sample.Answer.SPEC.kind == "response"
    items, more = sample.Answer.SPEC.fields
    assert items.annotations == (("link", "Ask"),)
    assert (more.name, more.id, more.hidden) == ("more", 0, True)
    assert sample.All.SPEC.fields[24].id == -1


def value_bytes(sample: ModuleType, name: str, value: Any) -> bytes:
    """The wire type and value of field `name`, as encoded."""
    record = sample.All(**{name: value})
    number = next(field.id for field in sample.All.SPEC.fields if field.attribute == name)
    raw, empty = record.encode(), sample.All().encode()
    reader = runtime.Reader(raw)
    while wire := reader.byte():
        found = int.from_bytes(reader.take(2), "big", signed=True)
        start = reader.at
        runtime.skip(reader, wire)
        if found == number:
            assert sample.All.decode(raw) == record
            assert raw != empty
            return bytes([wire]) + raw[start : reader.at]
    raise AssertionError(f"{name} was not written")


FORMS = [
    ("a", False, "02 00"),
    ("b", -2, "03 fe"),
    ("k", 1.5, "04 3ff8000000000000"),
    ("c", -2, "06 fffe"),
    ("d", -2, "08 fffffffe"),
    ("h", 2**64 - 1, "09 ffffffffffffffff"),
    ("e", -2, "0a fffffffffffffffe"),
    ("l", "hé", "0b 00000003 68c3a9"),
    ("m", b"\0\xff", "0b 00000002 00ff"),
    ("f", 65535, "13 ffff"),
    ("g", 2**32 - 1, "14 ffffffff"),
    ("n", "<a/>", "15 00000004 3c612f3e"),
    ("i", IPv4Address("10.1.2.3"), "16 0a010203"),
    ("o", UUID(int=0x0102), "17 00000000000000000000000000000102"),
    ("j", IPv4Address("10.1.2.3"), "18 02 0a010203"),
    ("j", IPv6Address("::1"), "18 0a 00000000000000000000000000000001"),
    ("q", {7}, "0e 09 00000001 0000000000000007"),
    ("s", [[True], []], "0f 0f 00000002 02 00000001 01 02 00000000"),
    (
        "v",
        {1: {IPv4Address(1): 0.0}},
        "0d 08 0d 00000001 00000001 18 04 00000001 02 00000001 0000000000000000",
    ),
    ("w", [5], "0f 08 00000001 00000005"),
    ("t", 9, "08 00000009"),
    ("y", 3, "08 00000003"),
]


@pytest.mark.parametrize(("name", "value", "text"), FORMS, ids=[f"{n}-{v}" for n, v, _ in FORMS])
def test_the_form_of_each_type(sample: ModuleType, name: str, value: Any, text: str) -> None:
    assert value_bytes(sample, name, value) == bytes.fromhex(text)


def test_structs_in_containers(sample: ModuleType) -> None:
    table = {"k": [sample.Inner(name="x", class_=1)]}
    inner = "0b 0001 00000001 78 08 0003 00000001 00"
    text = f"0d 0b 0f 00000001 00000001 6b 0c 00000001 {inner}"
    assert value_bytes(sample, "p", table) == bytes.fromhex(text)


def test_structs_as_keys(sample: ModuleType) -> None:
    one, two = sample.Point(port=1), sample.Point(port=2)
    record = sample.All(keyed={one: {one, two}, two: set()})
    assert sample.All.decode(record.encode()) == record
    assert sample.All.decode(record.encode()).keyed[sample.Point(port=2)] == set()


def test_a_sandesh_has_its_name_and_hidden_fields(sample: ModuleType) -> None:
    went = sample.Went(who="me", file="f", line=3)
    assert went.encode() == bytes.fromhex(
        "00000004 57656e74 0b 0001 00000004 676f6e65 0b 0002 00000002 6d65"
        "0b 8000 00000001 66 08 8001 00000003 00"
    )
    assert sample.Went.decode(went.encode()) == went
    assert sample.Ask().encode() == b"\0\0\0\x03Ask\0"
    assert sample.Answer(more=True).encode().endswith(b"\x02\0\0\x01\0")
    with pytest.raises(SandeshError, match="expected a Ask, found 'Went'"):
        sample.Ask.decode(went.encode())


def test_fields_that_are_unknown_or_of_another_type_are_skipped(sample: ModuleType) -> None:
    unknown = b"\x0d\0\x63\x0b\x0c\0\0\0\1\0\0\0\1k\x08\0\1\0\0\0\5\0"
    other = b"\x08\0\1\0\0\0\1" + b"\x0f\0\x02\x08\0\0\0\1\0\0\0\1"
    assert sample.Inner.decode(unknown + other + b"\0") == sample.Inner()
    wrong_elements = b"\x0f\0\x17\x0b\0\0\0\1\0\0\0\1k" + b"\x0d\0\x16\x08\x08\0\0\0\0" + b"\0"
    assert sample.All.decode(wrong_elements) == sample.All()
    inner_wrong = b"\x0f\0\x13\x0f\0\0\0\1\x08\0\0\0\1\0\0\0\5\0"
    assert sample.All.decode(inner_wrong).s == [[]]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"a": "x"}, "All.a: 'x' does not fit into bool"),
        ({"a": 2}, "All.a: 2 does not fit into bool"),
        ({"b": 128}, "All.b: 128 does not fit into byte"),
        ({"h": -1}, "All.h: -1 does not fit into u64"),
        ({"d": "x"}, "All.d: 'x' does not fit into i32"),
        ({"l": b"x"}, "All.l: b'x' is not a text"),
        ({"l": "\ud800"}, "All.l: .* has characters that UTF-8 cannot hold"),
        ({"m": "x"}, "All.m: 'x' is not bytes"),
        ({"o": "x"}, "All.o: 'x' is not a UUID"),
        ({"i": 1}, "All.i: 1 is not an IPv4 address"),
        ({"j": 1}, "All.j: 1 is not an address"),
        ({"q": 1}, "All.q: 1 is not a set"),
        ({"s": "x"}, "All.s: 'x' is not a list"),
        ({"p": []}, r"All.p: \[\] is not a map"),
        ({"r": None}, "All.r: None is not a Inner"),
        ({"p": {"k": [3]}}, "All.p: 3 is not a Inner"),
    ],
)
def test_values_that_do_not_fit_are_named(
    sample: ModuleType, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(SandeshError, match=words):
        sample.All(**fields).encode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the bytes end inside a value"),
        ("00 00", "bytes after the end"),
        ("0b 0001 ffffffff", "a negative length"),
        ("0b 0001 00000009", "beyond the end"),
        ("18 0063 03", "the unknown address family 3"),
        ("18 0063 02 000000", "the bytes end inside a value"),
        ("63 0063", "the unknown type code 99"),
        ("0f 0063 08 7fffffff", "beyond the end"),
        ("0c 0002 " * 40, "values nested too deeply"),
        ("0c 0063 " * 40, "values nested too deeply"),
    ],
)
def test_bytes_that_cannot_be_read(sample: ModuleType, text: str, words: str) -> None:
    with pytest.raises(SandeshError, match=words) as caught:
        sample.Inner.decode(bytes.fromhex(text))
    assert caught.value.offset is not None


def strategy(codec: runtime.Codec) -> st.SearchStrategy[Any]:
    """Any value of a type."""
    if isinstance(codec, runtime.SetOf):
        return st.sets(strategy(codec.element), max_size=3)
    if isinstance(codec, runtime.ListOf):
        return st.lists(strategy(codec.element), max_size=3)
    if isinstance(codec, runtime.MapOf):
        return st.dictionaries(strategy(codec.key), strategy(codec.value), max_size=3)
    if isinstance(codec, runtime.StructOf):
        simple = {
            field.attribute: strategy(field.codec)
            for field in codec.record.SPEC.fields
            if not isinstance(field.codec, runtime.StructOf)
        }
        return st.builds(codec.record, **simple)
    numbers = {"byte": 7, "i16": 15, "i32": 31, "i64": 63, "enum": 31}
    if codec.word in numbers:
        return st.integers(-(1 << numbers[codec.word]), (1 << numbers[codec.word]) - 1)
    return {
        "bool": st.booleans(),
        "double": st.floats(allow_nan=False),
        "u16": st.integers(0, 0xFFFF),
        "u32": st.integers(0, (1 << 32) - 1),
        "u64": st.integers(0, (1 << 64) - 1),
        "string": st.text(max_size=10),
        "xml": st.text(max_size=10),
        "binary": st.binary(max_size=10),
        "ipv4": st.ip_addresses(v=4),
        "ipaddr": st.ip_addresses(),
        "ct_uuid_t": st.uuids(),
    }[codec.word]


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(st.data())
def test_any_record_survives(sample: ModuleType, data: st.DataObject) -> None:
    record = data.draw(strategy(runtime.StructOf(sample.All)))
    raw = record.encode()
    assert sample.All.decode(raw) == record
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(SandeshError):
        sample.All.decode(raw[:cut])


@settings(max_examples=200)
@given(st.data())
def test_damaged_bytes_are_read_or_refused(sample: ModuleType, data: st.DataObject) -> None:
    raw = bytearray(sample.All(p={"a": [sample.Inner()]}, v={1: {IPv4Address(1): 1.0}}).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        record = sample.All.decode(bytes(raw))
    except SandeshError:
        return
    assert isinstance(record, sample.All)


def test_names_that_python_would_change(sample: ModuleType) -> None:
    odd = sample.Odd(b__=2)
    assert odd.x__a == 5
    assert sample.Odd.decode(odd.encode()) == odd
    assert [member.name for member in sample.Kept] == ["mro_", "x_x_", "x__y", "x__z__", "name"]


# --- The command ----------------------------------------------------------------------------


def test_the_command_names_the_mistake_and_writes_nothing(tmp_path: Path) -> None:
    source = tmp_path / "bad.sandesh"
    source.write_text("struct S { 1: Nope a }")
    result = CliRunner().invoke(main, ["--gen", "py", "-o", str(tmp_path / "out"), str(source)])
    assert result.exit_code == 1
    assert f"sandeshc: {source}:1:15: expected a type, found 'Nope'" in result.stderr
    assert not (tmp_path / "out").exists()


def test_two_included_files_of_one_name_would_make_one_module(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "common.sandesh").write_text("struct S {}")
    (tmp_path / "other.sandesh").write_text('include "y/common.sandesh"')
    source = tmp_path / "main.sandesh"
    source.write_text('include "x/common.sandesh"\ninclude "other.sandesh"')
    options = ["--gen", "py", "-r", "-o", str(tmp_path / "out"), str(source)]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 1
    assert "expected a file of another name: " in result.stderr
    assert result.stderr.count("common.sandesh") == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["my-messages", "class"])
def test_a_file_name_that_no_module_can_have(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.sandesh").write_text("struct S {}")
    source = tmp_path / "includes.sandesh"
    source.write_text(f'include "{name}.sandesh"')
    for file in (source, tmp_path / f"{name}.sandesh"):
        result = CliRunner().invoke(main, ["--gen", "py", "-o", str(tmp_path / "out"), str(file)])
        assert result.exit_code == 1
        assert f"{name}.sandesh:1:1: expected a file name that a Python" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("buffer sandesh B { 1: map<i32,i32> m }", "found map<i32,i32>; use target py"),
        ("struct S {} buffer sandesh B { 1: S s }", "found S; use target py"),
        ("buffer sandesh B { 1: list<string> l }", "found list<string>; use target py"),
        ("buffer sandesh B { 1: i32 encode }", "found 'encode', which it keeps for itself"),
        ("buffer sandesh B { 1: i32 long }", "found 'long', which it keeps for itself"),
        ("buffer sandesh B { 1: i32 __a }", "found '__a', which it keeps for itself"),
        (
            "buffer sandesh vr_a { 1: i32 x } buffer sandesh vr__a { 1: i32 x }",
            "found 'vr__a': its class VrA would have the name of 'vr_a'",
        ),
        ("enum vr_a { A } buffer sandesh VrA { 1: i32 x }", "the name of the enum 'vr_a'"),
        ("buffer sandesh message { 1: i32 x }", "the name of the base of all messages"),
    ],
)
def test_target_cython_says_what_it_cannot_hold(tmp_path: Path, text: str, words: str) -> None:
    source = tmp_path / "bad.sandesh"
    source.write_text(text)
    result = CliRunner().invoke(main, ["--gen", "cython", "-o", str(tmp_path), str(source)])
    assert result.exit_code == 1
    assert words in result.stderr


def test_quotes_in_comments_do_not_end_the_texts_made(tmp_path: Path) -> None:
    source = tmp_path / "quotes.sandesh"
    source.write_text('/** An "enum" */ enum E { A }\n/** A "message" */ buffer sandesh B {}')
    options = ["-o", str(tmp_path), str(source)]
    for target in ("cython", "py"):
        assert CliRunner().invoke(main, ["--gen", target, *options]).exit_code == 0
    for name in ("quotes.py", "quotes.pyi"):
        compile((tmp_path / name).read_text(), name, "exec")
    assert '"""A \'message\'"""' in (tmp_path / "quotes.pyx").read_text()


def test_target_cython_makes_the_codec(tmp_path: Path) -> None:
    options = ["--gen", "cython", "-o", str(tmp_path), str(VROUTER)]
    assert CliRunner().invoke(main, options).exit_code == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "vrouter.pxd",
        "vrouter.pyi",
        "vrouter.pyx",
        "vrouter_codec.h",
        "vrouter_messages.h",
    ]
    compile((tmp_path / "vrouter.pyi").read_text(), "vrouter.pyi", "exec")
