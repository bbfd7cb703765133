"""Why a flow is forwarded or dropped: a decision's steps in words.

The steps come from the very code that decides (`World.explain`), so what is told is what would
happen. Nothing is changed by asking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

from agent._fast.flow_world import Decision, Packet, Step, World
from agent.flow.acl import AclTable
from agent.flow.question import PROTOCOLS, WITH_PORTS, Landings, Ports, Question, packet
from agent.flow.words import (
    ACTIONS,
    FLAGS,
    REASONS,
    RESERVED_RULES,
    RULE_ACTIONS,
    rule_text,
)
from agent.oper.rows import Vmi
from agent.sandesh.vrouter import VrNexthopReq
from agent.values import ip4_from_loaded

_NONE = 0xFFFFFFFF
_PASSES = ("forward", "NAT")
_TYPES = (
    "dead", "receive", "encap", "tunnel", "resolve", "discard", "composite", "VRF translate",
    "L2 receive",
)  # fmt: skip
_CHECKS = {
    "mirror": "mirroring",
    "network": "network policy",
    "groups": "security groups",
    "fwaas": "FWaaS",
    "firewall": "firewall policy",
}


class Names(Landings, Protocol):
    """What numbers of the datapath stand for."""

    def nexthop(self, number: int) -> VrNexthopReq | None: ...
    def vrf_name(self, index: int) -> str: ...


class View(Ports, Protocol):
    """The rows that numbers lead to."""

    def vmi(self, vif_index: int) -> Vmi | None: ...


@dataclass(frozen=True, slots=True)
class Told:
    """One step: what it looked at (`topic`) and what it found, with its numbers."""

    topic: str
    text: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole answer. `allowed`: packets of the flow pass, forward and back."""

    question: str
    steps: tuple[Told, ...]
    allowed: bool
    verdict: str

    def record(self) -> dict[str, object]:
        """For JSON."""
        return {
            "question": self.question,
            "allowed": self.allowed,
            "verdict": self.verdict,
            "steps": [{"topic": one.topic, "text": one.text, **one.data} for one in self.steps],
        }


class Explainer:
    """Answers questions about flows against the world as it is now."""

    def __init__(self, world: World, lists: AclTable, names: Names, view: View) -> None:
        self._world = world
        self._lists = lists
        self._names = names
        self._view = view
        self._tellers: dict[str, Callable[[Step], Told | None]] = {
            "in_port": self._in_port,
            "landing": self._landing,
            "fat": lambda step: Told("fat flow", f"key masked by fat flow {step.number}", {}),
            "alias": self._alias,
            "source_route": lambda step: self._route("source route", step),
            "destination_route": lambda step: self._route("destination route", step),
            "reverse_route": lambda step: self._route("reverse route", step),
            "ecmp": self._ecmp,
            "out_port": self._out_port,
            "out_tunnel": self._out_tunnel,
            "vrf_translate": self._vrf_translate,
            "snat": lambda step: self._translated("source NAT", step),
            "dnat": lambda step: self._translated("destination NAT", step),
            "link_local": lambda step: self._translated("link-local service", step),
            "flood": lambda _: Told("flooding", "the MAC address is unknown: flooded", {}),
            "short": self._short,
            "skipped": self._skipped,
            "list": self._list,
            "rpf": self._rpf,
            "result": self._result,
        }

    def explain(self, question: Question) -> Explanation:
        """The answer; QuestionError when there is no single one."""
        first = packet(question, self._view, self._names)
        decision, steps = self._world.explain(first)
        told = [self._tellers[step.kind](step) for step in steps]
        sides = (decision.forward, decision.reverse)
        allowed = all(ACTIONS[side.action] in _PASSES for side in sides)
        return Explanation(
            _question(question),
            tuple(one for one in told if one is not None),
            allowed,
            self._verdict(decision, allowed, first),
        )

    # Names

    def _port(self, vif: int) -> str:
        row = self._view.vmi(vif)
        if row is not None:
            return f"{row.name} (vif {vif}, port {row.uuid}, VM {row.vm_name or row.vm_uuid})"
        fabric = self._view.fabric()
        if fabric is not None and vif == fabric.vif_index:
            return f"{fabric.interface} (vif {vif}, the fabric)"
        return f"vif {vif}"

    def _vrf(self, index: int) -> str:
        name = self._names.vrf_name(index)
        return f"VRF {index} ({name})" if name else f"VRF {index}"

    def _nexthop(self, number: int) -> str:
        found = self._names.nexthop(number)
        if found is None:
            return f"nexthop {number}"
        kind = _TYPES[found.nhr_type] if found.nhr_type < len(_TYPES) else "unknown"
        more = ""
        if kind == "tunnel":
            more = f" to {ip4_from_loaded(found.nhr_tun_dip)}"
        elif kind == "encap" and found.nhr_encap_oif_id:
            more = f" to vif {found.nhr_encap_oif_id[0]}"
        elif kind == "composite":
            more = f" of {len(found.nhr_nh_list)}"
        return f"nexthop {number} ({kind}{more})"

    def _rule(self, number: int) -> str:
        if number < len(RESERVED_RULES):
            return RESERVED_RULES[number]
        uuid = self._world.classifier.rule_uuid(number)
        return "a rule that is no more" if uuid is None else f"rule {uuid}"

    # Steps

    def _in_port(self, step: Step) -> Told:
        data = {"vif": step.number, "vrf": step.other}
        return Told("enters", f"{self._port(step.number)}, {self._vrf(step.other)}", data)

    def _landing(self, step: Step) -> Told:
        data = {"label": step.number, "nexthop": step.other}
        return Told("label", f"{step.number} leads to {self._nexthop(step.other)}", data)

    def _alias(self, step: Step) -> Told:
        text = f"{_address(step)} is an alias IP, of {self._vrf(step.number)}"
        return Told("alias IP", text, {"vrf": step.number})

    def _route(self, topic: str, step: Step) -> Told:
        vrf = self._vrf(step.number)
        if step.other == _NONE:
            return Told(topic, f"none in {vrf}", {"vrf": step.number})
        text = f"{_address(step)}/{step.length} of {vrf}, {self._nexthop(step.other)}"
        prefix = f"{_address(step)}/{step.length}"
        return Told(topic, text, {"vrf": step.number, "prefix": prefix, "nexthop": step.other})

    def _ecmp(self, step: Step) -> Told:
        text = f"member {step.number}, {self._nexthop(step.other)}"
        return Told("ECMP", text, {"member": step.number, "nexthop": step.other})

    def _out_port(self, step: Step) -> Told:
        return Told("leaves by", self._port(step.number), {"vif": step.number})

    def _out_tunnel(self, step: Step) -> Told:
        text = f"{self._nexthop(step.number)}"
        return Told("leaves by", text, {"nexthop": step.number})

    def _vrf_translate(self, step: Step) -> Told:
        text = f"to {self._vrf(step.number)} by {self._rule(step.other)}"
        return Told("VRF translation", text, {"vrf": step.number})

    def _translated(self, topic: str, step: Step) -> Told:
        port = f" port {step.number}" if step.number else ""
        return Told(topic, f"to {_address(step)}{port}", {"address": _address(step)})

    def _short(self, step: Step) -> Told:
        return Told("stops here", REASONS[step.number], {"reason": step.number})

    def _skipped(self, step: Step) -> Told:
        why = self._rule(step.number) if step.number else "policy is off at this port"
        return Told("policy", f"not asked: {why}", {"vif": step.other})

    def _list(self, step: Step) -> Told:
        topic = _check(step.check)
        name, rule = self._lists.name(step.other), self._rule(step.number)
        words = ", ".join(name for bit, name in RULE_ACTIONS if step.actions & bit)
        found = self._lists.rule(step.other, self._world.classifier.rule_uuid(step.number))
        text = f"{words or 'nothing'} by {rule}" + (f" of {name}" if name else "")
        if found is not None:
            text += f": {rule_text(found)}"
        data: dict[str, object] = {"list": name, "rule": rule, "vif": step.port}
        return Told(topic, text, data)

    def _rpf(self, step: Step) -> Told:
        side = "reverse" if step.length else "forward"
        text = f"{side}: must come from {self._nexthop(step.number)}"
        return Told("source check", text if step.number else f"{side}: none", {})

    def _result(self, step: Step) -> Told:
        side = "reverse" if step.length else "forward"
        action = ACTIONS[step.number]
        why = f": {REASONS[step.other]}" if step.other else ""
        return Told(f"{side} flow", f"{action}{why}", {"action": action, "reason": step.other})

    def _verdict(self, decision: Decision, allowed: bool, first: Packet) -> str:
        forward = decision.forward
        if ACTIONS[forward.action] not in _PASSES:
            return f"DROPPED: {REASONS[forward.reason]}"
        if not allowed:
            return f"DROPPED on the way back: {REASONS[decision.reverse.reason]}"
        flags = [name for bit, name in FLAGS if forward.flags & bit]
        return "ALLOWED" + (f" with {', '.join(flags)}" if flags else "")


def _check(name: str) -> str:
    """A check's name for people: `reverse_out_groups` is `security groups (reverse, out)`."""
    *places, kind = name.split("_")
    return _CHECKS[kind] + (f" ({', '.join(places)})" if places else "")


def _address(step: Step) -> str:
    return str(ip_address(step.address)) if len(step.address) in (4, 16) else ""


def _question(question: Question) -> str:
    numbers = {number: name for name, number in PROTOCOLS.items()}
    name = numbers.get(question.protocol, f"protocol {question.protocol}")
    ends: Iterable[str] = (str(question.source), str(question.destination))
    if question.protocol in WITH_PORTS:
        source, destination = ends
        ends = (
            f"{source} port {question.source_port}",
            f"{destination} port {question.destination_port}",
        )
    return f"{name} from {' to '.join(ends)}"
