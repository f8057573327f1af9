"""Training jobs on a platform of the benchmark's own: how soon a job speaks, how many can be queued, how a long log is followed,
how long a list takes. Each row says what is asked of it."""

import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

from benchmark.measure import Failed, measure

ROWS = ("first-line", "queue", "follow", "list")

JOB = """framework-type: Python
framework-version: python-3-local
code-dir: obs://bench/code/
boot-file: {boot}
train-instance-type: modelarts.vm.cpu.1u
"""

TRIES = 20
"""How often one job is submitted before the row fails."""

SPEAK = "print('first line', flush=True)\n"

# Leaves a file of its own for each time that it runs.
MARK = """import os, sys, tempfile
folder = [word.split("=", 1)[1] for word in sys.argv if word.startswith("--marks=")][0]
name = [word.split("=", 1)[1] for word in sys.argv if word.startswith("--mark=")][0]
os.close(tempfile.mkstemp(prefix=name + ".", dir=folder)[0])
"""

# So many lines at an even pace.
TALK = """import sys, time
lines, seconds = 200_000, 10
began = time.monotonic()
for line in range(lines):
    if line % 500 == 0:
        sys.stdout.flush()
        time.sleep(max(0, began + seconds * line / lines - time.monotonic()))
    print("line", line, "of a log that is long and goes on")
"""


class Figure(NamedTuple):
    """What was measured."""

    row: str
    what: str
    value: str
    target: str
    is_met: Optional[bool]


class Platform:
    """A platform of one's own, in a folder that is removed."""

    def __init__(self, binary: Path, folder: Path):
        self.binary, self.folder = binary, folder
        self.environment = {
            "HOME": str(folder), "PATH": os.environ["PATH"], "MA_CLI_PLATFORM_DIR": str(folder / "platform"), "MA_CLI_PROFILE": "local",
        }

    def __enter__(self) -> "Platform":
        self.start()
        code = self.folder / "code"
        code.mkdir()
        for name, text in (("speak.py", SPEAK), ("mark.py", MARK), ("talk.py", TALK)):
            (code / name).write_text(text)
            (self.folder / name.replace(".py", ".yaml")).write_text(JOB.format(boot=name))
        self.run("obs", "mb", "obs://bench")
        self.run("obs-copy", str(code), "obs://bench/")
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def start(self) -> None:
        self.run("platform", "start")

    def stop(self) -> None:
        subprocess.run([self.binary, "platform", "stop"], env=self.environment, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        """Without giving it a chance."""
        os.kill(json.loads(self.run("platform", "status", "-F", "json"))["pid"], signal.SIGKILL)

    def try_to(self, *arguments: str) -> subprocess.CompletedProcess:
        command = [str(self.binary), *arguments]
        return subprocess.run(command, env=self.environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def run(self, *arguments: str) -> str:
        done = self.try_to(*arguments)
        if done.returncode != 0:
            raise Failed(f"ma-cli {' '.join(arguments)}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode()

    def submit(self, name: str, *options: str) -> str:
        return self.run("ma-job", "submit", name, "-q", "--query", "metadata.id", *options).strip()


def run(binary: Path, chosen: List[str], rounds: int, jobs: int, listed: int) -> None:
    """Measures the rows and prints the table."""
    rows: Dict[str, Callable[[Platform], List[Figure]]] = {
        "first-line": lambda platform: first_line(platform, rounds),
        "queue": lambda platform: queue(platform, jobs),
        "follow": follow,
        "list": lambda platform: long_list(platform, listed),
    }
    figures: List[Figure] = []
    for name in chosen:
        # Each row has a platform of its own: jobs of another would be in its way.
        with tempfile.TemporaryDirectory(prefix="ma-cli-bench-") as folder:
            try:
                with Platform(binary, Path(folder)) as platform:
                    figures += rows[name](platform)
            except Failed as reason:
                figures.append(Figure(name, "", "failed", str(reason), False))
        print(f"{name}: done", file=sys.stderr, flush=True)
    print(f"{binary}, {os.cpu_count()} processors")
    print(f"{'row':<12}{'what':<52}{'figure':>22}   {'target':<28}")
    for figure in figures:
        verdict = "" if figure.is_met is None else "met" if figure.is_met else "MISSED"
        print(f"{figure.row:<12}{figure.what:<52}{figure.value:>22}   {figure.target:<24}{verdict}")


def first_line(platform: Platform, rounds: int) -> List[Figure]:
    """From the start of `submit --follow` to the first line of the script on its standard output."""
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        command = [str(platform.binary), "ma-job", "submit", "speak.yaml", "--follow"]
        with subprocess.Popen(command, env=platform.environment, cwd=platform.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            for line in process.stdout:
                if line == b"first line\n":
                    times.append(time.perf_counter() - began)
        if process.returncode != 0 or not times:
            raise Failed(f"submit --follow ended with {process.returncode}")
    times = times[1:]
    middle = statistics.median(times)
    value = f"{1000 * middle:.0f} ms ({1000 * min(times):.0f}-{1000 * max(times):.0f})"
    return [Figure("first-line", f"submit to first log line, median of {len(times)}", value, "under 300 ms", middle < 0.3)]


def queue(platform: Platform, jobs: int) -> List[Figure]:
    """Queues jobs from four processes while the platform is killed twice; each must run once."""
    marks = platform.folder / "marks"
    marks.mkdir()
    done, lock = [0], threading.Lock()
    # The moments of the two kills: a third and two thirds of the jobs are queued.
    kills = {jobs // 3, 2 * jobs // 3}
    up = threading.Event()
    up.set()

    def one(number: int) -> None:
        name = f"job-{number:05}"
        parameters = f"marks={marks} mark={name}"
        for attempt in range(TRIES):
            submitted = platform.try_to("ma-job", "submit", "mark.yaml", "-q", "--name", name, "--parameters", parameters)
            if submitted.returncode == 0:
                break
            if attempt + 1 == TRIES:
                raise Failed(submitted.stderr.decode(errors="replace").strip())
            up.wait(60)
            # It may have been accepted just before the end: asked before it is sent again.
            found = platform.try_to("ma-job", "get-job", "-n", name, "--query", "length([])")
            if found.returncode == 0 and found.stdout.strip() != b"0":
                break
        with lock:
            done[0] += 1
            is_time = done[0] in kills
            if is_time:
                up.clear()
                platform.kill()
        if is_time:
            platform.start()
            up.set()

    began = time.perf_counter()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(jobs)))
    queued = time.perf_counter() - began
    deadline = time.monotonic() + 60 + jobs
    while True:
        pages = [json.loads(platform.run("ma-job", "get-job", "-ps", "50", "-pn", str(page + 1), "--query", "[].status.phase")) for page in range((jobs + 49) // 50)]
        phases = [phase for page in pages for phase in page]
        if all(phase in ("Completed", "Failed", "Terminated", "Abnormal") for phase in phases):
            break
        if time.monotonic() > deadline:
            raise Failed(f"jobs have not ended: {len(phases)}")
        time.sleep(1)
    ended = time.perf_counter() - began
    times: Dict[str, int] = {}
    for mark in marks.iterdir():
        name = mark.name.split(".")[0]
        times[name] = times.get(name, 0) + 1
    once = sum(1 for count in times.values() if count == 1)
    completed = phases.count("Completed")
    is_whole = len(phases) == once == completed == jobs and len(times) == jobs
    return [
        Figure("queue", f"{jobs} jobs queued by four processes, platform killed twice", f"{queued:.1f} s", f"under {20 * jobs / 1000:g} s", queued < 20 * jobs / 1000),
        Figure("queue", "jobs listed / completed / ran once", f"{len(phases)} / {completed} / {once}", f"{jobs} of each", is_whole),
        Figure("queue", "until the last has ended", f"{ended:.1f} s", "", None),
    ]


def follow(platform: Platform) -> List[Figure]:
    """Follows a job that prints 200,000 lines in 10 s."""
    job = platform.submit("talk.yaml")
    output = platform.folder / "output"
    output.mkdir()
    followed = measure([platform.binary, "ma-job", "get-log", "-f", "--no-system", "-i", job], platform.environment, output, 120)
    with (output / "stdout").open() as stream:
        is_whole = all(line == f"line {number} of a log that is long and goes on\n" for number, line in zip(range(200_000), stream))
        is_whole = is_whole and not stream.readline()
    lines = sum(1 for _ in (output / "stdout").open())
    return [
        Figure("follow", "200,000 lines in 10 s: every line once and in order", f"{lines} lines", "all", is_whole and lines == 200_000),
        Figure("follow", "peak memory of the client", f"{followed.peak:.1f} MiB", "under 64 MiB", followed.peak < 64),
        Figure("follow", "processor time of the client / wall time", f"{followed.processor:.2f} / {followed.seconds:.1f} s", "", None),
    ]


def long_list(platform: Platform, listed: int) -> List[Figure]:
    """Lists many jobs. They are put into the state file of a platform that is stopped, as copies of one that ran."""
    job = platform.submit("speak.yaml")
    platform.run("ma-job", "wait", job)
    platform.stop()
    with sqlite3.connect(platform.folder / "platform" / "state.sqlite") as state:
        # Columns that are computed from others are not among these.
        columns = [row[1] for row in state.execute("PRAGMA table_info(document)")]
        names = ", ".join(columns)
        row = dict(zip(columns, state.execute(f"SELECT {names} FROM document WHERE kind = 'training-job'").fetchone()))
        copies = []
        for number in range(listed - 1):
            body = json.loads(row["body"])
            name = str(uuid.UUID(int=number))
            body["metadata"].update(id=name, name=f"copy-{number}")
            copies.append([{**row, "id": name, "body": json.dumps(body)}[column] for column in columns])
        state.executemany(f"INSERT INTO document ({names}) VALUES ({', '.join('?' * len(columns))})", copies)
    state.close()
    platform.start()
    command = [str(platform.binary), "ma-job", "get-job", "--all"]
    times = []
    for _ in range(6):
        began = time.perf_counter()
        with (platform.folder / "list").open("wb") as stream:
            done = subprocess.run([*command, "-F", "jsonl"], env=platform.environment, stdout=stream, stderr=subprocess.PIPE)
        times.append(time.perf_counter() - began)
        if done.returncode != 0:
            raise Failed(done.stderr.decode(errors="replace").strip().splitlines()[-1])
    lines = sum(1 for _ in (platform.folder / "list").open())
    middle = statistics.median(times[1:])
    is_met = middle < 1 and lines == listed
    return [Figure("list", f"get-job --all over {listed} jobs, median of 5", f"{middle:.2f} s, {lines} jobs", "under 1 s", is_met)]
