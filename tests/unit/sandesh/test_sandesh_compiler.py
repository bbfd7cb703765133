"""sandeshc: what it accepts, what it refuses and how it says so."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sandesh.compiler import IdlError, load, parse, tree
from agent.sandesh.compiler.lexer import TokenKind, tokenize
from agent.sandesh.compiler.model import Kind, Module
from tests.unit.sandesh.sandesh_vectors import VECTORS

VROUTER = Path(__file__).parents[3] / "agent" / "sandesh" / "vrouter.sandesh"


def compiled(folder: Path, text: str) -> Module:
    path = folder / "sample.sandesh"
    path.write_text(text)
    return load(path)


# --- Our own messages ---------------------------------------------------------------------


def test_vrouter_sandesh_is_the_table_of_the_protocol() -> None:
    module = load(VROUTER)
    ours = []
    for enum in module.enums.values():
        ours += [(enum.name, "enum", "", m.name, str(m.value), "8", "") for m in enum.members]
    for struct in module.structs.values():
        kind = "buffer sandesh" if struct.kind == "buffer" else struct.kind
        for field in struct.fields:
            element = field.type.arguments[0].kind.wire if field.type.arguments else ""
            ids = (str(field.id), field.name, str(field.type))
            ours.append((struct.name, kind, *ids, str(field.type.kind.wire), str(element)))
    theirs = []
    with (VECTORS / "vr-messages.tsv").open(newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            wires = (row["wire_type"], row["elem_wire_type"])
            if row["kind"] == "enum":
                theirs.append((row["struct"], "enum", "", row["name"], row["value"], *wires))
            else:
                names = (row["field_id"], row["name"], row["type"])
                theirs.append((row["struct"], row["kind"], *names, *wires))
    assert sorted(ours) == sorted(theirs)
    assert ours[9:] == theirs[9:], "the order of fields is the order on the wire"
    assert module.warnings == []


def test_every_message_of_vrouter_sandesh_says_what_it_is() -> None:
    assert all(struct.doc for struct in load(VROUTER).structs.values())


# --- Lexis --------------------------------------------------------------------------------


def test_tokens() -> None:
    text = "a.b -12 +0x1F 1.5e3 .5 'it\\'s' \"\\r\\n\\t\\\"\\\\\" true false // x\n# y\n/* z\n */ {"
    tokens = list(tokenize(text, "f"))
    assert [(token.kind.name, token.text) for token in tokens] == [
        ("IDENT", "a.b"),
        ("INT", "-12"),
        ("INT", "+0x1F"),
        ("DOUBLE", "1.5e3"),
        ("DOUBLE", ".5"),
        ("STRING", "it's"),
        ("STRING", '\r\n\t"\\'),
        ("INT", "1"),
        ("INT", "0"),
        ("SYMBOL", "{"),
        ("END", ""),
    ]
    assert (tokens[-2].position.line, tokens[-2].position.column) == (4, 5)


def test_a_doc_comment_goes_to_the_next_element(tmp_path: Path) -> None:
    text = "/** About E.\n *  Two lines. */\nenum E { /** A. */ A, B }\n/* no doc */ struct S {\n}"
    module = compiled(tmp_path, text)
    assert module.enums["E"].doc == "About E.\nTwo lines."
    assert [member.doc for member in module.enums["E"].members] == ["A.", ""]
    assert module.structs["S"].doc == ""


# --- What is accepted ---------------------------------------------------------------------

WHOLE = """
namespace cpp a.b
namespace * everything
cpp_include "<vector>"
php_namespace old
xsd_namespace "urn:x"
const i32 LIMIT = 0x10;
const double HALF = 0.5
const bool YES = true
const list<i32> LIST = [1, LIMIT, 3];
const map<string, Color> MAP = {"red": RED, "blue": Color.BLUE}
const Point ORIGIN = {"x": 1, "y": 2.5}
typedef map<string, list<i32>> Table
senum Day { "mon", "tue"; "wed" }
enum Color { RED, GREEN = 5, BLUE, }
struct Point xsd_all {
  1: required i32 x = LIMIT,
  2: optional double y (metric = "DSSum", tags=".__key")
  3: list<list<Point>> near xsd_optional xsd_nillable xsd_attrs { 1: i32 deep }
} (period = "30")
union Either { 1: i32 number; 2: string text }
exception Boom { 1: string why }
struct Everything {
  1: bool a; 2: byte b; 3: i16 c; 4: i32 d; 5: i64 e; 6: u16 f; 7: u32 g; 8: u64 h;
  9: ipv4 i; 10: ipaddr j; 11: double k; 12: string l; 13: binary m; 14: xml n;
  15: ct_uuid_t o; 16: slist p; 17: Table q; 18: set cpp_type "x" <u64> r;
  19: map<Color, set<string>> s; 20: Day t = "mon"; 21: Color u = GREEN
  22: list<Either> cpp_type "y" v (link = "Req");
}
systemlog sandesh SystemLog { 1: "went"; 2: string who }
objectlog sandesh ObjectLog { 1: optional string who; 2: "left" }
flowlog sandesh FlowLog { 1: string who }
sessionlog sandesh SessionLog { 1: string who }
request sandesh Req { 1: optional string name }
response sandesh Resp { 1: list<Point> points }
trace sandesh Trace { 1: i32 number }
traceobject sandesh TraceObject { 1: i32 number }
buffer sandesh Buf { 1: Color op; 2: list<byte> bytes }
struct Data { 1: string name (key = "ObjectTable"); 2: optional bool deleted }
uve sandesh Uve { 1: Data data }
dynamicuve sandesh DynamicUve { 1: Data data }
alarm sandesh Alarm { 1: Data data }
service Base { void ping() }
service Derived extends Base {
  /** Adds. */ i32 add(1: i32 a, 2: i32 b) throws (1: Boom boom);
  oneway void forget(); async void old(); staticfunction Point point()
}
"""


def test_the_whole_language(tmp_path: Path) -> None:
    module = compiled(tmp_path, WHOLE)
    assert module.warnings == []
    assert module.namespaces == {"cpp": "a.b", "*": "everything", "php": "old", "xsd": "urn:x"}
    values = {name: const.value for name, const in module.constants.items()}
    assert values == {
        "LIMIT": 16,
        "HALF": 0.5,
        "YES": True,
        "LIST": [1, 16, 3],
        "MAP": {"red": 0, "blue": 6},
        "ORIGIN": {"x": 1, "y": 2.5},
    }
    everything = {field.name: field for field in module.structs["Everything"].fields}
    assert [field.type.kind for field in everything.values()] == [
        *(Kind.BOOL, Kind.BYTE, Kind.I16, Kind.I32, Kind.I64, Kind.U16, Kind.U32, Kind.U64),
        *(Kind.IPV4, Kind.IPADDR, Kind.DOUBLE, Kind.STRING, Kind.BINARY, Kind.XML, Kind.UUID),
        *(Kind.STRING, Kind.MAP, Kind.SET, Kind.MAP, Kind.STRING, Kind.ENUM, Kind.LIST),
    ]
    assert str(everything["q"].type) == "map<string,list<i32>>"
    assert (everything["t"].default, everything["u"].default) == ("mon", 5)
    assert everything["v"].annotations == (("link", "Req"),)
    x, y, near = module.structs["Point"].fields
    assert (x.default, x.optional, y.optional) == (16, False, True)
    assert y.annotations == (("metric", "DSSum"), ("tags", ".__key"))
    assert str(near.type) == "list<list<Point>>"
    assert module.structs["Point"].annotations == (("period", "30"),)
    derived = module.services["Derived"]
    assert [f.name for f in derived.functions] == ["add", "forget", "old", "point"]
    assert [f.oneway for f in derived.functions] == [False, True, True, False]
    assert derived.functions[0].doc == "Adds."
    assert derived.extends is module.services["Base"]


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("Resp", [("more", 0)]),
        ("SystemLog", [("file", -32768), ("line", -32767)]),
        ("ObjectLog", [("file", -32768), ("line", -32767)]),
        ("Trace", [("file", -32768), ("line", -32767)]),
        ("TraceObject", [("file", -32768), ("line", -32767)]),
        ("Req", []),
        ("FlowLog", []),
        ("Buf", []),
    ],
)
def test_hidden_fields(tmp_path: Path, name: str, hidden: list[tuple[str, int]]) -> None:
    fields = compiled(tmp_path, WHOLE).structs[name].fields
    assert [(field.name, field.id) for field in fields if field.hidden] == hidden


def test_static_texts_are_fields(tmp_path: Path) -> None:
    text, who = compiled(tmp_path, WHOLE).structs["SystemLog"].fields[:2]
    assert (text.id, text.name, text.text, text.type.kind) == (1, "text_1", "went", Kind.STRING)
    assert who.text is None


def test_missing_ids_are_counted_down_with_a_warning(tmp_path: Path) -> None:
    module = compiled(tmp_path, "struct S { i32 a; 5: i32 b; i32 c }\nstruct T { i32 d }")
    assert [field.id for field in module.structs["S"].fields] == [-1, 5, -2]
    assert [field.id for field in module.structs["T"].fields] == [-1]
    assert [warning.split(".sandesh:")[1] for warning in module.warnings] == [
        "1:12: field 'a' of struct 'S' has no id, taking -1",
        "1:29: field 'c' of struct 'S' has no id, taking -2",
        "2:12: field 'd' of struct 'T' has no id, taking -1",
    ]


def test_kind_words_may_be_names(tmp_path: Path) -> None:
    module = compiled(tmp_path, "struct trace { 1: i32 request; 2: i32 buffer; 3: i32 key }")
    assert [field.name for field in module.structs["trace"].fields] == ["request", "buffer", "key"]


def test_a_type_may_be_used_before_it_is_defined(tmp_path: Path) -> None:
    module = compiled(
        tmp_path, "struct A { 1: list<B> b }\nstruct B { 1: optional A a; 2: C c }\nenum C { X }"
    )
    assert module.structs["A"].fields[0].type.arguments[0].struct is module.structs["B"]


def test_a_struct_of_values_may_be_a_key(tmp_path: Path) -> None:
    module = compiled(
        tmp_path, "struct A { 1: map<B, set<B>> m }\nstruct B { 1: ipaddr a; 2: optional B b }"
    )
    assert module.structs["B"].is_key
    assert not module.structs["A"].is_key


# --- Includes -----------------------------------------------------------------------------


def test_includes_are_found_and_their_types_have_the_prefix(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "base.sandesh").write_text(
        "enum Op { ADD = 3 }\nstruct Head { 1: Op op }\nconst i32 SIZE = 9\ntypedef list<Op> Ops\n"
        "service Up { void up() }"
    )
    path = tmp_path / "top.sandesh"
    path.write_text(
        'include "base.sandesh"\nstruct S { 1: base.Head head; 2: i32 n = base.SIZE; '
        "3: base.Op op = base.Op.ADD; 4: base.Ops ops; 5: base.Op short = ADD }\n"
        "service Down extends base.Up { void down() }"
    )
    module = load(path, [tmp_path / "sub"])
    head, size, op, ops, short = module.structs["S"].fields
    assert head.type.struct is module.includes["base"].structs["Head"]
    assert (size.default, op.default, short.default) == (9, 3, 3)
    assert str(ops.type) == "list<Op>"


def test_an_include_that_is_missing_says_where_it_was_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "top.sandesh"
    path.write_text('\n include "none.sandesh"')
    with pytest.raises(
        IdlError, match=r"top.sandesh:2:2: expected the file 'none.sandesh' in .*-I"
    ):
        load(path, [tmp_path / "elsewhere"])


def test_files_that_include_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sandesh").write_text('include "b.sandesh"')
    (tmp_path / "b.sandesh").write_text('include "a.sandesh"')
    with pytest.raises(
        IdlError, match=r"b.sandesh:1:1: expected '.*a.sandesh' not to include itself"
    ):
        load(tmp_path / "a.sandesh")


def test_two_includes_of_one_prefix_are_refused(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.sandesh").write_text("")
    (tmp_path / "top.sandesh").write_text('include "x/same.sandesh"\ninclude "y/same.sandesh"')
    with pytest.raises(IdlError, match="2:1: expected a new prefix, found 'same' again"):
        load(tmp_path / "top.sandesh")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IdlError, match=r"cannot read .*: No such file"):
        load(tmp_path / "none.sandesh")
    (tmp_path / "bytes.sandesh").write_bytes(b"\xff")
    with pytest.raises(IdlError, match="to be UTF-8, found byte 0 that is not"):
        load(tmp_path / "bytes.sandesh")


# --- What is refused ----------------------------------------------------------------------

REFUSED = [
    (
        "struct S {\n  1: i32 a\n  1: i32 b }",
        "3:3: expected a new id, found 1, which 'a' of struct",
    ),
    ("struct S { 1: i32 a; 2: i32 a }", "1:22: expected a new name, found 'a' again"),
    ("struct S { 40000: i32 a }", "expected an id of 16 bits, found 40000"),
    ("struct S {}\nenum S {}", "2:6: expected a new name, found 'S', already defined at line 1"),
    ("struct S { 1: Nope a }", "1:15: expected a type, found 'Nope', which is not defined"),
    ("struct S { 1: x.Y a }", "expected the prefix of an included file .*, found 'x.Y'"),
    ("struct S { 1: list<Nope> a }", "1:20: expected a type, found 'Nope'"),
    ("struct S { 1: i8 a }", "expected a type, found 'i8'"),
    ("struct S { 1: uuid_t a }", "expected a type, found 'uuid_t'"),
    ("buffer sandesh B { 1: optional i32 a }", "1:20: expected no 'optional' in a buffer"),
    ("uve sandesh U { 1: optional i32 a }", "expected no 'optional' in a uve"),
    ("trace sandesh U { 1: optional i32 a }", "expected no 'optional' in a trace"),
    ("systemlog sandesh U { 1: optional i32 a }", "expected no 'optional' in a systemlog"),
    ('struct S { 1: "text" }', "1:15: expected a type: a struct has no static texts"),
    ('request sandesh R { 1: "text" }', "expected a type: a request has no static texts"),
    (
        "response sandesh R { 0: i32 a }",
        "expected another field: the compiler adds 'more' with id 0",
    ),
    ("response sandesh R { 1: i32 more }", "the compiler adds 'more'"),
    ("trace sandesh T { 1: i32 line }", "the compiler adds 'line'"),
    ("uve sandesh U { 1: i32 a }", "1:13: expected a field of a struct type in uve 'U'"),
    (
        "struct D { 1: string n }\nuve sandesh U { 1: D d }",
        r"2:17: expected a field of 'D' to have \(key=\"Table\"\): uve 'U' carries it",
    ),
    ("request sandesh R {}\nstruct S { 1: R r }", "2:12: expected a struct, found 'R', a request"),
    ("exception E {}\nstruct S { 1: E e }", "expected a struct, found the exception 'E'"),
    ("struct S { 1: S s }", "1:12: expected 'S' not to contain itself; make 's' optional"),
    ("struct A { 1: B b }\nstruct B { 1: A a }", "expected 'A' not to contain itself"),
    (
        "struct S { 1: map<list<i32>,i32> m }",
        "expected a type without lists, sets and maps as key of a map, found list<i32>",
    ),
    (
        "struct S { 1: set<P> m }\nstruct P { 1: Q q }\nstruct Q { 1: list<i32> l }",
        "1:12: expected a type without lists, sets and maps as element of a set, found P",
    ),
    ("const list<set<list<i32>>> A = []", "as element of a set, found list<i32>"),
    (
        "struct S { 1: i32 class }",
        "1:19: expected the name of the field, found 'class', .* reserved",
    ),
    ("struct S { 1: i32 list }", "found 'list', which is a word of the language"),
    ("struct S { 1: i32 a.b }", "expected the name of the field without '.', found 'a.b'"),
    ("struct S { 1: i32 }", "1:19: expected the name of the field, found '}'"),
    ("struct S { 1 i32 a }", "1:14: expected ':' after the id of the field, found 'i32'"),
    ("struct S { 1: list i32 a }", "1:20: expected '<' after 'list', found 'i32'"),
    ("struct S { 1: map<i32> a }", "expected ',' between the types of a map, found '>'"),
    ("struct S { 1: i32 a (link) }", "expected '=' after the annotation 'link', found '\\)'"),
    ("struct S { 1: i32 a (link=5) }", "expected the value of 'link' in quotes, found '5'"),
    ("struct S { 1: i32 a", "1:20: expected a field or '}', found the end of the file"),
    ("struct S { , }", "expected a field or '}', found ','"),
    ("nonsense S {}", "1:1: expected a definition .*, found 'nonsense'"),
    ("request S {}", "1:9: expected 'sandesh' after 'request', found 'S'"),
    ("include x", "1:9: expected the path of a file in quotes, found 'x'"),
    ("enum E { A, A }", "1:13: expected a new member, found 'A' again"),
    ("enum E { A = 3000000000 }", "expected a number of 32 bits, found 3000000000"),
    ("enum E { A = " + "9" * 5000 + " }", "1:14: expected a smaller number"),
    ("const double D = 1e999", "1:18: expected a smaller number"),
    ("const double D = 1" + "0" * 400, "1:18: expected a smaller number"),
    ("struct S { 1: i32 a = \u0663 }", "1:23: expected a name, number, text or symbol"),
    ("enum E { A = B }", "expected the number of the member, found 'B'"),
    ("senum E { A }", "expected a text in quotes, found 'A'"),
    ("const i32 A = 'x'", '1:15: expected a value of type i32, found the text "x"'),
    (
        "const byte A = 200",
        "expected a value of type byte, found 200, which is outside -128 to 127",
    ),
    ("const u16 A = -1", "found -1, which is outside 0 to 65535"),
    ("const i32 A = 1.5", "expected a value of type i32, found the number 1.5"),
    ("const bool A = 2", "expected a value of type bool, found the number 2"),
    ("const string A = 2", "expected a value of type string, found the number 2"),
    ("const i32 A = B", "expected a value of type i32, found 'B', which is not defined"),
    ("const i32 A = [1]", "expected a value of type i32, found a list"),
    ("const i32 A = {}", "expected a value of type i32, found a map"),
    ("const list<i32> A = [1, 'x']", '1:25: expected a value of type i32, found the text "x"'),
    (
        "struct P { 1: i32 x }\nconst P A = {'x': 1}\nconst map<P,i32> B = {A: 2}",
        "3:23: expected a simple key, found a list or map",
    ),
    ("const map<i32,i32> A = {[1]: 2}", "expected a simple key, found a list or map"),
    (
        "struct P { 1: i32 x }\nconst P A = {'y': 2}",
        "found the key 'y', which is not a field of it",
    ),
    ("senum D { 'mon' }\nconst D A = 'tue'", 'found "tue", which is not among its texts'),
    ("const i32 A", "expected '=' after the name of the constant, found the end of the file"),
    ("service S extends T {}", "expected a service, found 'T', which is not defined"),
    ("service S { void a(), void a() }", "expected a new function, found 'a' again"),
    ("service S { oneway i32 a() }", "expected function 'a' to return void and throw nothing"),
    ("service S { void a() throws (1: i32 x) }", "expected an exception, found i32"),
    ("/* no end", "1:1: expected the comment to end, found no"),
    ("const string A = 'no end\n'", "1:18: expected the text to end on its own line"),
    ("const string A = 'a\\q'", r"1:20: expected one of .*, found '\\q'"),
    ("struct S { 1: i32 a } @", "1:23: expected a name, number, text or symbol, found '@'"),
    ("struct S { 1: " + "list<" * 70 + "i32" + ">" * 70 + " a }", "at most 64 levels of nesting"),
    ("const i32 A = " + "[" * 70, "at most 64 levels of nesting"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED, ids=[text[:30] for text, _ in REFUSED])
def test_mistakes_are_named_with_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(IdlError, match=r"sample\.sandesh:\d+:\d+: .*") as caught:
        compiled(tmp_path, text)
    assert re.search(words, str(caught.value)), str(caught.value)


WORDS = "struct enum S a 1 : ; { } < > list map i32 optional request sandesh const = [ ] 'x' ( )"


@given(st.lists(st.sampled_from(WORDS.split()), max_size=30).map(" ".join) | st.text(max_size=80))
def test_any_text_is_parsed_or_refused_with_its_place(text: str) -> None:
    try:
        program = parse(text, "any")
    except IdlError as error:
        position = error.position
    else:
        assert isinstance(program, tree.Program)
        return
    assert position.file == "any"
    assert 1 <= position.line <= text.count("\n") + 1
    assert position.column >= 1


def test_the_end_of_a_file_is_a_token() -> None:
    (end,) = tokenize("", "f")
    assert end.kind is TokenKind.END
