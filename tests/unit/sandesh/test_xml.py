"""Messages as XML, against an XML parser of the library."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import BugError
from agent.sandesh import xml
from agent.sandesh.schema import arguments, schema


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def test_a_message_has_the_form_that_clients_parse() -> None:
    text = xml.message(
        "MplsResp",
        {
            "mpls_list": [
                {"label": 17, "nh": {"type": "interface", "nh_index": 20, "itf": "tap<1>"}}
            ]
        },
        more=False,
    )
    assert text.startswith(
        '<MplsResp type="sandesh"><mpls_list type="list" identifier="1">'
        '<list type="struct" size="1"><MplsSandeshData><label type="i32" identifier="1">17</label>'
        '<type type="string" identifier="2"></type><nh type="struct" identifier="3"><NhSandeshData>'
        '<type type="string" identifier="1">interface</type>'
    )
    assert text.endswith('<more type="bool" identifier="0">false</more></MplsResp>')
    assert parsed(text).findtext(".//itf") == "tap<1>"


def test_lists_of_words_and_links() -> None:
    root = parsed(xml.message("ShowIFMapAgentResp", {"table_data": ["a&b", "c"]}))
    assert [each.text for each in root.iter("element")] == ["a&b", "c"]
    assert root.find("table_data/list").attrib == {"type": "string", "size": "2"}  # type: ignore[union-attr]
    page = parsed(xml.message("Pagination", {"req": {"all": "key"}}))
    assert page.find("req/PageReqData/all").attrib["link"] == "PageReq"  # type: ignore[union-attr]


def test_what_is_not_set_is_empty_or_left_out() -> None:
    root = parsed(xml.struct("NodeStatus", {"name": "host"}))
    assert [each.tag for each in root] == ["name"]
    assert xml.plain("PageReqData", {"all": "x"}) == {
        "prev_page": "", "next_page": "", "first_page": "", "all": "x", "table_size": 0,
        "entries": "",
    }  # fmt: skip


def test_maps_are_keys_and_values_in_turn() -> None:
    values = {"name": "host", "disk_usage_info": {"/dev/sda1": {"partition_type": "ext4"}}}
    root = parsed(xml.struct("NodeStatus", values))
    held = root.find("disk_usage_info/map")
    assert held is not None
    assert held.attrib == {"key": "string", "value": "struct", "size": "1"}
    assert [each.tag for each in held] == ["element", "DiskPartitionUsageStats"]


def test_a_name_that_is_no_field_is_a_bug() -> None:
    with pytest.raises(BugError, match="PageReqData has no field al"):
        xml.struct("PageReqData", {"al": ""})
    with pytest.raises(BugError, match="PageReqData has no field al"):
        xml.plain("PageReqData", {"al": ""})


@given(st.text())
def test_any_text_stays_readable(value: str) -> None:
    root = parsed(xml.struct("PageReqData", {"all": value}))
    known = "".join(
        "?" if letter in "￾￿" or "\ud800" <= letter <= "\udfff" else letter for letter in value
    )
    expected = (
        "".join("?" if letter < " " and letter not in "\t\n\r" else letter for letter in known)
        .replace("\r\n", "\n")
        .replace("\r", "\n")
    )
    assert (root.findtext("all") or "") == expected


def test_arguments_of_types() -> None:
    assert arguments("i32") == ()
    assert arguments("map<string,map<i32,list<X>>>") == ("string", "map<i32,list<X>>")


def test_every_struct_can_be_written_empty() -> None:
    values: dict[str, Any] = {}
    for name in schema():
        assert parsed(xml.struct(name, values)).tag == name
        assert isinstance(xml.plain(name, values), dict)
