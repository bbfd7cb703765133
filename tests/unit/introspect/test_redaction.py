"""Keys and passwords in configuration are not shown."""

from __future__ import annotations

from uuid import UUID

from agent.ifmap import NodeRef
from agent.inputs import GraphNode
from agent.introspect.redaction import HIDDEN, shown
from tests.unit.introspect.asking import Asker
from tests.unit.telemetry.node_world import NodeWorld

ROUTER = {
    "id-perms": {"uuid": UUID(int=7), "enable": True},
    "display-name": "gateway",
    "bgp-router-parameters": {
        "address": "10.0.0.1",
        "auth-data": {"key-type": "md5", "key-items": [{"key-id": 0, "key": "hunter2"}]},
    },
}


def test_keys_of_bgp_sessions_are_hidden() -> None:
    told = shown(ROUTER)
    assert "hunter2" not in repr(told)
    assert told["bgp-router-parameters"] == {
        "address": "10.0.0.1",
        "auth-data": {"key-type": "md5", "key-items": [{"key-id": 0, "key": HIDDEN}]},
    }
    assert told["display-name"] == "gateway"
    assert "hunter2" in repr(ROUTER), "what is read stays as it is"


def test_passwords_are_hidden_at_any_depth() -> None:
    for told in (
        shown({"service-user-password": "hunter2"}),
        shown({"a": [{"b": {"snmp-credentials": {"name": "hunter2"}}}]}),
        shown({"key-items": {"key": "hunter2"}}),
        shown({"key-items": "hunter2"}),
    ):
        assert "hunter2" not in repr(told)
        assert HIDDEN in repr(told)


def test_introspect_shows_routers_without_their_keys() -> None:
    world = NodeWorld()
    name = "default-domain:default-project:ip-fabric:__default__:gateway"
    assert world.core.compiler.graph.put_node(GraphNode("bgp-router", name, ROUTER))
    assert world.core.compiler.graph.node(NodeRef("bgp-router", name)) is not None
    text = Asker(world.node).get("/Snh_ShowIFMapAgentReq?table_name=bgp-router").text
    assert "10.0.0.1" in text
    assert HIDDEN in text
    assert "hunter2" not in text
