"""Colours, pager and redrawing: on a terminal, and never elsewhere."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.cli import mpls, terminal, vrmemstats, vrouter
from agent.sandesh.vrouter import Message, SandeshOp, VrMplsReq, VrResponse
from tests.unit.cli.served import Served

ROOT = Path(__file__).parents[3]
RUN = "import sys; from agent.cli.vrouter import main; sys.exit(main(sys.argv[1:]))"
LABELS = [VrMplsReq(mr_label=label, mr_nhid=label + 1) for label in range(16, 20)]
TABLE = (
    "MPLS Input Label Map\n\n   Label    NextHop\n-------------------\n"
    "      16        17\n      17        18\n      18        19\n      19        20\n"
)


def labels(request: Message) -> list[list[Message]]:
    assert isinstance(request, VrMplsReq)
    if request.h_op == SandeshOp.GET:
        return [[VrResponse(h_op=4, resp_code=-2)]]
    return [[VrResponse(h_op=4, resp_code=len(LABELS))], list(LABELS)]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    serving = Served(tmp_path, labels)
    yield serving
    serving.close()


class Screen:
    """A program on a terminal of its own."""

    def __init__(self, words: list[str], **environment: str) -> None:
        ours, theirs = pty.openpty()
        self.fd = ours
        self.text = b""
        clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, *words],
            stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, cwd=ROOT,
            env={**clean, "TERM": "xterm", "PAGER": "cat", "LINES": "30", **environment},
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)

    def read_until(self, enough: Callable[[bytes], bool]) -> bytes:
        """What is shown, until it is enough or the program has ended."""
        deadline = time.monotonic() + 20
        while not enough(self.text) and time.monotonic() < deadline:
            ready, _, _ = select.select([self.fd], [], [], 0.2)
            try:
                data = os.read(self.fd, 65536) if ready else None
            except OSError:  # the program has closed its side
                break
            if data == b"":
                break
            self.text += data or b""
        return self.text

    def end(self) -> int:
        assert self.process.stderr is not None
        try:
            return self.process.wait(20)
        finally:
            self.process.stderr.close()
            os.close(self.fd)


def all_of_it(_: bytes) -> bool:
    return False


def plain(text: bytes) -> str:
    return text.decode().replace("\r\n", "\n")


def test_a_file_gets_the_text_alone(served: Served, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", RUN, "mpls", "--dump", "--sock-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=True,
        env={**os.environ, "TERM": "xterm", "PAGER": "false"},
    )  # fmt: skip
    assert ended.stdout == TABLE


def test_colours_on_a_terminal(served: Served, tmp_path: Path) -> None:
    words = ["mpls", "--get", "9", "--sock-dir", str(tmp_path)]
    screen = Screen(words)
    shown = plain(screen.read_until(all_of_it))
    assert screen.end() == 0
    assert "\x1b[31mvRouter(Response): No such file or directory (2)\x1b[0m\n" in shown


@pytest.mark.parametrize("off", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colours_where_they_are_not_wanted(
    served: Served, tmp_path: Path, off: dict[str, str]
) -> None:
    screen = Screen(["mpls", "--dump", "--sock-dir", str(tmp_path)], **off)
    shown = plain(screen.read_until(all_of_it))
    assert screen.end() == 0
    assert shown == TABLE


def test_the_pager_of_the_user(served: Served, tmp_path: Path) -> None:
    screen = Screen(
        ["mpls", "--dump", "--sock-dir", str(tmp_path)],
        PAGER="sed s/Label/Etiquette/",
        NO_COLOR="1",
    )
    shown = plain(screen.read_until(all_of_it))
    assert screen.end() == 0
    assert shown == TABLE.replace("Label", "Etiquette")


def test_no_pager_of_ours_on_a_dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAGER", raising=False)
    monkeypatch.setenv("TERM", "dumb")
    assert terminal._start_pager() is None


def test_a_pager_that_is_left_early(served: Served, tmp_path: Path) -> None:
    screen = Screen(
        ["mpls", "--dump", "--sock-dir", str(tmp_path)], PAGER="head -n 1", NO_COLOR="1"
    )
    shown = plain(screen.read_until(all_of_it))
    assert screen.end() == 0
    assert shown == TABLE.splitlines()[0] + "\n"


CLEAR = b"\x1b[H\x1b[2J\x1b[3J"


def test_watching_on_a_terminal(served: Served, tmp_path: Path) -> None:
    screen = Screen(["mpls", "--dump", "--watch", "0.1", "--sock-dir", str(tmp_path)], NO_COLOR="1")
    screen.read_until(lambda text: text.count(CLEAR) >= 3)
    os.kill(screen.process.pid, signal.SIGINT)
    assert screen.end() == 130
    first, second = plain(screen.text).split(CLEAR.decode())[1:3]
    assert first == second == TABLE


def test_a_terminal_that_is_too_small(served: Served, tmp_path: Path) -> None:
    screen = Screen(
        ["mpls", "--dump", "--watch", "0.1", "--sock-dir", str(tmp_path)],
        NO_COLOR="1", LINES="4",
    )  # fmt: skip
    screen.read_until(lambda text: text.count(CLEAR) >= 2)
    os.kill(screen.process.pid, signal.SIGINT)
    assert screen.end() == 130
    assert plain(screen.text).split(CLEAR.decode())[1].count("\n") == 3


def watching(directory: Path, *words: str) -> subprocess.Popen[str]:
    """A tool that repeats, with its output in a pipe."""
    return subprocess.Popen(
        [sys.executable, "-u", "-c", RUN, *words, "--watch", "0.1", "--sock-dir", str(directory)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip


def test_watching_into_a_pipe(served: Served, tmp_path: Path) -> None:
    tool = watching(tmp_path, "mpls", "--dump")
    assert tool.stdout is not None
    lines = [tool.stdout.readline() for _ in range(16)]
    tool.send_signal(signal.SIGINT)
    tool.communicate(timeout=20)
    assert tool.returncode == 130
    assert "".join(lines) == TABLE * 2


def test_watching_outlives_a_datapath(tmp_path: Path) -> None:
    before = Served(tmp_path, labels)
    tool = watching(tmp_path, "mpls", "--dump", "--json")
    assert tool.stdout is not None
    assert tool.stderr is not None
    assert tool.stdout.readline() == "[\n"
    before.close()
    (tmp_path / "dpdk_netlink").unlink()
    assert tool.stderr.readline().startswith("error: no datapath at ")
    after = Served(tmp_path, labels)
    while tool.stdout.readline() != "[\n":
        assert tool.poll() is None
    tool.send_signal(signal.SIGINT)
    tool.communicate(timeout=20)
    after.close()
    assert tool.returncode == 130


def test_watching_nothing_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mpls.main(["--dump", "--watch", "--sock-dir", str(tmp_path)]) == 1
    assert "no datapath at" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "x", "86401"])
def test_how_often_is_checked(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        vrmemstats.main([f"--watch={seconds}"])
    assert ended.value.code == 2
    assert "is no time from 0.1 to 86400 seconds" in capsys.readouterr().err


def test_changes_are_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vrouter.main(["--perfr", "1", "--watch", "--sock-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: --watch repeats what only shows\n"


def test_what_stands_out() -> None:
    assert terminal.paint("vif0/3      PMD: tap3") == "\x1b[1mvif0/3\x1b[0m      PMD: tap3"
    assert terminal.paint("RX packets:1 errors:0") == "RX packets:1 errors:0"
    assert terminal.paint("RX packets:1 errors:7") == "RX packets:1 \x1b[31merrors:7\x1b[0m"
    assert terminal.paint("            Drops:12") == "            \x1b[31mDrops:12\x1b[0m"
    assert terminal.paint("(Gen: 1, Action:D(SG), x)") == (
        "(Gen: 1, \x1b[31mAction:D(SG)\x1b[0m, x)"
    )


def test_json_is_not_painted(served: Served, tmp_path: Path) -> None:
    screen = Screen(["mpls", "--dump", "--json", "--sock-dir", str(tmp_path)])
    shown = plain(screen.read_until(all_of_it))
    assert screen.end() == 0
    assert [row["label"] for row in json.loads(shown)] == [16, 17, 18, 19]
