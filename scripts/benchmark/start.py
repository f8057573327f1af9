"""How large ma-cli is, and how long it takes from spawn to exit, beside others."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List

from benchmark import programs, report

WARM_UPS = 3
OTHERS = ("s5cmd", "rclone")


def run(binary: Path, runs: int, into_readme: bool) -> None:
    """Starts a platform, measures, stops it."""
    others = programs.peers(with_aws=False)
    with tempfile.TemporaryDirectory(prefix="ma-cli-bench-") as folder:
        environment = {"HOME": folder, "PATH": os.environ["PATH"], "MA_CLI_PLATFORM_DIR": folder + "/platform", "MA_CLI_PROFILE": "local"}
        print(f"{binary}, {runs} runs each, {os.cpu_count()} processors, milliseconds (least, median, most)")
        table = ["| | MiB | starts, ms | starts cold, ms |", "|---|--:|--:|--:|", line("`ma-cli --version`", binary, ["--version"], environment, runs)]
        table += [line(f"`{name} version`", others[name], ["version"], environment, runs) for name in OTHERS]
        subprocess.run([binary, "platform", "start"], env=environment, check=True, stdout=subprocess.DEVNULL)
        try:
            table.append(line("`ma-cli ma-job get-job`", binary, ["ma-job", "get-job"], environment, runs))
        finally:
            subprocess.run([binary, "platform", "stop"], env=environment, check=True, stdout=subprocess.DEVNULL)
    if into_readme:
        report.into_readme(programs.ROOT / "README.md", "start", "\n".join(table))


def line(name: str, binary: Path, arguments: List[str], environment: dict, runs: int) -> str:
    """Measures, prints the spread, gives a line of the table: the medians."""
    warm = [whole_process(binary, arguments, environment) for _ in range(WARM_UPS + runs)][WARM_UPS:]
    cold = [unread(binary, arguments, environment) for _ in range(runs)]
    size = binary.stat().st_size / 2**20
    print(f"{name:<26}{size:>8.1f} MiB   warm{spread(warm)}   cold{spread(cold)}", flush=True)
    return f"| {name} | {size:.1f} | {1000 * statistics.median(warm):.1f} | {1000 * statistics.median(cold):.1f} |"


def spread(times: List[float]) -> str:
    return "".join(f"{1000 * figure:>8.1f}" for figure in (min(times), statistics.median(times), max(times)))


def unread(binary: Path, arguments: List[str], environment: dict) -> float:
    """As the first run after a start of the machine: of a copy that nobody else runs, no page of which is in memory."""
    copy = Path(environment["HOME"]) / f"cold-{binary.name}"
    if not copy.exists():
        shutil.copy(binary, copy)
    with open(copy, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return whole_process(copy, arguments, environment)


def whole_process(binary: Path, arguments: List[str], environment: dict) -> float:
    """Seconds from spawn to exit; posix_spawn keeps the cost of this interpreter's own fork out of the figure."""
    null = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    started = time.perf_counter()
    process = os.posix_spawn(binary, [str(binary), *arguments], environment, file_actions=null)
    _, status = os.waitpid(process, 0)
    seconds = time.perf_counter() - started
    if os.WEXITSTATUS(status) != 0 or os.WIFSIGNALED(status):
        sys.exit(f"bench: {binary.name} {' '.join(arguments)} ended with status {status}")
    return seconds
