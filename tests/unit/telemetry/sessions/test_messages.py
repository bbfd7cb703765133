"""SessionEndpointObject: its text, and what goes into one message."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.sandesh import xml
from agent.settings import parse
from agent.telemetry.sessions import Session, Tags
from agent.telemetry.sessions.messages import MESSAGE, Limits, limits, messages
from tests.unit.telemetry.sessions.told import BLUE, ENDPOINT, GROUP_RULE, RED, RULE, session

GOLDEN = f"""
<SessionEndpointObject type="sandesh">
<session_data type="list" identifier="1">
<list type="struct" size="1">
<SessionEndpoint>
<vmi type="string" identifier="1">default-domain:demo:vmi1</vmi>
<vn type="string" identifier="2">{RED}</vn>
<tier type="string" identifier="4">tier=web</tier>
<labels type="set" identifier="7">
<list type="string" size="2">
<element>label=a</element>
<element>label=b</element>
</list>
</labels>
<remote_application type="string" identifier="10">application=hr</remote_application>
<remote_custom_tags type="set" identifier="21">
<list type="string" size="1">
<element>zone=1</element>
</list>
</remote_custom_tags>
<security_policy_rule type="string" identifier="13">{RULE}</security_policy_rule>
<remote_vn type="string" identifier="14">{BLUE}</remote_vn>
<is_client_session type="byte" identifier="15">1</is_client_session>
<is_si type="byte" identifier="16">0</is_si>
<remote_prefix type="string" identifier="17">10.2.0.0/16</remote_prefix>
<vrouter_ip type="ipaddr" identifier="18">10.0.0.1</vrouter_ip>
<sess_agg_info type="map" identifier="19">
<map key="struct" value="struct" size="1">
<SessionIpPortProtocol>
<local_ip type="ipaddr" identifier="1">10.1.1.3</local_ip>
<service_port type="u16" identifier="2">8080</service_port>
<protocol type="u16" identifier="3">6</protocol>
</SessionIpPortProtocol>
<SessionAggInfo>
<sampled_forward_bytes type="i64" identifier="1">1500</sampled_forward_bytes>
<sampled_forward_pkts type="i64" identifier="2">15</sampled_forward_pkts>
<sampled_reverse_bytes type="i64" identifier="3">22500</sampled_reverse_bytes>
<sampled_reverse_pkts type="i64" identifier="4">18</sampled_reverse_pkts>
<logged_forward_bytes type="i64" identifier="5">600</logged_forward_bytes>
<logged_forward_pkts type="i64" identifier="6">6</logged_forward_pkts>
<logged_reverse_bytes type="i64" identifier="7">9000</logged_reverse_bytes>
<logged_reverse_pkts type="i64" identifier="8">7</logged_reverse_pkts>
<sessionMap type="map" identifier="9">
<map key="struct" value="struct" size="1">
<SessionIpPort>
<ip type="ipaddr" identifier="1">10.2.2.4</ip>
<port type="u16" identifier="2">40000</port>
</SessionIpPort>
<SessionInfo>
<forward_flow_info type="struct" identifier="1">
<SessionFlowInfo>
<sampled_bytes type="i64" identifier="1">1500</sampled_bytes>
<sampled_pkts type="i64" identifier="2">15</sampled_pkts>
<logged_bytes type="i64" identifier="3">600</logged_bytes>
<logged_pkts type="i64" identifier="4">6</logged_pkts>
<flow_uuid type="ct_uuid_t" identifier="5">11111111-2222-4333-8000-000000000002</flow_uuid>
<tcp_flags type="i16" identifier="6">41</tcp_flags>
<setup_time type="i64" identifier="7">1700000000250000</setup_time>
<teardown_time type="i64" identifier="8">1700000060500000</teardown_time>
<teardown_bytes type="i64" identifier="9">1600</teardown_bytes>
<teardown_pkts type="i64" identifier="10">16</teardown_pkts>
<action type="string" identifier="11">pass</action>
<sg_rule_uuid type="ct_uuid_t" identifier="12">{GROUP_RULE}</sg_rule_uuid>
<nw_ace_uuid type="ct_uuid_t" identifier="13">{RULE}</nw_ace_uuid>
</SessionFlowInfo>
</forward_flow_info>
<reverse_flow_info type="struct" identifier="2">
<SessionFlowInfo>
<sampled_bytes type="i64" identifier="1">22500</sampled_bytes>
<sampled_pkts type="i64" identifier="2">18</sampled_pkts>
<logged_bytes type="i64" identifier="3">9000</logged_bytes>
<logged_pkts type="i64" identifier="4">7</logged_pkts>
<flow_uuid type="ct_uuid_t" identifier="5">11111111-2222-4333-8000-000000000003</flow_uuid>
<tcp_flags type="i16" identifier="6">40</tcp_flags>
<setup_time type="i64" identifier="7">1700000000250000</setup_time>
<teardown_time type="i64" identifier="8">1700000060500000</teardown_time>
<teardown_bytes type="i64" identifier="9">19000</teardown_bytes>
<teardown_pkts type="i64" identifier="10">17</teardown_pkts>
<action type="string" identifier="11">pass</action>
<sg_rule_uuid type="ct_uuid_t" identifier="12">{GROUP_RULE}</sg_rule_uuid>
<nw_ace_uuid type="ct_uuid_t" identifier="13">{RULE}</nw_ace_uuid>
</SessionFlowInfo>
</reverse_flow_info>
<vm type="string" identifier="3">vm1</vm>
<other_vrouter_ip type="ipaddr" identifier="4">10.0.0.2</other_vrouter_ip>
<underlay_proto type="u16" identifier="5">2</underlay_proto>
</SessionInfo>
</map>
</sessionMap>
</SessionAggInfo>
</map>
</sess_agg_info>
</SessionEndpoint>
</list>
</session_data>
</SessionEndpointObject>
"""


def sizes(made: Iterable[Any]) -> list[list[list[int]]]:
    """Of each message, of each endpoint, of each aggregate the number of sessions."""
    return [
        [
            [len(held["sessionMap"]) for _, held in endpoint["sess_agg_info"].items()]
            for endpoint in one["session_data"]
        ]
        for one in made
    ]


def test_the_text_of_a_session_that_is_a_sample_and_logged() -> None:
    [values] = messages([session(scale=2.5, logged=True)], Limits())
    assert xml.message(MESSAGE, values) == GOLDEN.replace("\n", "")


def test_what_is_not_known_is_left_out() -> None:
    bare = replace(ENDPOINT, tags=Tags(), remote_tags=Tags(), rule="", prefix="")
    one = session(
        endpoint=bare, ended=None, peer=None, tunnel=0, sg_rule="", scale=0.0, logged=True, vm=""
    )
    [values] = messages([one], Limits())
    text = xml.message(MESSAGE, values)
    for name in (
        "tier", "labels", "remote_prefix", "security_policy_rule", "teardown_time",
        "teardown_bytes", "sampled_bytes", "sampled_forward_bytes", "other_vrouter_ip",
        "underlay_proto", "vm",
        "sg_rule_uuid", "drop_reason",
    ):  # fmt: skip
        assert f"<{name} " not in text
    assert text.count("<logged_bytes ") == 2


def test_sessions_of_a_service_are_together_and_summed() -> None:
    told = [session(at, scale=1.0) for at in range(3)] + [session(9, scale=0.0, logged=True)]
    [values] = messages(told, Limits())
    assert sizes([values]) == [[[4]]]
    [(key, held)] = values["session_data"][0]["sess_agg_info"].items()
    assert (str(key["local_ip"]), key["service_port"], key["protocol"]) == ("10.1.1.3", 8080, 6)
    assert (held["sampled_forward_bytes"], held["logged_forward_bytes"]) == (1800, 600)


def test_each_level_has_its_limit() -> None:
    many = [session(at) for at in range(250)]
    assert sizes(messages(many, Limits())) == [[[100], [100], [50]]]
    locals_ = [session(local=f"10.1.1.{at}") for at in range(1, 21)]
    assert sizes(messages(locals_, Limits())) == [[[1] * 8, [1] * 8, [1] * 4]]
    vmis = [session(endpoint=replace(ENDPOINT, vmi=str(at))) for at in range(12)]
    assert sizes(messages(vmis, Limits())) == [[[[1]] * 5][0], [[[1]] * 5][0], [[[1]] * 2][0]]


def test_a_port_that_is_used_again_makes_two_entries() -> None:
    again = replace(session(), forward=session(5).forward)
    assert sizes(messages([session(), again], Limits())) == [[[1], [1]]]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(0, 9)), max_size=80),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 9),
)
def test_every_session_is_told_once_within_all_limits(
    drawn: list[tuple[int, int, int]], endpoints: int, aggregates: int, sessions: int
) -> None:
    told = [
        session(at, endpoint=replace(ENDPOINT, vmi=str(vmi)), local=f"10.1.1.{local}", port=port)
        for at, (vmi, local, port) in enumerate(drawn)
    ]
    made = list(messages(told, Limits(endpoints, aggregates, sessions)))
    uuids = []
    for one in made:
        assert 1 <= len(one["session_data"]) <= endpoints
        for endpoint in one["session_data"]:
            info = endpoint["sess_agg_info"].items()
            assert 1 <= len(info) <= aggregates
            assert len({tuple(key.values()) for key, _ in info}) == len(info)
            for _, held in info:
                entries = held["sessionMap"].items()
                assert 1 <= len(entries) <= sessions
                assert len({tuple(key.values()) for key, _ in entries}) == len(entries)
                uuids += [each["forward_flow_info"]["flow_uuid"] for _, each in entries]
    assert sorted(map(str, uuids)) == sorted(str(one.forward.flow) for one in told)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Limits(5, 8, 100)),
        ("[FLOWS]\nmax_endpoints_per_session_msg = 2\nmax_sessions_per_aggregate = 0\n",
         Limits(2, 8, 1)),
    ],
)  # fmt: skip
def test_limits_are_configured(text: str, expected: Limits) -> None:
    assert limits(parse(text)) == expected


def test_no_sessions_are_no_message() -> None:
    none: list[Session] = []
    assert list(messages(none, Limits())) == []
