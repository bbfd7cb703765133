"""Quality of service: QoS configurations, forwarding classes, queues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.ifmap import NodeRef
from agent.introspect.query import number
from agent.introspect.reading import chosen, ends, listed, properties, uuid_text, whole, words
from agent.introspect.request import Query, Row, Table
from agent.objects import Key, Kind
from agent.oper.datapath import QosMap
from agent.telemetry import Node

_CONFIG, _CLASS, _QUEUE = "qos-config", "forwarding-class", "qos-queue"
_MARKS = (
    ("dscp_list", "dscp-entries"),
    ("vlan_priority_list", "vlan-priority-entries"),
    ("mpls_exp_list", "mpls-exp-entries"),
)


def configurations(node: Node, query: Query) -> Iterator[Row]:
    """The QoS configurations; one that no port uses has no number."""
    wanted = number(query, "id")
    for ref in chosen(node, query, _CONFIG):
        values = None if ref is None else _configuration(node, ref)
        yield values if values and wanted in (None, values["id"]) else None


def _configuration(node: Node, ref: NodeRef) -> dict[str, Any]:
    found = properties(node, ref)
    row = node.compiler.inspection.row(Key(Kind.QOS_MAP, ref.name))
    values = {
        "uuid": uuid_text(node, ref),
        "name": ref.name,
        "type": words(found, f"{_CONFIG}-type"),
        "id": row.index if isinstance(row, QosMap) else 0xFFFFFFFF,
        "default_forwarding_class": whole(found, f"default-{_CLASS}-id"),
    }
    return values | {
        field: [
            {"qos_value": whole(one, "key"), "forwarding_class_id": whole(one, f"{_CLASS}-id")}
            for one in listed(found, name, "qos-id-forwarding-class-pair")
        ]
        for field, name in _MARKS
    }


def classes(node: Node, query: Query) -> Iterator[Row]:
    """The forwarding classes."""
    wanted = number(query, "id")
    for ref in chosen(node, query, _CLASS):
        values = None if ref is None else _class(node, ref)
        yield values if values and wanted in (None, values["id"]) else None


def _class(node: Node, ref: NodeRef) -> dict[str, Any]:
    found = properties(node, ref)
    queues = ends(node, ref, f"{_CLASS}-{_QUEUE}", _QUEUE)
    queue = properties(node, queues[0]) if queues else {}
    return {
        "uuid": uuid_text(node, ref),
        "name": ref.name,
        "id": whole(found, f"{_CLASS}-id"),
        "dscp": whole(found, f"{_CLASS}-dscp"),
        "vlan_priority": whole(found, f"{_CLASS}-vlan-priority"),
        "mpls_exp": whole(found, f"{_CLASS}-mpls-exp"),
        "qos_queue": whole(queue, f"{_QUEUE}-identifier"),
    }


def queues(node: Node, query: Query) -> Iterator[Row]:
    """The queues."""
    wanted = number(query, "id")
    for ref in chosen(node, query, _QUEUE):
        at = whole(properties(node, ref), f"{_QUEUE}-identifier")
        if ref is None or wanted not in (None, at):
            yield None
        else:
            yield {"uuid": uuid_text(node, ref), "name": ref.name, "id": at}


SERVED = (
    Table("AgentQosConfigSandeshReq", "AgentQosConfigSandeshResp", "qc_list", configurations),
    Table("ForwardingClassSandeshReq", "ForwardingClassSandeshResp", "fc_list", classes),
    Table("QosQueueSandeshReq", "QosQueueSandeshResp", "qos_queue_list", queues),
)
