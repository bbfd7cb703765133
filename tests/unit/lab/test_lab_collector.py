"""The lab's collector: what agents tell, as lines and as JSON."""

from __future__ import annotations

import asyncio
import json

import pytest

from agent.errors import WireError
from agent.lab.collector import LabCollector, Told, answer, listen, told
from agent.lab.errors import LabError
from agent.sandesh import xml
from agent.telemetry.uve import Header, Identity, Level, Type, frame
from agent.telemetry.uve.answer import read

ME = Identity("host1", 7)


def message(name: str, values: xml.Values) -> bytes:
    return frame(ME, Header(0, 3, Type.UVE, Level.UVE), xml.message(name, values))


def test_a_uve_is_its_key_and_what_changed() -> None:
    values = {"name": "a:b", "app": "x <y>", "labels": ["l1", "l2"]}
    assert told(message("UVEVMITags", {"data": values})).line == (
        'host1 UVEVMITags #3 a:b app=x <y> labels=["l1","l2"]'
    )


def test_json_has_structs_lists_and_maps() -> None:
    values = {
        "name": "host1",
        "phy_band_in_bps": {"eth0": 5},
        "phy_if_info": {"eth0": {"speed": 1000}},
        "phy_if_5min_usage": [{"name": "eth0"}],
    }
    found = json.loads(told(message("VrouterStats", {"data": values})).json)
    assert found == {
        "source": "host1",
        "message": "VrouterStats",
        "sequence": 3,
        "fields": {
            "data": {
                "name": "host1",
                "phy_band_in_bps": {"eth0": "5"},
                "phy_if_info": {"eth0": {"speed": "1000", "duplexity": "0"}},
                "phy_if_5min_usage": [
                    {"name": "eth0", "in_bandwidth_usage": "0", "out_bandwidth_usage": "0"}
                ],
            }
        },
    }


@pytest.mark.parametrize("text", [b"<sandesh/>", b"<sandesh><a/><b/></sandesh>", b"junk"])
def test_what_is_no_message(text: bytes) -> None:
    with pytest.raises(WireError):
        told(text)


def test_its_answer_is_understood() -> None:
    _, found = read(answer())
    assert found is not None
    assert found.success
    assert found.sequences == {}


def test_where_it_listens() -> None:
    assert listen("10.0.0.1:99") == ("10.0.0.1", 99)
    assert listen("10.0.0.1") == ("10.0.0.1", 8086)
    with pytest.raises(LabError, match="--listen"):
        listen("localhost:8086")


async def test_it_prints_what_it_is_told() -> None:
    shown: asyncio.Queue[Told] = asyncio.Queue()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        LabCollector(shown.put_nowait).serve("127.0.0.1", 0, port.set_result)
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", await port)
    writer.write(message("SandeshCtrlClientToServer", {"source": "host1"}))
    assert read(await reader.readexactly(len(answer())))[0] == "SandeshCtrlServerToClient"
    writer.write(message("UVEVMITags", {"data": {"name": "a"}}))
    names = [(await asyncio.wait_for(shown.get(), 10)).name for _ in range(2)]
    assert names == ["SandeshCtrlClientToServer", "UVEVMITags"]
    writer.write(b"junk")
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_a_port_that_is_taken_is_named() -> None:
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LabError, match=f"127.0.0.1:{port}"):
            await LabCollector(print).serve("127.0.0.1", port, print)
