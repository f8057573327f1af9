"""The rows of the table: what each client is asked to do, and how it is known that it did it."""

from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

from benchmark.data import GIB, MIB, MID_FILES, SMALL, SMALL_FILES, UNCHANGED_FILES, Data

USUAL_CLIENTS = ["floor", "dd", "s5cmd", "rclone", "ma-cli", "ma-cli-none"]
CLIENTS = USUAL_CLIENTS + ["aws"]
LISTED_KEYS = 1_000_000
DURABLE = 4 * GIB
# What a download hands to a thread for writing, copy::budget::PIECE; dd gets the same.
DISK_BLOCK = 256 << 10


class Setting(NamedTuple):
    """How the store is started for a row."""

    tls: bool = False
    latency: int = 0
    """Milliseconds before every answer."""
    rate: int = 0
    """Megabytes a second and connection; 0 for no limit."""


class Site(NamedTuple):
    """Where everything is, for one run."""

    programs: Dict[str, Path]
    data: Data
    url: str
    address: str
    certificate: Optional[Path]
    out: Path
    """A new, empty folder."""
    disk: Path
    """A new, empty folder on a real disk."""

    def ma_cli(self, *words: object) -> list:
        trust = ["--ca-bundle", self.certificate] if self.certificate else []
        return [self.programs["ma-cli"], "obs-copy", *trust, *words]

    def s5cmd(self, *words: object) -> list:
        trust = ["--no-verify-ssl"] if self.certificate else []
        # What a copy did is not printed; what a listing found is what it is for.
        log = [] if words[0] == "ls" else ["--log", "error"]
        return [self.programs["s5cmd"], *log, *trust, *words]

    def rclone(self, *words: object) -> list:
        trust = ["--ca-cert", self.certificate] if self.certificate else []
        return [self.programs["rclone"], *trust, *words]

    def aws(self, *words: object) -> list:
        return [self.programs["aws"], "s3", *words]

    def floor(self, *words: object) -> list:
        trust = ["--tls", self.certificate] if self.certificate else []
        return [self.programs["floor"], self.address, *words, *trust]


class Outcome(NamedTuple):
    """What is known after a run, from the store and the disk."""

    counted: dict
    files: int
    bytes: int
    lines: int


class Row(NamedTuple):
    """One row."""

    name: str
    title: str
    commands: Callable[[Site], Dict[str, list]]
    done: Callable[[Outcome], bool]
    """Whether the work was done at all: nobody wins by leaving it out."""
    bytes: int = 0
    """What moves, for figures a GiB."""
    objects: int = 0
    """How many objects are looked at, for figures a thousand."""
    setting: Setting = Setting()
    needs: str = ""
    """The data of that name is made before and kept."""
    without: List[str] = []
    """Clients that have no place in the row."""
    rounds: int = 100
    """So many at most: others take long."""


def up(site: Site) -> Dict[str, list]:
    big = site.data.big()
    return {
        "floor": site.floor("up", big),
        "s5cmd": site.s5cmd("cp", big, "s3://bench/up/big"),
        "rclone": site.rclone("copyto", "--ignore-checksum", big, "s3:bench/up/big"),
        "aws": site.aws("cp", "--quiet", big, "s3://bench/up/big"),
        "ma-cli": site.ma_cli(big, "obs://bench/up/"),
        "ma-cli-none": site.ma_cli("--verify", "none", big, "obs://bench/up/"),
    }


def down(site: Site) -> Dict[str, list]:
    out, key = site.out / "big", f"bench/big/{GIB}"
    return {
        "floor": site.floor("down", out, GIB),
        "s5cmd": site.s5cmd("cp", f"s3://{key}", out),
        "rclone": site.rclone("copyto", "--ignore-checksum", f"s3:{key}", out),
        "aws": site.aws("cp", "--quiet", f"s3://{key}", out),
        "ma-cli": site.ma_cli(f"obs://{key}", out),
        "ma-cli-none": site.ma_cli("--verify", "none", f"obs://{key}", out),
    }


def plain(site: Site) -> Dict[str, list]:
    out, key = site.out / "big", f"bench/plain/{GIB}"
    return {
        "s5cmd": site.s5cmd("cp", f"s3://{key}", out),
        "rclone": site.rclone("copyto", f"s3:{key}", out),
        "ma-cli": site.ma_cli(f"obs://{key}", out),
    }


def put(site: Site) -> Dict[str, list]:
    return {"floor": site.floor("put", site.data.small()), **tree_up(site, site.data.small(), "small")}


def mid(site: Site) -> Dict[str, list]:
    return tree_up(site, site.data.mid(), "mid")


def tree_up(site: Site, folder: Path, name: str) -> Dict[str, list]:
    return {
        "s5cmd": site.s5cmd("cp", f"{folder}/", f"s3://bench/{name}/"),
        "rclone": site.rclone("copy", "--ignore-checksum", "--no-check-dest", "--transfers", "64", folder, f"s3:bench/{name}"),
        "aws": site.aws("cp", "--quiet", "--recursive", folder, f"s3://bench/{name}"),
        "ma-cli": site.ma_cli(f"{folder}/", f"obs://bench/{name}/"),
        "ma-cli-none": site.ma_cli("--verify", "none", f"{folder}/", f"obs://bench/{name}/"),
    }


def get(site: Site) -> Dict[str, list]:
    out, key = site.out, f"bench/synth/{SMALL_FILES}/{SMALL}"
    return {
        "floor": site.floor("get", out, SMALL_FILES, SMALL),
        "s5cmd": site.s5cmd("cp", f"s3://{key}/*", f"{out}/"),
        "rclone": site.rclone("copy", "--ignore-checksum", "--no-check-dest", "--transfers", "64", f"s3:{key}", out),
        "aws": site.aws("cp", "--quiet", "--recursive", f"s3://{key}/", out),
        "ma-cli": site.ma_cli(f"obs://{key}/", f"{out}/"),
        "ma-cli-none": site.ma_cli("--verify", "none", f"obs://{key}/", f"{out}/"),
    }


# With its defaults rclone asks for each object's own time, one request each; these two make it decide from the listing, as the
# others do.
FROM_LISTING = ["--update", "--use-server-modtime"]


def update_up(site: Site) -> Dict[str, list]:
    folder, key = site.data.unchanged(), f"bench/synth/{UNCHANGED_FILES}/{SMALL}"
    return {
        "s5cmd": site.s5cmd("sync", f"{folder}/", f"s3://{key}/"),
        "rclone": site.rclone("sync", *FROM_LISTING, folder, f"s3:{key}"),
        "ma-cli": site.ma_cli("--update", "--drop-last-dir", f"{folder}/", f"obs://{key}/"),
    }


def update_down(site: Site) -> Dict[str, list]:
    folder, key = site.data.unchanged(), f"bench/synth/{UNCHANGED_FILES}/{SMALL}"
    return {
        "s5cmd": site.s5cmd("sync", f"s3://{key}/*", f"{folder}/"),
        "rclone": site.rclone("sync", *FROM_LISTING, f"s3:{key}", folder),
        "ma-cli": site.ma_cli("--update", "--drop-last-dir", f"obs://{key}/", f"{folder}/"),
    }


def listing(site: Site) -> Dict[str, list]:
    key = f"bench/synth/{LISTED_KEYS}/{SMALL}"
    return {
        "s5cmd": site.s5cmd("ls", f"s3://{key}/*"),
        "rclone": site.rclone("lsf", "-R", f"s3:{key}"),
        "ma-cli": site.ma_cli(f"obs://{key}/", f"{site.out}/", "--dry-run", "-F", "jsonl"),
    }


def durable(site: Site) -> Dict[str, list]:
    block = ["if=/dev/zero", f"bs={DISK_BLOCK}", f"count={DURABLE // DISK_BLOCK}", "conv=fdatasync", "status=none"]
    return {
        "dd": ["/bin/dd", f"of={site.disk}/big", *block],
        "s5cmd": site.s5cmd("cp", f"s3://bench/big/{DURABLE}", site.disk / "big"),
        "ma-cli": site.ma_cli(f"obs://bench/big/{DURABLE}", site.disk / "big", "--durable"),
    }


def start(site: Site) -> Dict[str, list]:
    return {
        "s5cmd": [site.programs["s5cmd"], "version"],
        "rclone": [site.programs["rclone"], "version"],
        "ma-cli": [site.programs["ma-cli"], "--version"],
    }


def sent(count: int) -> Callable[[Outcome], bool]:
    return lambda outcome: outcome.counted["bytes_in"] >= count


def came(files: int, count: int) -> Callable[[Outcome], bool]:
    return lambda outcome: outcome.files == files and outcome.bytes == count


def untouched(outcome: Outcome) -> bool:
    """Listed to the end, and nothing copied."""
    counted = outcome.counted
    return counted["LIST"] >= UNCHANGED_FILES // 1000 and counted["PUT"] == 0 and counted["bytes_out"] == 0


SMALL_BYTES = SMALL * SMALL_FILES
FAR = Setting(latency=20, rate=40)
DISTANT = Setting(latency=20)

NEAR: List[Row] = [
    Row("up", "1 GiB up", up, sent(GIB), bytes=GIB, needs="big"),
    Row("down", "1 GiB down", down, came(1, GIB), bytes=GIB),
    Row("plain", "1 GiB down, with an MD5 to check", plain, came(1, GIB), bytes=GIB),
    Row("put", "5,000 × 4 KiB up", put, sent(SMALL_BYTES), objects=SMALL_FILES, needs="small"),
    Row("get", "5,000 × 4 KiB down", get, came(SMALL_FILES, SMALL_BYTES), objects=SMALL_FILES),
    Row("mid", "400 × 1 MiB up", mid, sent(MID_FILES * MIB), bytes=MID_FILES * MIB, needs="mid"),
]


def changed(row: Row, suffix: str, title: str, setting: Setting, without: List[str]) -> Row:
    return row._replace(name=f"{row.name}-{suffix}", title=f"{row.title}, {title}", setting=setting, without=without)


def near(*names: str) -> List[Row]:
    return [row for row in NEAR if row.name in names]


ROWS: List[Row] = [
    *NEAR,
    Row("update-up", "100,000 unchanged files, up", update_up, untouched, objects=UNCHANGED_FILES, needs="unchanged", rounds=3),
    Row("update-down", "100,000 unchanged files, down", update_down, untouched, objects=UNCHANGED_FILES, needs="unchanged", rounds=3),
    Row("list", "1,000,000 keys listed", listing, lambda outcome: outcome.lines >= LISTED_KEYS, objects=LISTED_KEYS, rounds=3),
    Row("durable", "4 GiB down, flushed to a disk", durable, came(1, DURABLE), bytes=DURABLE, without=["s5cmd"]),
    Row("start", "--version", start, lambda outcome: outcome.lines >= 1),
    *(changed(row, "tls", "TLS", Setting(tls=True), ["aws"]) for row in NEAR),
    *(changed(row, "far", "20 ms, 40 MB/s a connection", FAR, ["floor", "aws", "ma-cli-none"]) for row in near("up", "down")),
    *(changed(row, "far", "20 ms", DISTANT, ["floor", "aws", "ma-cli-none"]) for row in near("put", "get")),
]
