"""The house rule of docs/architecture.md: imports go one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "agent"
BASE = {"errors", "values", "timers", "settings", "inputs", "objects", "topology", "routes"}
BASE |= {"histogram", "loading", "loop"}
CORE = {"xmpp", "ifmap", "oper", "rib", "sandesh", "ksync", "pkt", "services", "flow"}
CORE |= {"shm", "record", "backup"}
FACES = {"rest", "introspect", "telemetry"}
EVERYTHING = BASE | CORE | FACES | {"_fast", "io", "forwarder", "cli", "lab", "daemon"}

ALLOWED: dict[str, set[str]] = {
    "_fast": {"_fast"},
    "sandesh": BASE | {"_fast"},
    "pkt": BASE | {"_fast"},
    "shm": BASE | {"_fast"},
    "xmpp": BASE | {"_fast"},
    "ifmap": BASE,
    "rib": BASE | {"_fast"},
    "oper": BASE | {"ifmap", "rib", "_fast"},
    "ksync": BASE | {"sandesh", "_fast"},
    "services": BASE | {"pkt", "shm", "oper", "rib", "_fast"},
    "flow": BASE | {"pkt", "shm", "oper", "rib", "_fast", "sandesh"},
    "record": BASE,
    "backup": BASE | {"sandesh"},
    "rest": BASE,
    "introspect": BASE | CORE | FACES | {"_fast"},
    "telemetry": BASE | CORE | {"rest", "_fast"},
    "io": BASE | CORE | FACES | {"_fast"},
    "forwarder": BASE | {"sandesh", "pkt", "shm", "_fast"},
    "cli": EVERYTHING - {"oper", "daemon", "lab"},
    "lab": EVERYTHING - {"daemon"},
    "daemon": EVERYTHING,
    "__main__": EVERYTHING,
}
# Only desired.py turns rows into messages, and dump.py reads them back.
EXTRA = {("oper", name): {"sandesh"} for name in ("desired.py", "dump.py")}


def package_of(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return parts[0] if len(parts) > 1 else path.stem


def imported_packages(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("agent.") and "." in name}


@pytest.mark.parametrize(
    "path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_imports_go_one_way(path: Path) -> None:
    package = package_of(path)
    if package == "__init__":
        return
    allowed = BASE if package in BASE else ALLOWED[package] | {package}
    allowed = allowed | EXTRA.get((package, path.name), set())
    foreign = imported_packages(path) - allowed - {"__version__"}
    assert not foreign, f"{path.relative_to(ROOT)} may not import {sorted(foreign)}"
