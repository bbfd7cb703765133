"""Other users of the host at the sockets, tables and directories of datapath and agent."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.forwarder import rundir
from agent.forwarder.__main__ import main as forwarder_main
from agent.forwarder.opening import Opener, Transport, VifType, Wanted
from agent.forwarder.replies import Replies
from agent.forwarder.server import ControlServer
from agent.io.pkt0 import Pkt0Socket
from agent.io.rundir import RunDir
from agent.shm.mapping import map_file
from agent.values import Mac

NOBODY = 65534
MEMBERS = 47110
"""A group of nobody else."""
REFUSED = (errno.EACCES, errno.EPERM)

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can run a program as another user"
)


def silent(payload: bytes) -> Replies:
    return [b"reply"]


async def tried(deed: Callable[[], object], groups: tuple[int, ...] = ()) -> int:
    """0, or the errno of what another user gets who does that."""
    child = os.fork()
    if child == 0:
        code = 255
        try:
            os.setgroups(groups)
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            deed()
            code = 0
        except OSError as error:
            code = error.errno or 254
        finally:
            os._exit(code)
    _, ended = await asyncio.to_thread(os.waitpid, child, 0)
    return os.waitstatus_to_exitcode(ended)


def send_to(path: Path) -> Callable[[], object]:
    def deed() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"\0" * 64, os.fspath(path))

    return deed


def connect_to(path: Path) -> Callable[[], object]:
    """ECONNRESET when the other side closes at once."""

    def deed() -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(os.fspath(path))
            client.settimeout(0.5)
            with suppress(TimeoutError):
                if not client.recv(1):
                    raise ConnectionResetError(errno.ECONNRESET, "closed")

    return deed


def bind_at(path: Path) -> Callable[[], object]:
    def deed() -> None:
        with suppress(FileNotFoundError):
            path.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.bind(os.fspath(path))

    return deed


def opened(path: Path, flags: int) -> Callable[[], object]:
    return lambda: os.open(path, flags)


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory that everybody can get to, with a run directory to be made in it."""
    with tempfile.TemporaryDirectory(prefix="vrouter-doors.", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


class Served:
    """What a datapath and an agent have in a run directory."""

    def __init__(self, run: Path, group: int | None = None) -> None:
        self.run = run
        rundir.prepare(run, group)
        self.table = rundir.create_table(run / rundir.FLOW_TABLE, 4, 256)
        wanted = Wanted(2, VifType.AGENT, Transport.SOCKET, "unix", 0, Mac(bytes(6)))
        device = Opener(run).open(wanted)
        assert device is not None
        self._device = device
        self._agent = Pkt0Socket(run, lambda batch: True)
        self._server = ControlServer(run / rundir.CONTROL, silent, group=group)
        self._lock = RunDir(run)

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()
        self._device.close()
        self._agent.close()
        self._lock.close()
        self.table.close()


@pytest.fixture
async def served(home: Path) -> AsyncIterator[Served]:
    made = Served(home / "run")
    await made.start()
    yield made
    await made.stop()


def deeds(run: Path) -> dict[str, Callable[[], object]]:
    """What a stranger tries, by what it would be good for."""
    table = run / rundir.FLOW_TABLE
    return {
        "list the directory": lambda: os.listdir(run),
        "program the datapath": connect_to(run / rundir.CONTROL),
        "send as the agent": send_to(run / rundir.PACKETS),
        "send as the datapath": send_to(run / rundir.AGENT_PACKETS),
        "be the agent": bind_at(run / rundir.AGENT_PACKETS),
        "be the datapath": bind_at(run / rundir.PACKETS),
        "read flows": opened(table, os.O_RDONLY),
        "write flows": opened(table, os.O_RDWR),
        "lock the agent out": opened(run / "agent.lock", os.O_RDWR),
    }


async def test_the_directory_keeps_strangers_out(served: Served) -> None:
    assert served.run.stat().st_mode & 0o7777 == 0o750
    for name, deed in deeds(served.run).items():
        assert await tried(deed) in REFUSED, name


async def test_what_is_in_it_does_so_too(served: Served) -> None:
    """An operator may have opened the directory, for a monitoring program say."""
    served.run.chmod(0o755)
    for name, deed in deeds(served.run).items():
        if name != "list the directory":
            assert await tried(deed) in REFUSED, name


async def test_credentials_count_where_modes_do_not(served: Served) -> None:
    served.run.chmod(0o755)
    (served.run / rundir.CONTROL).chmod(0o666)
    assert await tried(connect_to(served.run / rundir.CONTROL)) == errno.ECONNRESET


async def test_members_of_the_group_may_have_an_agent(home: Path) -> None:
    served = Served(home / "run", group=MEMBERS)
    await served.start()
    try:
        status = served.run.stat()
        assert (status.st_mode & 0o7777, status.st_gid) == (0o2770, MEMBERS)
        assert (served.run / rundir.FLOW_TABLE).stat().st_mode & 0o7777 == 0o640
        for name, deed in deeds(served.run).items():
            assert await tried(deed) in REFUSED, name
        own = deeds(served.run)
        del own["lock the agent out"]
        assert await tried(own.pop("write flows"), (MEMBERS,)) in REFUSED
        for name, deed in own.items():
            assert await tried(deed, (MEMBERS,)) == 0, name
    finally:
        await served.stop()


@pytest.mark.parametrize("make", [rundir.prepare, RunDir])
def test_a_directory_that_others_may_write_is_not_used(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match=r"everybody may write there; chmod o-w"):
        make(tmp_path)
    tmp_path.chmod(0o750)
    os.chown(tmp_path, NOBODY, -1)
    with pytest.raises(ConfigError, match=f"belongs to user {NOBODY}"):
        make(tmp_path)
    os.chown(tmp_path, 0, -1)


def test_a_group_that_is_none_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        forwarder_main(["--group", "no-such-group"])
    assert ended.value.code == 2
    assert "there is no group no-such-group" in capsys.readouterr().err


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Neither to a table that is none nor to a file that a lock would spoil."""
    other = tmp_path / "other"
    other.write_bytes(b"precious" * 512)
    for name in (rundir.FLOW_TABLE, "agent.lock"):
        (tmp_path / name).symlink_to(other)
    with pytest.raises(OSError, match="symbolic links"):
        map_file(tmp_path / rundir.FLOW_TABLE)
    with pytest.raises(ConfigError, match="symbolic links"):
        RunDir(tmp_path)
    assert other.read_bytes() == b"precious" * 512


def test_tables_are_mapped_for_reading_alone(tmp_path: Path) -> None:
    rundir.create_table(tmp_path / rundir.FLOW_TABLE, 4, 256).close()
    mapped, _ = map_file(tmp_path / rundir.FLOW_TABLE)
    with pytest.raises(TypeError):
        mapped[0:1] = b"x"
    mapped.close()
