"""Builds the compiled kernels of `agent/_fast`.

Each `agent/_fast/NAME.pyx` is one extension; C sources of its own live in
`agent/_fast/src/NAME/`. Build switches, all by environment:

VROUTER_EXT=a,b    build only these kernels
VROUTER_SANITIZE=1 AddressSanitizer and UndefinedBehaviorSanitizer (`make asan`)
VROUTER_NATIVE=1   tune for this machine's processor; never for packages
"""

import copy
import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).parent))  # an isolated build does not do so

from agent.sandesh.compiler import gen_cython, gen_table, load

FAST = Path("agent/_fast")
IDL = Path("agent/sandesh/idl")
LINKED = {
    "flow_world": ("lpm", "classifier"),
    "flow_pairs": ("lpm", "classifier", "flow_world", "packet", "flow_table"),
    "flow_scan": ("flow_table", "lpm", "classifier", "flow_world", "flow_pairs", "packet"),
    "flow_ports": ("flow_table", "lpm", "classifier", "flow_world", "flow_pairs", "packet"),
    "flow_sessions": ("flow_table", "lpm", "classifier", "flow_world", "flow_pairs", "packet"),
}
"""Kernels that call C functions of other kernels' folders."""
HARDENED = [
    "-O2", "-std=c11", "-fno-strict-aliasing", "-fvisibility=hidden", "-fstack-protector-strong",
    "-D_FORTIFY_SOURCE=2", "-fstack-clash-protection", "-Wall", "-Wextra", "-Wno-unused-function",
    "-Wno-unused-parameter", "-Wno-sign-compare", "-Wno-missing-field-initializers",
]  # fmt: skip
SANITIZED = [
    "-O1", "-g", "-std=c11", "-fno-strict-aliasing", "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined",
]  # fmt: skip


def generate_codec() -> None:
    """Compiles vrouter.sandesh to the sources of the kernel `sandesh`."""
    module = load(Path("agent/sandesh/vrouter.sandesh"))
    for name, text in gen_cython.generate(module, "sandesh").items():
        write(FAST / "src" / name if name.endswith(".h") else FAST / name, text)


def generate_tables() -> None:
    """Makes a table of each file of messages whose form is XML."""
    for source in sorted(IDL.glob("*.sandesh")):
        for name, text in gen_table.generate(load(source), source.stem).items():
            write(IDL / name, text)


def write(path: Path, text: str) -> None:
    """Leaves a text that is already right alone."""
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


def extension(source: Path) -> Extension:
    """One kernel: its .pyx and the C files in its own folder and those that it calls."""
    sanitize = bool(os.environ.get("VROUTER_SANITIZE"))
    flags = SANITIZED if sanitize else HARDENED
    if os.environ.get("VROUTER_NATIVE"):
        flags = [*flags, "-march=native"]
    folders = [FAST / "src" / name for name in (source.stem, *LINKED.get(source.stem, ()))]
    headers = [*(FAST / "src").glob(f"{source.stem}_*.h"), FAST / "src" / "flow.h"]
    sources = [path for folder in folders for path in folder.glob("*.c")]
    own_headers = [path for folder in folders for path in folder.glob("*.h")]
    return Extension(
        ".".join(source.with_suffix("").parts),
        [str(source), *sorted(map(str, sources))],
        depends=sorted(map(str, [*own_headers, *headers])),
        include_dirs=[str(folders[0]), str(FAST / "src"), *map(str, folders[1:])],
        extra_compile_args=flags,
        extra_link_args=SANITIZED[-2:-1] if sanitize else ["-Wl,-z,relro,-z,now"],
    )


class BuildApart(build_ext):
    """Objects of each kernel in a folder of its own: several may compile the same C at once."""

    def build_extension(self, ext: Extension) -> None:
        own = copy.copy(self)
        own.build_temp = str(Path(self.build_temp, ext.name))
        build_ext.build_extension(own, ext)


def extensions() -> list[Extension]:
    """Every kernel, or those that VROUTER_EXT names."""
    wanted = set(filter(None, os.environ.get("VROUTER_EXT", "").split(",")))
    sources = sorted(FAST.glob("*.pyx"))
    return [extension(source) for source in sources if not wanted or source.stem in wanted]


def shared_files() -> list[tuple[str, list[str]]]:
    """Man pages and completions by folder, where `make share` has made them."""
    folders: dict[str, list[str]] = {}
    for path in sorted(Path("share").rglob("*")):
        if path.is_file():
            folders.setdefault(str(path.parent), []).append(str(path))
    return list(folders.items())


generate_codec()
generate_tables()
setup(
    data_files=shared_files(),
    cmdclass={"build_ext": BuildApart},
    options={"build_ext": {"parallel": os.cpu_count()}},
    ext_modules=cythonize(
        extensions(),
        language_level=3,
        compiler_directives={
            "boundscheck": True,
            "wraparound": False,
            "embedsignature": True,
            "binding": False,  # the interpreter calls plain method descriptors faster
        },
        build_dir="build/cython",
    ),
)
