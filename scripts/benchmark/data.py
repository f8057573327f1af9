"""Data to copy, in memory, so that no disk is measured."""

import os
import shutil
import subprocess
from pathlib import Path

GIB = 1 << 30
MIB = 1 << 20
SMALL = 4096
SMALL_FILES = 5000
MID_FILES = 400
UNCHANGED_FILES = 100_000
# What the store says about everything it holds: 2024-01-01T00:00:00Z.
STORED_AT = 1704067200


class Data:
    """Paths of the files below one folder; made when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def big(self) -> Path:
        """One file of 1 GiB."""
        path = self.folder / "big"
        if not path.exists():
            block = os.urandom(MIB)
            with path.open("wb") as file:
                for shift in range(GIB // MIB):
                    file.write(block[shift:] + block[:shift])
        return path

    def small(self) -> Path:
        """5,000 files of 4 KiB in 10 folders."""
        path = self.folder / "small"
        if not path.exists():
            for number in range(SMALL_FILES):
                folder = path / f"{number // 500:02d}"
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{number:05d}.bin").write_bytes(os.urandom(SMALL))
        return path

    def mid(self) -> Path:
        """400 files of 1 MiB."""
        path = self.folder / "mid"
        if not path.exists():
            path.mkdir()
            for number in range(MID_FILES):
                (path / f"{number:04d}.bin").write_bytes(os.urandom(MIB))
        return path

    def unchanged(self) -> Path:
        """What the store holds below synth/100000/4096/: the same names, sizes and times. Nobody reads their contents."""
        path = self.folder / "unchanged"
        if not path.exists():
            path.mkdir()
            for number in range(UNCHANGED_FILES):
                file = path / f"{number:08d}"
                with file.open("wb") as handle:
                    handle.truncate(SMALL)
                os.utime(file, (STORED_AT, STORED_AT))
        return path

    def forget(self, name: str) -> None:
        """Gives the memory back."""
        path = self.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()


def certificate(folder: Path) -> "tuple[Path, Path]":
    """A certificate for 127.0.0.1, and its key."""
    configuration, chain, key = folder / "tls.conf", folder / "tls.crt", folder / "tls.key"
    configuration.write_text(
        "[req]\ndistinguished_name = name\nx509_extensions = leaf\nprompt = no\n[name]\nCN = 127.0.0.1\n"
        "[leaf]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = IP:127.0.0.1\n"
    )
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    files = ["-config", configuration, "-keyout", key, "-out", chain]
    subprocess.run([*command, *files], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return chain, key
