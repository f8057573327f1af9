"""The table as text, as Markdown and as JSON."""

import os
import platform
from pathlib import Path
from typing import Dict, List, Optional

from benchmark.data import GIB
from benchmark.measure import Run
from benchmark.rows import Row
from benchmark.targets import TARGETS, Results

END = "<!-- end -->"


def headline(binary: Path) -> str:
    return (
        f"{binary}, {os.cpu_count()} processors, {platform.machine()}; medians\n"
        f"{'row':<12}{'client':<12}{'wall s':>9}{'cpu s':>9}{'cpu per':>17}{'peak MiB':>10}{'x s5cmd':>9}{'x rclone':>10}{'of floor':>10}"
    )


def row(row: Row, medians: Dict[str, Run], runs: Dict[str, List[Run]]) -> List[str]:
    """One line a client: seconds, processor seconds, peak; how many times as fast as others; times the floor's time."""
    lines = []
    for client in runs:
        run = medians.get(client)
        if run is None:
            lines.append(f"{row.name:<12}{client:<12}   failed")
            continue
        lines.append(
            f"{row.name:<12}{client:<12}{run.seconds:>9.3f}{run.processor:>9.3f}{cost(row, run):>17}{run.peak:>10.1f}"
            f"{number(ratio(medians, 's5cmd', client)):>9}{number(ratio(medians, 'rclone', client)):>10}"
            f"{number(over(medians, client)):>10}"
        )
    return lines


def cost(row: Row, run: Run) -> str:
    """Processor seconds for a GiB, or for a thousand objects."""
    if row.bytes:
        return f"{run.processor * GIB / row.bytes:.3f} /GiB"
    if row.objects:
        return f"{run.processor * 1000 / row.objects:.4f} /1000"
    return "-"


def ratio(medians: Dict[str, Run], other: str, client: str) -> Optional[float]:
    """How many times as fast as the other."""
    return medians[other].seconds / medians[client].seconds if other in medians and client in medians else None


def over(medians: Dict[str, Run], client: str) -> Optional[float]:
    """Times the time of the least there is: the floor, or dd."""
    least = medians.get("floor") or medians.get("dd")
    return medians[client].seconds / least.seconds if least and client in medians else None


def number(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:.2f}"


def markdown(chosen: List[Row], results: Results) -> str:
    """The table for README.md: seconds, ratios, what it cost and what was asked for."""
    lines = [
        "| | floor | s5cmd | rclone | ma-cli | times as fast as s5cmd | times the floor | CPU s | peak MiB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in chosen:
        medians = results.get(row.name, {})
        for client in ("ma-cli", "ma-cli-none"):
            if client not in medians or (client == "ma-cli-none" and not is_target(row.name, client)):
                continue
            title = row.title + (", `--verify none`" if client == "ma-cli-none" else "")
            least = medians.get("floor") or medians.get("dd")
            seconds = [f"{run.seconds:.2f}" if run else "–" for run in (least, medians.get("s5cmd"), medians.get("rclone"), medians[client])]
            ratios = [f"{value:.2f}" if value else "–" for value in (ratio(medians, "s5cmd", client), over(medians, client))]
            figures = [f"{cost(row, medians[client])}".replace("-", "–").replace(" ", ""), f"{medians[client].peak:.0f}"]
            lines.append(f"| {title} | {' | '.join([*seconds, *ratios, *figures])} |")
    return "\n".join(lines)


def into_readme(path: Path, subject: str, table: str) -> None:
    """Replaces what stands between the two marks of that subject."""
    text = path.read_text()
    mark = f"<!-- scripts/bench {subject} --readme: begin -->"
    begin = text.index(mark) + len(mark)
    # Other parts of the file end with the same mark.
    end = text.index(END, begin)
    path.write_text(f"{text[:begin]}\n{table}\n{text[end:]}")


def is_target(name: str, client: str) -> bool:
    return any(target.row == name and target.client == client for target in TARGETS)


def document(results: Results, everything: Dict[str, Dict[str, List[Run]]]) -> dict:
    """Medians, every run, and every target's figure and verdict."""
    return {
        "machine": {"processors": os.cpu_count(), "architecture": platform.machine(), "kernel": platform.release()},
        "rows": {
            name: {client: {"median": run._asdict(), "runs": [one._asdict() for one in everything[name][client]]} for client, run in clients.items()}
            for name, clients in results.items()
        },
        "targets": [
            {**target._asdict(), "figure": target.figure(results), "verdict": target.verdict(results)}
            for target in TARGETS if target.row in results
        ],
    }
