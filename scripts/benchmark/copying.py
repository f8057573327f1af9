"""The table: every row's clients side by side, in random order, one round after the other."""

import argparse
import itertools
import json
import os
import random
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Dict, List, Optional

from benchmark import data, measure, programs, report, rows, targets
from benchmark.store import Store

MEMORY = Path("/dev/shm")
TIME_LIMIT = 300.0
# Left free beside the data.
SPARE = 512 * data.MIB


def run(arguments: argparse.Namespace) -> None:
    """Builds, installs, measures, prints."""
    chosen = [row for row in rows.ROWS if not arguments.row or row.name in arguments.row]
    tools = {**programs.instruments(), **programs.peers("aws" in arguments.client), "ma-cli": programs.ma_cli(arguments.binary)}
    disk = (arguments.disk or programs.cache_directory()).resolve()
    disk.mkdir(parents=True, exist_ok=True)
    results: targets.Results = {}
    everything: Dict[str, Dict[str, List[measure.Run]]] = {}
    with tempfile.TemporaryDirectory(prefix="ma-cli-bench-", dir=MEMORY) as folder, tempfile.TemporaryDirectory(dir=disk) as on_disk:
        bench = Bench(tools, Path(folder), Path(on_disk), arguments)
        print(report.headline(tools["ma-cli"]), flush=True)
        for setting, group in itertools.groupby(chosen, key=lambda row: row.setting):
            group = list(group)
            with bench.store(setting) as store:
                for row in group:
                    runs = bench.row(row, store)
                    everything[row.name] = runs
                    results[row.name] = {client: median(found) for client, found in runs.items() if found}
                    print("\n".join(report.row(row, results[row.name], runs)), flush=True)
    print("\ntargets, as ratios of medians:")
    print("\n".join(targets.lines(results)))
    if arguments.markdown:
        print()
        print(report.markdown(chosen, results))
    if arguments.readme:
        report.into_readme(programs.ROOT / "README.md", "copy", report.markdown(chosen, results))
    if arguments.json:
        arguments.json.write_text(json.dumps(report.document(results, everything), indent=1) + "\n")


def median(runs: List[measure.Run]) -> measure.Run:
    return measure.Run(*(statistics.median(figures) for figures in zip(*runs)))


class Bench:
    """Folders, programs and choices of one invocation."""

    def __init__(self, tools: Dict[str, Path], folder: Path, disk: Path, arguments: argparse.Namespace) -> None:
        self.tools, self.folder, self.disk = tools, folder, disk
        self.clients, self.rounds = arguments.client, arguments.rounds
        self.data = data.Data(folder)
        self.tls: Optional[tuple] = None
        (folder / "home").mkdir()
        (folder / "home" / "aws").write_text("[default]\ns3 =\n  preferred_transfer_client = crt\n  addressing_style = path\n")

    def store(self, setting: rows.Setting) -> Store:
        flags = ["--latency-ms", str(setting.latency), "--rate-mb", str(setting.rate)]
        if setting.tls:
            self.tls = self.tls or data.certificate(self.folder)
            return Store(self.tools["null-store"], [*flags, "--tls", *map(str, self.tls)], self.tls[0])
        return Store(self.tools["null-store"], flags, None)

    def row(self, row: rows.Row, store: Store) -> Dict[str, List[measure.Run]]:
        """Runs by client; the first round warms up and does not count."""
        shortage = self.shortage(row)
        if shortage:
            print(f"{row.name}: left out, {shortage}", flush=True)
            return {}
        commands = row.commands(self.site(row, store, self.folder, self.disk))
        clients = [client for client in self.clients if client in commands and client not in row.without]
        runs: Dict[str, List[measure.Run]] = {client: [] for client in clients}
        for number in range(min(self.rounds, row.rounds) + 1):
            for client in random.sample(clients, len(clients)):
                try:
                    result = self.once(row, client, store)
                    if number > 0:
                        runs[client].append(result)
                except measure.Failed as failure:
                    print(f"{row.name}, {client}: {failure}", flush=True)
        others = {other.needs for other in rows.ROWS[rows.ROWS.index(row) + 1:]}
        if row.needs and row.needs not in others:
            self.data.forget(row.needs)
        return runs

    def once(self, row: rows.Row, client: str, store: Store) -> measure.Run:
        with tempfile.TemporaryDirectory(prefix="out-", dir=self.folder) as out, tempfile.TemporaryDirectory(dir=self.disk) as disk, \
                tempfile.TemporaryDirectory(prefix="said-", dir=self.folder) as said:
            site = self.site(row, store, Path(out), Path(disk))
            command = row.commands(site)[client]
            if row.name == "durable":
                os.sync()
            store.counted()
            result = measure.measure(command, self.environment(store, site), Path(said), TIME_LIMIT)
            files, size = (sum(figures) for figures in zip(weigh(Path(out)), weigh(Path(disk))))
            with open(f"{said}/stdout", "rb") as lines:
                count = sum(1 for _ in lines)
            outcome = rows.Outcome(store.counted(), files, size, count)
        if not row.done(outcome):
            raise measure.Failed(f"ended well, but the work was not done: {outcome}")
        return result

    def site(self, row: rows.Row, store: Store, out: Path, disk: Path) -> rows.Site:
        certificate = self.tls[0] if row.setting.tls and self.tls else None
        return rows.Site(self.tools, self.data, store.url, store.address, certificate, out, disk)

    def shortage(self, row: rows.Row) -> Optional[str]:
        """Why the row cannot run here."""
        if shutil.disk_usage(MEMORY).free < row.bytes * (row.name != "durable") + data.GIB + SPARE:
            return f"{MEMORY} has too little room"
        if row.name == "durable":
            kind = measure.which_filesystem(self.disk)
            if kind in ("tmpfs", "ramfs", None):
                return f"{self.disk} is not on a disk; see --disk"
            if shutil.disk_usage(self.disk).free < row.bytes + data.GIB:
                return f"{self.disk} has too little room"
        return None

    def environment(self, store: Store, site: rows.Site) -> dict:
        """Only what is said here: no configuration of the user's."""
        home = self.folder / "home"
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "NO_COLOR": "1",
            "MA_CLI_OBS_ENDPOINT": store.url, "HUAWEICLOUD_SDK_AK": "ak", "HUAWEICLOUD_SDK_SK": "sk",
            "REGION_NAME": "us-east-1", "PROJECT_ID": "p",
            "AWS_ACCESS_KEY_ID": "ak", "AWS_SECRET_ACCESS_KEY": "sk", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": store.url, "S3_ENDPOINT_URL": store.url,
            "AWS_CONFIG_FILE": str(home / "aws"),
            "RCLONE_CONFIG": str(home / "rclone.conf"), "RCLONE_CONFIG_S3_TYPE": "s3", "RCLONE_CONFIG_S3_PROVIDER": "Other",
            "RCLONE_CONFIG_S3_ACCESS_KEY_ID": "ak", "RCLONE_CONFIG_S3_SECRET_ACCESS_KEY": "sk",
            "RCLONE_CONFIG_S3_ENDPOINT": store.url, "RCLONE_CONFIG_S3_REGION": "us-east-1",
            "RCLONE_CONFIG_S3_FORCE_PATH_STYLE": "true",
        }
        if site.certificate:
            environment["AWS_CA_BUNDLE"] = str(site.certificate)
        return environment


def weigh(folder: Path) -> "tuple[int, int]":
    """Number and bytes of the files below the folder."""
    files = [Path(base) / name for base, _, names in os.walk(folder) for name in names]
    return len(files), sum(file.stat().st_size for file in files)
