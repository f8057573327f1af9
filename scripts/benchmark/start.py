"""How long ma-cli takes from spawn to exit."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WARM_UPS = 3


def run(binary: Path, runs: int) -> None:
    """Starts a platform, measures, stops it."""
    with tempfile.TemporaryDirectory(prefix="ma-cli-bench-") as folder:
        environment = {"HOME": folder, "PATH": os.environ["PATH"], "MA_CLI_PLATFORM_DIR": folder + "/platform", "MA_CLI_PROFILE": "local"}
        subprocess.run([binary, "platform", "start"], env=environment, check=True, stdout=subprocess.DEVNULL)
        try:
            report(binary, environment, runs)
        finally:
            subprocess.run([binary, "platform", "stop"], env=environment, check=True, stdout=subprocess.DEVNULL)


def report(binary: Path, environment: dict, runs: int) -> None:
    print(f"{binary}, {runs} runs each, {os.cpu_count()} processors, milliseconds")
    print(f"the program: {binary.stat().st_size / 2**20:.1f} MiB")
    print(f"{'command':<24}{'min':>8}{'median':>8}{'max':>8}")
    for arguments in (["--version"], ["ma-job", "get-job"]):
        times = [whole_process(binary, arguments, environment) for _ in range(WARM_UPS + runs)][WARM_UPS:]
        show("ma-cli " + " ".join(arguments), times)
    show("ma-cli --version, cold", [cold(binary, environment) for _ in range(runs)])


def show(name: str, times: list) -> None:
    figures = (min(times), statistics.median(times), max(times))
    print(f"{name:<24}" + "".join(f"{1000 * figure:>8.1f}" for figure in figures))


def cold(binary: Path, environment: dict) -> float:
    """As the first run after a start of the machine: of a copy that nobody else runs, no page of which is in memory."""
    copy = Path(environment["HOME"]) / "cold"
    if not copy.exists():
        shutil.copy(binary, copy)
    with open(copy, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return whole_process(copy, ["--version"], environment)


def whole_process(binary: Path, arguments: list, environment: dict) -> float:
    """Seconds from spawn to exit; posix_spawn keeps the cost of this interpreter's own fork out of the figure."""
    null = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    started = time.perf_counter()
    process = os.posix_spawn(binary, [str(binary), *arguments], environment, file_actions=null)
    _, status = os.waitpid(process, 0)
    seconds = time.perf_counter() - started
    if os.WEXITSTATUS(status) != 0 or os.WIFSIGNALED(status):
        sys.exit(f"bench: ma-cli {' '.join(arguments)} ended with status {status}")
    return seconds
