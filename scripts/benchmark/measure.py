"""One run of one program: seconds, processor seconds, peak memory."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import List, NamedTuple, Optional

# Runs in an interpreter of its own with nothing loaded: the peak of a process is at least that of the one that started it.
LAUNCHER = """
import os, sys, time
files = [(os.POSIX_SPAWN_OPEN, number, path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) for number, path in ((1, sys.argv[1]), (2, sys.argv[2]))]
files.append((os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0))
started = time.perf_counter()
process = os.posix_spawn(sys.argv[3], sys.argv[3:], os.environ, file_actions=files)
_, status, used = os.wait4(process, 0)
seconds = time.perf_counter() - started
print(status, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


class Run(NamedTuple):
    """What one run took."""

    seconds: float
    processor: float
    """Seconds of all processors, user and system."""
    peak: float
    """MiB."""


class Failed(Exception):
    """The run does not count; why."""


def measure(command: List[str], environment: dict, folder: Path, limit: float) -> Run:
    """Runs the command; its output goes to the files `stdout` and `stderr` in the folder."""
    words = [str(word) for word in command]
    errors = folder / "stderr"
    launcher = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", LAUNCHER, str(folder / "stdout"), str(errors), *words],
        env=environment, stdout=subprocess.PIPE, start_new_session=True,
    )
    try:
        output, _ = launcher.communicate(timeout=limit)
    except BaseException as reason:
        os.killpg(launcher.pid, signal.SIGKILL)
        launcher.wait()
        if isinstance(reason, subprocess.TimeoutExpired):
            raise Failed(f"took more than {limit:.0f} s")
        raise
    if launcher.returncode != 0:
        raise Failed(f"{words[0]} could not be started")
    status, seconds, processor, peak = output.decode().split()
    if status != "0":
        said = errors.read_text(errors="replace").strip().splitlines()
        raise Failed(f"ended with status {describe(int(status))}: {' / '.join(said[-3:])[-400:]}")
    return Run(float(seconds), float(processor), float(peak))


def describe(status: int) -> str:
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else str(os.WEXITSTATUS(status))


def which_filesystem(path: Path) -> Optional[str]:
    """The type of the file system that the path is on."""
    best, kind = "", None
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, name = line.split()[:3]
        inside = point == "/" or str(path) == point or str(path).startswith(point + "/")
        if inside and len(point) >= len(best):
            best, kind = point, name
    return kind
