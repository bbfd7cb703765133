"""Whatever `sandeshc` accepts becomes Python that loads, and messages that come back whole."""

from __future__ import annotations

import re
import sys
from types import ModuleType

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.sandesh.compiler import gen_cython, gen_python
from agent.sandesh.compiler.checker import check
from agent.sandesh.compiler.errors import IdlError
from agent.sandesh.compiler.parser import parse

PROGRAM = """
const list < i32 > PRIMES = [ 2 , 3 ]
const map < string , set < i32 > > GROUPS = { "a" : [ 1 ] , "b" : [ ] }
enum Op { ADD = 1 , DEL }
struct P { 1 : i32 x = 4 ; 2 : Op o = ADD ; 3 : optional string s ( key = "T" ) }
const P PP = { "x" : 1 }
typedef map < string , list < P > > Table
uve sandesh U { 1 : P d } ( a = "b" )
trace sandesh T { 1 : "hi" ; 2 : double d = 1.5 ; 3 : bool y = true }
service S { void a ( 1 : P p ) throws ( 1 : X e ) ; oneway void b ( ) }
exception X { 1 : i32 c }
buffer sandesh B { 1 : list < byte > l ; 2 : Op o ; 3 : string s ; 4 : u64 n }
const Op FIRST = ADD
struct M { 1 : map < Q , i32 > m = { } ; 2 : set < string > t = [ "a" ] ; 3 : Table z }
struct Q { 1 : i32 a }
request sandesh R { 1 : M m ( link = "B" ) ; 2 : optional list < Q > q }
senum D { "mon" "tue" }
"""
TOKENS = re.findall(r'"\w*"|\w[\w.]*|\S', PROGRAM)
OTHERS = re.findall(
    r"\S+",
    "__a _b_ None mro type value string map list i64 ipv4 ipaddr binary xml ct_uuid_t true field "
    "SPEC name Record str_ print 0 -1 300 70000 99999999999 0x70 -5.5 long Message message",
)


def sort_of(token: str) -> str:
    """Tokens of one sort may stand in each other's place."""
    if token[-1].isdigit():
        return "number"
    return "name" if token[0].isalpha() or token[0] == "_" else token[0]


SORTS: dict[str, list[str]] = {}
for each in dict.fromkeys(TOKENS + OTHERS):
    SORTS.setdefault(sort_of(each), []).append(each)
changes = st.lists(
    st.tuples(st.integers(0, len(TOKENS) - 1), st.integers(0, 200)), min_size=1, max_size=3
)


@settings(max_examples=60, deadline=None)
@given(changes)
def test_what_is_accepted_loads(changes: list[tuple[int, int]]) -> None:
    tokens = list(TOKENS)
    for at, choice in changes:
        among = SORTS[sort_of(tokens[at])]
        tokens[at] = among[choice % len(among)]
    try:
        module = check(parse(" ".join(tokens), "mutant.sandesh"), "mutant", {})
        texts = gen_python.generate(module, "mutant")
    except IdlError:
        return
    made = sys.modules["mutant"] = ModuleType("mutant")
    try:
        exec(compile(texts["mutant.py"], "mutant.py", "exec"), made.__dict__)
    finally:
        del sys.modules["mutant"]
    for message in made.MESSAGES.values():
        assert message.decode(message().encode()) == message()
    try:
        texts = gen_cython.generate(module, "mutant")
    except IdlError:
        return
    compile(texts["mutant.pyi"], "mutant.pyi", "exec")


def test_the_program_itself_is_accepted() -> None:
    module = check(parse(" ".join(TOKENS), "program"), "program", {})
    assert set(module.structs) == {"P", "U", "T", "X", "B", "M", "Q", "R"}
