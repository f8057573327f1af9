"""The release build: static, stripped, and the same bytes wherever the sources lie."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

# Dates of archives when nothing says better: 1 January 1980, the first that every format can hold.
NO_DATE = 315532800


class Source(NamedTuple):
    """What is built."""

    root: Path
    commit: str
    epoch: int


def source(root: Path) -> Source:
    """Commit and date: of the environment, else of Git; a tarball without either is built all the same."""

    def git(*words: str) -> str:
        run = subprocess.run(["git", "-C", str(root), *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) if shutil.which("git") else None
        return run.stdout.decode().strip() if run and run.returncode == 0 else ""

    # A tarball inside another repository is not that repository.
    is_own = (root / ".git").exists()
    commit = os.environ.get("MA_CLI_COMMIT") or (git("rev-parse", "HEAD") if is_own else "")
    if is_own and commit and git("status", "--porcelain", "--untracked-files=no"):
        commit += "-changed"
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or (git("log", "-1", "--format=%ct") if is_own else "") or NO_DATE
    return Source(root, commit or "unknown", int(epoch))


def build(what: Source, triple: str, afresh: bool) -> Path:
    """Builds with cargo and gives the program's path."""
    target = what.root / "target" / "distribution"
    if afresh:
        shutil.rmtree(target, ignore_errors=True)
    environment = dict(os.environ, **variables(what, target))
    words = [os.environ.get("CARGO", "cargo"), "build", "--profile", "distribution", "--locked", "--bin", "ma-cli", "--target", triple, "--target-dir", str(target)]
    if subprocess.run(words, cwd=what.root, env=environment).returncode != 0:
        raise SystemExit("release: the build failed")
    return target / triple / "distribution" / "ma-cli"


def variables(what: Source, target: Path) -> dict:
    """The environment of the build. Paths of this machine become names."""
    home = Path.home()
    cargo = Path(os.environ.get("CARGO_HOME", home / ".cargo"))
    toolchain = subprocess.run(["rustc", "--print", "sysroot"], stdout=subprocess.PIPE, check=True, cwd=what.root).stdout.decode().strip()
    # The last one that matches counts.
    paths = [(str(home), "/home"), (toolchain, "/rust"), (str(cargo), "/cargo"), (str(what.root), "/ma-cli"), (str(target), "/ma-cli/target")]
    remapped = [f"--remap-path-prefix={path}={name}" for path, name in paths]
    maps = " ".join(f"-ffile-prefix-map={path}={name}" for path, name in paths)
    return {
        # Of the target only: build scripts and macros are linked as usual. Half a megabyte of relocations becomes a few pages.
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(["-Ctarget-feature=+crt-static", "-Clink-arg=-Wl,-z,pack-relative-relocs", *remapped]),
        "CFLAGS": maps,
        "CARGO_INCREMENTAL": "0",
        "SOURCE_DATE_EPOCH": str(what.epoch),
        "MA_CLI_COMMIT": what.commit,
        "MA_CLI_BUILD_DATE": time.strftime("%Y-%m-%d", time.gmtime(what.epoch)),
        "TZ": "UTC",
        "LC_ALL": "C",
    }


class Program(NamedTuple):
    """What an ELF file says of itself."""

    data: bytes
    architecture: str
    is_static: bool


def read(path: Path) -> Program:
    """Reads the header and the program headers (elf(5))."""
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        raise SystemExit(f"release: {path} is no 64-bit program for Linux")

    def number(at: int, length: int) -> int:
        return int.from_bytes(data[at:at + length], "little")

    architecture = {0x3E: "x86_64", 0xB7: "aarch64"}.get(number(18, 2))
    if architecture is None:
        raise SystemExit(f"release: {path} is for a processor that has no package")
    start, size, count = number(32, 8), number(54, 2), number(56, 2)
    kinds = [number(start + index * size, 4) for index in range(count)]
    interpreter = 3
    return Program(data, architecture, interpreter not in kinds)
