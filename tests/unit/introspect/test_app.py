"""Requests and answers of introspect: forms, paging, errors (facts introspect-client.md)."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from agent.errors import UsageError, WireError
from agent.introspect import Answer, Query, Request, Table, tokens
from agent.introspect import catalogue as catalogue_module
from agent.introspect.query import parse
from agent.sandesh import xml
from agent.telemetry import Node
from tests.unit.introspect.asking import Asker, texts
from tests.unit.telemetry.node_world import NodeWorld

PI = '<?xml-stylesheet type="text/xsl" href="/universal_parse.xsl"?>'


@pytest.fixture(scope="module")
def world() -> NodeWorld:
    made = NodeWorld()
    made.plug()
    return made


@pytest.fixture
def ask(world: NodeWorld) -> Asker:
    return Asker(world.node)


# --- One message


def test_one_message_has_its_length_and_comes_after_the_stylesheet(ask: Asker) -> None:
    found = ask.get("/Snh_ItfReq?name=unix")
    assert found.status_code == 200
    assert found.headers["content-type"] == "text/xml; charset=utf-8"
    assert int(found.headers["content-length"]) == len(found.content)
    assert found.text.startswith(f'{PI}<ItfResp type="sandesh"><itf_list type="list"')
    assert found.text.endswith('<more type="bool" identifier="0">false</more></ItfResp>')


def test_x_is_the_first_field(ask: Asker) -> None:
    assert ask.get("/Snh_ItfReq?x=unix").text == ask.get("/Snh_ItfReq?name=unix").text


def test_fields_that_a_request_does_not_have_are_ignored(ask: Asker) -> None:
    assert ask.get("/Snh_ItfReq?name=unix&colour=red").text == ask.get("/Snh_ItfReq?x=unix").text


def test_an_escaped_name_is_taken_as_it_is(ask: Asker) -> None:
    rows = ask.rows("ItfReq?vn=default-domain%3Adefault-project%3Ared", "ItfSandeshData")
    assert {texts(row)["vm_name"] for row in rows} == {"red1", "red2"}


@pytest.mark.parametrize("accept", ["application/json", "application/json, text/xml;q=0.5"])
def test_the_same_as_json(ask: Asker, accept: str) -> None:
    found = ask.get("/Snh_ItfReq?name=unix", Accept=accept)
    assert found.headers["content-type"] == "application/json; charset=utf-8"
    assert found.json == ask.json("ItfReq?name=unix")
    [message] = found.json
    assert message["ItfResp"]["more"] is False
    assert [row["name"] for row in message["ItfResp"]["itf_list"]] == ["unix"]


def test_a_browser_gets_xml(ask: Asker) -> None:
    found = ask.get("/Snh_ItfReq", Accept="text/html,application/xml;q=0.9,*/*;q=0.8")
    assert found.headers["content-type"] == "text/xml; charset=utf-8"


# --- What is wrong


def test_an_unknown_request(ask: Asker) -> None:
    found = ask.get("/Snh_NoSuchReq")
    assert found.status_code == 404
    assert "no request NoSuchReq" in (ET.fromstring(found.text).findtext("resp") or "")


def test_a_field_that_makes_no_sense(ask: Asker) -> None:
    found = ask.get("/Snh_ItfReq?uuid=12")
    assert found.status_code == 400
    assert ET.fromstring(found.text).tag == "ErrorResp"
    assert "uuid: '12' is not a UUID" in (ET.fromstring(found.text).findtext("resp") or "")


def test_too_many_fields(ask: Asker) -> None:
    assert ask.get("/Snh_ItfReq?" + "name=a&" * 100).status_code == 400


@pytest.mark.parametrize("path", ["/nothing", "/json/", "/nothing.xml", "/Snh_"])
def test_an_unknown_path(ask: Asker, path: str) -> None:
    assert ask.get(path).status_code == 404


# --- Long tables


def _rows(node: Node, query: Query) -> Iterator[dict[str, object] | None]:
    for at in range(int(query["vxlan_id"])):
        yield None
        yield {"name": f"vn{at}", "vn_id": at}


@pytest.fixture
def long_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """VnListReq has as many rows as its field vxlan_id says."""
    table = Table("VnListReq", "VnListResp", "vn_list", _rows)
    monkeypatch.setattr("agent.introspect.catalogue.modules", lambda: {"test": (table,)})
    catalogue_module.catalogue.cache_clear()
    yield
    catalogue_module.catalogue.cache_clear()


def _page(document: ET.Element) -> dict[str, str]:
    found = document.find("Pagination/req/PageReqData")
    assert found is not None
    return texts(found)


@pytest.mark.usefixtures("long_table")
class TestPages:
    """A table of more than 100 rows."""

    def test_100_rows_are_one_message(self, ask: Asker) -> None:
        document = ask.xml("VnListReq?vxlan_id=100")
        assert document.tag == "VnListResp"
        assert document.find("vn_list/list").get("size") == "100"  # type: ignore[union-attr]

    def test_the_first_page(self, ask: Asker) -> None:
        document = ask.xml("VnListReq?vxlan_id=250")
        assert (document.tag, document.get("type")) == ("__VnListResp_list", "slist")
        assert [each.tag for each in document] == ["VnListResp", "Pagination"]
        assert [each.findtext("more") for each in document] == ["true", "false"]
        page = _page(document)
        assert (page["prev_page"], page["table_size"], page["entries"]) == ("", "250", "0-99")
        names = [row.findtext("name") for row in document.iter("VnSandeshData")]
        assert names == [f"vn{at}" for at in range(100)]

    def test_pages_forth_and_back(self, ask: Asker) -> None:
        first = _page(ask.xml("VnListReq?vxlan_id=250"))
        second = _page(ask.xml(f"PageReq?x={first['next_page']}"))
        third = ask.xml(f"PageReq?x={second['next_page']}")
        last = _page(third)
        assert (second["entries"], last["entries"]) == ("100-199", "200-249")
        assert last["next_page"] == ""
        names = [row.findtext("name") for row in third.iter("VnSandeshData")]
        assert names == [f"vn{at}" for at in range(200, 250)]
        assert _page(ask.xml(f"PageReq?x={last['prev_page']}")) == second
        assert _page(ask.xml(f"PageReq?x={last['first_page']}")) == first

    def test_all_comes_in_messages_of_100(self, ask: Asker) -> None:
        token = _page(ask.xml("VnListReq?vxlan_id=250"))["all"]
        found = ask.get(f"/Snh_PageReq?x={token}")
        assert "content-length" not in found.headers
        document = ET.fromstring(found.text)
        assert document.tag == "__VnListResp_list"
        sizes = [each.find("vn_list/list").get("size") for each in document]  # type: ignore[union-attr]
        assert sizes == ["100", "100", "50"]
        assert [each.findtext("more") for each in document] == ["true", "true", "false"]
        names = [row.findtext("name") for row in document.iter("VnSandeshData")]
        assert names == [f"vn{at}" for at in range(250)]

    def test_all_of_nothing(self, ask: Asker) -> None:
        document = ask.xml("PageReq?x=VnListReq,all,vxlan_id=0")
        assert document.tag == "VnListResp"
        assert document.find("vn_list/list").get("size") == "0"  # type: ignore[union-attr]

    def test_the_same_as_json(self, ask: Asker) -> None:
        messages = ask.json("PageReq?x=VnListReq,all,vxlan_id=250")
        assert [list(message) for message in messages] == [["VnListResp"]] * 3
        rows = [row for message in messages for row in message["VnListResp"]["vn_list"]]
        assert [row["vn_id"] for row in rows] == list(range(250))

    @pytest.mark.parametrize(
        "token",
        ["", "VnListReq", "Nothing,0", "VnListReq,-1", "VnListReq,1x", "VnListReq,0,colour=red",
         "VnListReq,9999999999", "~zz", "VnListReq,0," + "a" * 5000, "PageReq,0"],
    )  # fmt: skip
    def test_a_token_of_nobody(self, ask: Asker, token: str) -> None:
        assert ask.get(f"/Snh_PageReq?x={token}").status_code == 400


@pytest.mark.parametrize("count", [0, 1, 300])
def test_long_lists_inside_of_a_row(
    ask: Asker, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    entries = [{"ace_id": str(at), "src": "a<b"} for at in range(count)]
    lazy = {"name": "acl", "entries": [entry.copy for entry in entries]}
    table = Table("AclReq", "AclResp", "acl_list", lambda node, query: iter([lazy]))
    monkeypatch.setattr("agent.introspect.catalogue.modules", lambda: {"test": (table,)})
    catalogue_module.catalogue.cache_clear()
    [message] = ask.json("AclReq")
    text = ask.get("/Snh_AclReq").text
    catalogue_module.catalogue.cache_clear()
    rows = [{"name": "acl", "entries": entries}]
    assert text == PI + xml.message("AclResp", {"acl_list": rows}, more=False)
    assert message == {"AclResp": xml.plain("AclResp", {"acl_list": rows}) | {"more": False}}


def test_tables_that_cannot_be_read(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(node: Node, query: Query):  # type: ignore[no-untyped-def]
        raise WireError("the datapath does not answer")
        yield Answer("VnListResp", {})

    modules = {"test": (Request("VnListReq", lost),)}
    monkeypatch.setattr("agent.introspect.catalogue.modules", lambda: modules)
    catalogue_module.catalogue.cache_clear()
    found = ask.get("/Snh_VnListReq")
    catalogue_module.catalogue.cache_clear()
    assert found.status_code == 503
    assert "does not answer" in found.text


# --- Tokens and fields


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_a_token_gives_its_parts_back(parts: list[str]) -> None:
    token = tokens.join(*parts)
    assert parse("PageReq", f"x={token}")["key"] == token
    assert tokens.split(token) == parts


@given(st.text())
def test_any_text_is_a_token_or_an_error(text: str) -> None:
    try:
        parts = tokens.split(text)
    except UsageError:
        return
    assert all(isinstance(part, str) for part in parts)


@given(st.text())
def test_every_field_is_there(text: str) -> None:
    try:
        query = parse("ItfReq", text)
    except UsageError:
        return
    assert set(query) == {
        "name", "type", "uuid", "vn", "mac", "ipv4_address", "ipv6_address", "parent_uuid",
        "ip_active", "ip6_active", "l2_active",
    }  # fmt: skip


def test_rows_that_are_xml_already_are_taken_as_they_are() -> None:
    rows = [{"name": "a<b", "vn_id": at} for at in range(3)]
    ready = xml.Ready(xml.struct("VnSandeshData", row) for row in rows)
    assert xml.message("VnListResp", {"vn_list": ready}) == xml.message(
        "VnListResp", {"vn_list": rows}
    )


# --- What can be asked


def test_every_module_and_request_is_listed(ask: Asker) -> None:
    modules = ET.fromstring(ask.get("/", Accept="text/xml").text)
    assert ask.get("/index.xml").text == ask.get("/", Accept="text/xml").text
    links = [module.get("link") or "" for module in modules]
    assert "/interfaces.xml" in links
    listed = [
        request.get("name")
        for link in links
        for request in ET.fromstring(ask.get(link).text).iter("request")
    ]
    assert sorted(listed, key=str) == sorted(catalogue_module.catalogue())


def test_the_stylesheet_makes_a_page_of_an_answer(ask: Asker) -> None:
    style = etree.XSLT(etree.fromstring(ask.get("/universal_parse.xsl").content))
    page = str(style(etree.fromstring(ask.get("/Snh_ItfReq").content)))
    assert "<h1>ItfResp</h1>" in page
    assert '<a href="/Snh_VnListReq?x=default-domain:default-project:red">' in page


# --- What else there is


def test_people_get_a_page(ask: Asker) -> None:
    found = ask.get("/", Accept="text/html,application/xml;q=0.9,*/*;q=0.8")
    assert found.headers["content-type"].startswith("text/html")
    assert "<html" in found.text
    assert ask.get("/", Accept="text/xml").headers["vary"] == "Accept"


def test_metrics(ask: Asker, world: NodeWorld) -> None:
    before = world.node.meters.http["introspect", 200]
    ask.get("/Snh_ItfReq")
    found = ask.get("/metrics")
    assert found.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'surface="introspect"' in found.text
    assert world.node.meters.http["introspect", 200] == before + 2


def test_an_error_of_ours_is_told_and_counted(
    ask: Asker, world: NodeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Table("VnListReq", "VnListResp", "vn_list", lambda node, query: iter([1 // 0]))
    monkeypatch.setattr("agent.introspect.catalogue.modules", lambda: {"test": (broken,)})
    catalogue_module.catalogue.cache_clear()
    found = ask.get("/Snh_VnListReq")
    catalogue_module.catalogue.cache_clear()
    assert found.status_code == 500
    assert "log says more" in (ET.fromstring(found.text).findtext("resp") or "")
    [error] = ask.errors
    assert isinstance(error, ZeroDivisionError)
    assert world.node.meters.http["introspect", 500]
