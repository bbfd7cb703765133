"""The Sandesh codec against general codecs, on objects of the same shape.

Peers get ready objects and the same values; `list<byte>` is their bytes type, which is what
they are fastest at. "decode" hands back an object; "and read all" also reads every field,
because some codecs, ours among them, make Python values only when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agent.sandesh import Message, decode_messages, encode_many
from agent.sandesh.compiler import load
from agent.sandesh.compiler.model import Field, Kind, Module
from agent.sandesh.vrouter import (
    VrFlowReq,
    VrInterfaceReq,
    VrNexthopReq,
    VrResponse,
    VrRouteReq,
)

BATCH = 1_000
MAC = bytes([2, 0, 0, 0, 0, 3])


def route(number: int) -> VrRouteReq:
    return VrRouteReq(
        rtr_vrf_id=1,
        rtr_family=2,
        rtr_prefix=(0x0A000000 + number).to_bytes(4, "big"),
        rtr_prefix_len=32,
        rtr_label_flags=5,
        rtr_label=17,
        rtr_nh_id=21,
        rtr_mac=MAC,
    )


def full_interface() -> VrInterfaceReq:
    """Every field set, every list filled: 1.2 kB, as in the reference measurement."""
    values: dict[str, Any] = {}
    for position, field in enumerate(shape("vr_interface_req")):
        if field.type.kind is Kind.STRING:
            values[field.name] = "tap0123abcd-ef"
        elif is_bytes(field):
            values[field.name] = MAC
        elif field.type.kind is Kind.LIST:
            values[field.name] = [1, 2, 3]
        else:
            values[field.name] = position + 1
    return VrInterfaceReq(**values)


@cache
def shape(name: str) -> list[Field]:
    return load_once().structs[name].fields


@cache
def load_once() -> Module:
    return load(Path(__file__).parent.parent / "agent" / "sandesh" / "vrouter.sandesh")


def is_bytes(field: Field) -> bool:
    return field.type.kind is Kind.LIST and field.type.arguments[0].kind is Kind.BYTE


@cache
def messages() -> dict[str, Message]:
    encap = bytes(range(12)) + b"\x08\0"
    tunnel = VrNexthopReq(
        nhr_type=3,
        nhr_family=2,
        nhr_id=22,
        nhr_encap_oif_id=[0],
        nhr_encap_family=0x0806,
        nhr_tun_sip=0x0100000A,
        nhr_tun_dip=0x0200000A,
        nhr_flags=65,
        nhr_encap=encap,
        nhr_pbb_mac=bytes(6),
        nhr_rw_dst_mac=bytes(6),
        nhr_encap_crypt_oif_id=-1,
        nhr_encap_valid=[1],
    )
    flow = VrFlowReq(
        fr_index=-1,
        fr_action=2,
        fr_flags=1,
        fr_family=2,
        fr_flow_sip_l=0x0301010A,
        fr_flow_dip_l=0x0401010A,
        fr_flow_sport=1234,
        fr_flow_dport=80,
        fr_flow_proto=6,
        fr_flow_vrf=1,
        fr_flow_dvrf=1,
        fr_flow_nh_id=21,
    )
    return {
        "vr_response": VrResponse(h_op=4, resp_code=-2),
        "vr_route_req": route(1),
        "vr_nexthop_req": tunnel,
        "vr_flow_req": flow,
        "vr_interface_req": full_interface(),
    }


NAMES = ("vr_response", "vr_route_req", "vr_nexthop_req", "vr_flow_req", "vr_interface_req")
READ = ("vr_route_req", "vr_interface_req")
AIMS: dict[tuple[str, str], float] = {
    ("encode", "vr_route_req"): 150,
    ("encode", "vr_interface_req"): 600,
    ("decode", "vr_route_req"): 300,
    ("decode", "vr_interface_req"): 1200,
}


def plain(message: Message) -> dict[str, Any]:
    """The values for a peer: bytes as bytes, lists as lists."""
    values = {name: getattr(message, name) for name in message.FIELDS}
    return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}


# --- Peers: each makes a ready object, an encoder and a decoder ----------------------------

Codec = tuple[Any, Callable[[Any], bytes], Callable[[bytes], Any]]


def by_msgspec(msgspec: ModuleType, message: Message) -> Codec:
    kinds: dict[str, Any] = {
        field.name: bytes
        if is_bytes(field)
        else list[int]
        if field.type.kind is Kind.LIST
        else str
        if field.type.kind is Kind.STRING
        else int
        for field in shape(message.NAME)
    }
    record = msgspec.defstruct("Record", list(kinds.items()), array_like=True)
    encoder = msgspec.msgpack.Encoder()
    return record(**plain(message)), encoder.encode, msgspec.msgpack.Decoder(record).decode


PROTOBUF = {
    Kind.BYTE: "TYPE_INT32",
    Kind.I16: "TYPE_INT32",
    Kind.I32: "TYPE_INT32",
    Kind.ENUM: "TYPE_INT32",
    Kind.I64: "TYPE_INT64",
    Kind.U16: "TYPE_UINT32",
    Kind.U32: "TYPE_UINT32",
    Kind.U64: "TYPE_UINT64",
    Kind.STRING: "TYPE_STRING",
}


def by_protobuf(protobuf: ModuleType, message: Message) -> Codec:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    fields = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="bench.proto", syntax="proto2")
    record = file.message_type.add(name="Record")
    for number, field in enumerate(shape(message.NAME), start=1):
        listed = field.type.kind is Kind.LIST and not is_bytes(field)
        element = field.type.arguments[0].kind if listed else field.type.kind
        kind = "TYPE_BYTES" if is_bytes(field) else PROTOBUF[element]
        added = record.field.add(name=field.name, number=number, type=getattr(fields, kind))
        added.label = fields.LABEL_REPEATED if listed else fields.LABEL_OPTIONAL
        if listed:
            added.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName("Record"))
    return made(**plain(message)), made.SerializeToString, made.FromString


def by_thriftpy2(thriftpy2: ModuleType, message: Message) -> Codec:
    from thriftpy2.protocol.cybin import TCyBinaryProtocolFactory
    from thriftpy2.thrift import TPayload, TPayloadMeta, TType
    from thriftpy2.utils import deserialize, serialize

    kinds = {
        Kind.BYTE: TType.BYTE,
        Kind.I16: TType.I16,
        Kind.U16: TType.I32,
        Kind.I32: TType.I32,
        Kind.ENUM: TType.I32,
        Kind.U32: TType.I64,
        Kind.I64: TType.I64,
        Kind.U64: TType.I64,
        Kind.STRING: TType.STRING,
    }
    spec: dict[int, tuple[Any, ...]] = {}
    for number, field in enumerate(shape(message.NAME), start=1):
        if is_bytes(field):
            spec[number] = (TType.BINARY, field.name, False)
        elif field.type.kind is Kind.LIST:
            element = kinds[field.type.arguments[0].kind]
            spec[number] = (TType.LIST, field.name, element, False)
        else:
            spec[number] = (kinds[field.type.kind], field.name, False)
    defaults = [(field.name, None) for field in shape(message.NAME)]
    body = {"thrift_spec": spec, "default_spec": defaults, "__module__": __name__}
    record = TPayloadMeta("Record", (TPayload,), body)
    factory = TCyBinaryProtocolFactory()
    return (
        record(**plain(message)),
        lambda made: serialize(made, factory),
        lambda raw: deserialize(record(), raw, factory),
    )


PEERS: dict[str, tuple[str, Callable[[ModuleType, Message], Codec]]] = {
    "msgspec": ("msgspec", by_msgspec),
    "protobuf": ("google.protobuf", by_protobuf),
    "thriftpy2": ("thriftpy2", by_thriftpy2),
}


def peer_codec(peer: Any, name: str, message: Message) -> Codec:
    module, make = PEERS[name]
    codec = make(peer(module), message)
    made, encode, decode = codec
    again = decode(encode(made))
    assert {key: getattr(again, key) for key in message.FIELDS} == plain(message)
    return codec


def reader_of(names: Sequence[str]) -> Callable[[Any], Any]:
    return attrgetter(*names)


# --- One message ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_encode_vrouter(contest: Any, name: str) -> None:
    message = messages()[name]
    raw = message.encode()
    assert decode_messages(raw) == [message]
    aim = AIMS.get(("encode", name))
    contest(f"sandesh: encode {name}", "vrouter", aim_ns=aim, bytes=len(raw))(message.encode)


@pytest.mark.parametrize("other", PEERS)
@pytest.mark.parametrize("name", NAMES)
def test_encode_peer(contest: Any, peer: Any, name: str, other: str) -> None:
    made, encode, _ = peer_codec(peer, other, messages()[name])
    contest(f"sandesh: encode {name}", other, bytes=len(encode(made)))(encode, made)


@pytest.mark.parametrize("name", NAMES)
def test_decode_vrouter(contest: Any, name: str) -> None:
    raw = messages()[name].encode()
    aim = AIMS.get(("decode", name))
    contest(f"sandesh: decode {name}", "vrouter", aim_ns=aim)(decode_messages, raw)


@pytest.mark.parametrize("other", PEERS)
@pytest.mark.parametrize("name", NAMES)
def test_decode_peer(contest: Any, peer: Any, name: str, other: str) -> None:
    made, encode, decode = peer_codec(peer, other, messages()[name])
    contest(f"sandesh: decode {name}", other)(decode, encode(made))


@pytest.mark.parametrize("name", READ)
def test_decode_and_read_vrouter(contest: Any, name: str) -> None:
    message = messages()[name]
    raw, read = message.encode(), reader_of(message.FIELDS)
    bench = contest(f"sandesh: decode {name} and read all", "vrouter")
    bench(lambda: read(decode_messages(raw)[0]))


@pytest.mark.parametrize("other", PEERS)
@pytest.mark.parametrize("name", READ)
def test_decode_and_read_peer(contest: Any, peer: Any, name: str, other: str) -> None:
    message = messages()[name]
    made, encode, decode = peer_codec(peer, other, message)
    raw, read = encode(made), reader_of(message.FIELDS)
    contest(f"sandesh: decode {name} and read all", other)(lambda: read(decode(raw)))


# --- A batch --------------------------------------------------------------------------------


def test_encode_batch_vrouter(contest: Any) -> None:
    routes = [route(number) for number in range(BATCH)]
    assert decode_messages(encode_many(routes)) == routes
    bench = contest(
        "sandesh: encode a batch of vr_route_req", "vrouter", per=BATCH, aim_ns=20, batch=BATCH
    )
    bench(encode_many, routes)


@pytest.mark.parametrize("other", PEERS)
def test_encode_batch_peer(contest: Any, peer: Any, other: str) -> None:
    made, encode, decode = peer_codec(peer, other, route(0))
    kind = type(made)
    ready = [kind(**plain(route(number))) for number in range(BATCH)]
    bench = contest("sandesh: encode a batch of vr_route_req", other, per=BATCH, batch=BATCH)
    if other == "msgspec":  # it takes a list as it is
        bench(encode, ready)
    else:
        bench(lambda: b"".join([encode(each) for each in ready]))
    assert decode(encode(ready[7])).rtr_prefix == b"\x0a\0\0\7"


def test_decode_batch_vrouter(contest: Any) -> None:
    raw = encode_many([route(number) for number in range(BATCH)])
    contest("sandesh: decode a batch of vr_route_req", "vrouter", per=BATCH)(decode_messages, raw)


def test_decode_batch_msgspec(contest: Any, peer: Any) -> None:
    msgspec = peer("msgspec")
    made, encode, _ = by_msgspec(msgspec, route(0))
    raw = encode([type(made)(**plain(route(number))) for number in range(BATCH)])
    decoder = msgspec.msgpack.Decoder(list[type(made)])
    contest("sandesh: decode a batch of vr_route_req", "msgspec", per=BATCH)(decoder.decode, raw)


def test_make_route_vrouter(contest: Any) -> None:
    values = plain(route(1))
    assert VrRouteReq(**values) == route(1)
    contest("sandesh: make a vr_route_req", "vrouter")(lambda: VrRouteReq(**values))


@pytest.mark.parametrize("other", PEERS)
def test_make_route_peer(contest: Any, peer: Any, other: str) -> None:
    values = plain(route(1))
    kind = type(peer_codec(peer, other, route(1))[0])
    contest("sandesh: make a vr_route_req", other)(lambda: kind(**values))
