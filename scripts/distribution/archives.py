"""Archives that are the same bytes for the same content: order, owners, modes and times are given, not taken from the disk."""

import gzip
import hashlib
import io
import tarfile
from typing import Dict, NamedTuple


class Entry(NamedTuple):
    """A file of an archive."""

    data: bytes
    mode: int = 0o644


def tar_gz(entries: Dict[str, Entry], epoch: int, prefix: str) -> bytes:
    """The files and the folders above them, by name, each below `prefix`."""
    folders = {prefix + "/".join(name.split("/")[:depth]) for name in entries for depth in range(name.count("/") + 1)}
    names = {folder.rstrip("/") + "/": None for folder in folders}
    names.update({prefix + name: entry for name, entry in entries.items()})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(names):
            entry = names[name]
            member = tarfile.TarInfo(name.rstrip("/") or ".")
            member.mtime, member.uname, member.gname = epoch, "root", "root"
            if entry is None:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(member)
            else:
                member.size, member.mode = len(entry.data), entry.mode
                archive.addfile(member, io.BytesIO(entry.data))
    return gz(buffer.getvalue())


def gz(data: bytes) -> bytes:
    """Compressed, without name and time."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as stream:
        stream.write(data)
    return buffer.getvalue()


def deb(control: str, entries: Dict[str, Entry], epoch: int) -> bytes:
    """A Debian binary package: an `ar` archive of three members (deb(5))."""
    sums = "".join(f"{hashlib.md5(entries[name].data).hexdigest()}  {name}\n" for name in sorted(entries))
    inner = {"control": Entry(control.encode()), "md5sums": Entry(sums.encode())}
    members = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", tar_gz(inner, epoch, "./")),
        ("data.tar.gz", tar_gz(entries, epoch, "./")),
    ]
    package = b"!<arch>\n"
    for name, data in members:
        package += f"{name:<16}{epoch:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return package
