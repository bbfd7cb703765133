"""Every page, as HTML: what it says, that its links lead somewhere, and that all can use it."""

from __future__ import annotations

import re
from collections import Counter, deque
from itertools import pairwise

import pytest

from agent.introspect.pages.render import POLICY
from tests.unit.introspect.pages.page_world import Answered, Links, PageWorld

SOME = 5


@pytest.fixture(scope="module")
def world() -> PageWorld:
    made = PageWorld()
    made.remote(["20.0.0.1/32", "20.0.0.0/24"])
    made.traffic()
    return made


def port(world: PageWorld, vm: str) -> str:
    return next(f"/ports/{row.uuid}" for row in world.node.compiler.vmis() if row.vm_name == vm)


async def crawl(world: PageWorld) -> dict[str, Answered]:
    """Pages that a person can reach from the first one, some of each kind."""
    found: dict[str, Answered] = {}
    kinds: Counter[str] = Counter()
    todo = deque(["/", "/search?q=red1"])
    while todo:
        path = todo.popleft()
        kind = re.sub(r"[0-9a-f-]{36}|\d+|\?.*", "*", path)
        if path in found or kinds[kind] == SOME or path == "/metrics":
            continue
        kinds[kind] += 1
        answer = found[path] = await world.get(path)
        if "text/html" in answer.headers["content-type"]:
            todo += [one.partition("#")[0] for one in answer.links() if not one.startswith("#")]
    return found


async def test_every_link_leads_to_a_page(world: PageWorld) -> None:
    found = await crawl(world)
    assert {path: answer.status for path, answer in found.items() if answer.status != 200} == {}
    kinds = {path.split("/")[1].partition("?")[0] for path in found}
    assert kinds >= {
        "", "search", "ports", "networks", "vrfs", "flows", "access-lists",
        "datapath", "controllers", "topology", "explain",
    }  # fmt: skip
    for path, answer in found.items():
        if "text/html" in answer.headers["content-type"]:
            check_form(path, answer.text)


def check_form(path: str, text: str) -> None:
    """What makes a page usable with a keyboard and a screen reader."""
    tags = Links(text).tags
    names = [tag for tag, _ in tags]
    ids = [values["id"] for _, values in tags if "id" in values]
    assert len(ids) == len(set(ids)), path
    assert names.count("h1") == 1, path
    assert [names.count(one) for one in ("header", "main", "footer")] == [1, 1, 1], path
    assert dict(tags)["html"] == {"lang": "en"}, path
    levels = [int(tag[1]) for tag in names if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels)), path
    labels = {values.get("for") for tag, values in tags if tag == "label"}
    for tag, values in tags:
        if tag in ("input", "select"):
            assert values["id"] in labels, (path, values)
        if tag == "th":
            assert values.get("scope") in ("col", "row"), path
        if tag == "svg":
            assert values.get("aria-labelledby") or values.get("aria-label"), path
        for name in ("aria-labelledby", "aria-describedby"):
            if name in values:
                assert values[name] in ids, (path, values)
        assert "style" not in values, path
        assert not any(name.startswith("on") for name in values), path
    assert names.count("table") == names.count("caption"), path
    assert names.count("style") == 0, path
    assert 'class="skip" href="#main"' in text, path


async def test_answers_are_kept_to_themselves(world: PageWorld) -> None:
    answer = await world.get("/")
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    loaded = [values for tag, values in Links(answer.text).tags if tag in ("link", "script")]
    assert {one.get("href") or one["src"] for one in loaded} == {
        "/static/icon.svg",
        "/static/page.css",
        "/static/page.js",
    }


async def test_the_first_page_tells_how_the_agent_is(world: PageWorld) -> None:
    text = (await world.get("/")).text
    assert "in sync" in text
    for name in ("red1", "red2", "blue1", "blue2"):
        assert f">{name}</a>" in text
    assert text.count("<figure") == 4
    assert "from VMs" in text
    assert 'd="M44.0 ' in text


async def test_a_port_tells_all_that_is_behind_it(world: PageWorld) -> None:
    text = (await world.get(port(world, "red1"))).text
    for part in (
        "10.1.1.3",
        "tap7b511967-3a",
        "10.1.1.3/32",
        "vif 3",
        "in the datapath",
        "nexthop",
    ):
        assert part in text, part
    assert "3,000" in text
    assert "configuration" in text
    assert "virtual-machine-interface" in text


async def test_dropped_packets_have_their_reasons(world: PageWorld) -> None:
    for path in ("/datapath", port(world, "red1")):
        text = (await world.get(path)).text
        assert re.search(r"flow action drop</th>\s*<td[^>]*>180<", text), path
        assert text.index("flow action drop") < text.index("invalid arp"), path
    assert "2,400" in (await world.get("/vrfs/2")).text


async def test_tables_that_are_nearly_full_stand_out(world: PageWorld) -> None:
    text = (await world.get("/")).text
    assert "Table label" in text
    assert "Table nexthop" not in text
    assert "nearly full" in text


async def test_states_lead_to_where_more_is_told(world: PageWorld) -> None:
    text = (await world.get("/")).text
    assert '<h3><a href="/datapath">Datapath</a></h3>' in text


async def test_the_chain_leads_from_the_vif_to_routes(world: PageWorld) -> None:
    links = (await world.get(port(world, "red1"))).links()
    assert "/datapath/vif/3" in links
    assert any(one.startswith("/datapath/nexthop/") for one in links)
    assert any(one.startswith("/datapath/label/") for one in links)
    assert "/vrfs/2/route?prefix=10.1.1.3%2F32" in links


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("red1", "/ports/"),
        ("10.1.1.3", "/ports/"),
        ("02:54:ba:f2:d9:2d", "/ports/"),
        ("02-54-BA-F2-D9-2D", "/ports/"),
        ("default-project:red", "/networks/"),
        ("20.0.0.77", "/vrfs/2/route?prefix=20.0.0.0%2F24"),
        ("nexthop 4", "/datapath/nexthop/4"),
        ("label 16", "/datapath/label/16"),
        ("16", "/datapath/nexthop/16"),
        ("red:red", "/vrfs/2"),
    ],
)
async def test_the_search_box_finds(world: PageWorld, words: str, expected: str) -> None:
    answer = await world.get(f"/search?q={words.replace(' ', '+')}")
    assert any(one.startswith(expected) for one in answer.links()), answer.text


async def test_a_search_without_results_says_so(world: PageWorld) -> None:
    assert "Nothing found" in (await world.get("/search?q=no-such-thing")).text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ports/7b511967-3ab4-5619-9736-000000000000", 404),
        ("/ports/%00", 404),
        ("/networks/x", 404),
        ("/vrfs/999", 404),
        ("/vrfs/x", 400),
        ("/vrfs/2?filter=nonsense", 400),
        ("/vrfs/2?table=nonsense", 400),
        ("/vrfs/2?after=nonsense", 400),
        ("/vrfs/2/route?prefix=10.1.1.77/32", 404),
        ("/vrfs/2/route?prefix=10.1.1.77/8", 400),
        ("/vrfs/2/route", 400),
        ("/datapath/nonsense", 404),
        ("/datapath/nexthop/99999", 404),
        ("/datapath/nexthop/-1", 400),
        ("/datapath/vrf-assign/3", 400),
        ("/controllers/1.2.3.4:5", 404),
        ("/access-lists/rules?name=x", 404),
        ("/flows/0", 404),
        ("/flows?address=x", 400),
        ("/ports?start=-1", 400),
        ("/data/ports/x", 404),
    ],
)
async def test_what_makes_no_sense_is_told(world: PageWorld, path: str, status: int) -> None:
    answer = await world.get(path)
    assert answer.status == status
    if path.startswith("/data/"):
        assert "error" in answer.text
    else:
        check_form(path, answer.text)


async def test_nothing_that_was_asked_becomes_markup(world: PageWorld) -> None:
    hostile = "%3Cscript%3Ealert(1)%3Cb%3E%22'"
    asked = ("/search?q=", "/ports?filter=", "/vrfs/2?filter=", "/explain?source=", "/networks/")
    for path in asked:
        text = (await world.get(path + hostile)).text
        assert "<script>alert" not in text, path
        assert "<b>" not in text, path
        check_form(path, text)


async def test_routes_come_by_the_page_and_in_order(world: PageWorld) -> None:
    world.remote([f"30.0.{at}.0/24" for at in range(120)])
    seen: list[str] = []
    path = "/vrfs/2?filter=30.0.0.0/8"
    while path:
        answer = await world.get(path)
        seen += re.findall(r">(30\.0\.\d+\.0/24)</a>", answer.text)
        following = [one for one in answer.links() if "after=" in one]
        path = following[0] if following else ""
    assert seen == [f"30.0.{at}.0/24" for at in range(120)]


async def test_a_filter_of_an_address_shows_what_holds_it(world: PageWorld) -> None:
    text = (await world.get("/vrfs/2?filter=20.0.0.1")).text
    assert re.findall(r'class="code">([0-9./]+)</a>', text) == ["20.0.0.0/24", "20.0.0.1/32"]


async def test_a_route_tells_what_controllers_say(world: PageWorld) -> None:
    text = (await world.get("/vrfs/2/route?prefix=20.0.0.1/32")).text
    assert "10.0.0.250:5269" in text
    assert "10.0.0.2, label 17" in text
    assert "MPLS over UDP tunnel to 10.0.0.2" in (await world.get("/vrfs/2?filter=20.0.0.1")).text


async def test_an_explanation_has_its_steps(world: PageWorld) -> None:
    text = (await world.get("/explain?source=10.1.1.3&destination=10.1.1.4&protocol=icmp")).text
    assert "enters" in text
    assert re.search(r"badge good\">allowed", text)
    wrong = (await world.get("/explain?source=x&destination=10.1.1.4")).text
    assert "expected an IP address" in wrong


async def test_counters_that_cannot_be_had_are_told(world: PageWorld) -> None:
    world.vifs.gone = True
    try:
        answer = await world.get(port(world, "red1"))
    finally:
        world.vifs.gone = False
    assert answer.status == 200
    assert "the datapath does not answer" in answer.text


async def test_the_drawing_shows_ports_tunnels_and_this_host(world: PageWorld) -> None:
    text = (await world.get("/topology")).text
    for part in ("red1 10.1.1.3", "Host 10.0.0.2", "MPLS over UDP", "red (2)"):
        assert part in text, part


async def test_numbers_for_the_script_are_those_of_the_page(world: PageWorld) -> None:
    answer = await world.get("/data/rates")
    assert answer.headers["content-type"] == "application/json"
    page = (await world.get("/")).text
    for path in re.findall(r'"path": "(M[^"]+)"', answer.text):
        assert path in page
