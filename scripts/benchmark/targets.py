"""What the copier is held to, and whether a run of the table shows it."""

from typing import Dict, List, NamedTuple, Optional

from benchmark.measure import Run

PEAK = 64.0
"""MiB that no row may exceed."""

OURS = ("ma-cli", "ma-cli-none")

Results = Dict[str, Dict[str, Run]]
"""Medians by row and client."""


class Target(NamedTuple):
    """At least that many times as fast as another, or at most that many times its time."""

    row: str
    client: str
    other: str
    bound: float
    reach: Optional[float] = None
    is_most: bool = False

    def describe(self) -> str:
        def words(bound: float) -> str:
            return f"at most {bound:g} times its time" if self.is_most else f"at least {bound:g} times as fast"

        reach = f", reach for {self.reach:g}" if self.reach else ""
        return f"{words(self.bound)} as {self.other}{reach}" if not self.is_most else f"{words(self.bound)} ({self.other}){reach}"

    def figure(self, results: Results) -> Optional[float]:
        row = results.get(self.row, {})
        if self.client not in row or self.other not in row:
            return None
        ours, theirs = row[self.client].seconds, row[self.other].seconds
        return ours / theirs if self.is_most else theirs / ours

    def verdict(self, results: Results) -> str:
        figure = self.figure(results)
        if figure is None:
            return "not measured"
        if not self.holds(figure, self.bound):
            return "MISSED"
        return "met, and reached" if self.reach and self.holds(figure, self.reach) else "met"

    def holds(self, figure: float, bound: float) -> bool:
        return figure <= bound if self.is_most else figure >= bound


def faster(row: str, other: str, bound: float, reach: Optional[float] = None, client: str = "ma-cli") -> Target:
    return Target(row, client, other, bound, reach)


def within(row: str, other: str, bound: float, reach: Optional[float] = None, client: str = "ma-cli") -> Target:
    return Target(row, client, other, bound, reach, is_most=True)


TARGETS: List[Target] = [
    faster("put", "s5cmd", 6, 9),
    within("put", "floor", 2.0, 1.4),
    faster("get", "s5cmd", 6, 9),
    within("get", "floor", 2.0, 1.4),
    faster("up", "s5cmd", 3, client="ma-cli-none"),
    within("up", "floor", 1.25, client="ma-cli-none"),
    faster("up", "s5cmd", 1.3, 2.5),
    faster("down", "s5cmd", 1.1),
    within("down", "floor", 1.15),
    faster("plain", "s5cmd", 1),
    faster("mid", "s5cmd", 2),
    faster("up-far", "s5cmd", 5),
    faster("down-far", "s5cmd", 5),
    faster("put-far", "s5cmd", 2),
    faster("get-far", "s5cmd", 2),
    *(faster(row, peer, 3) for row in ("update-up", "update-down") for peer in ("s5cmd", "rclone")),
    faster("list", "s5cmd", 2),
    *(faster(f"{row}-tls", "s5cmd", 1) for row in ("up", "down", "plain", "put", "get", "mid")),
    within("durable", "dd", 1.15),
]


def lines(results: Results) -> List[str]:
    """Every target that has something to do with what was measured, and the peak of memory."""
    found = []
    for target in TARGETS:
        if target.row in results:
            figure = target.figure(results)
            shown = "-" if figure is None else f"{figure:.2f}"
            found.append(f"{target.verdict(results):<18}{target.row:<12}{target.client:<12}{shown:>7}  {target.describe()}")
    peaks = [(run.peak, row, client) for row, clients in results.items() for client, run in clients.items() if client in OURS]
    if peaks:
        peak, row, client = max(peaks)
        verdict = "met" if peak < PEAK else "MISSED"
        found.append(f"{verdict:<18}{'every row':<12}{'ma-cli':<12}{peak:>7.1f}  peak memory below {PEAK:g} MiB (most: {row}, {client})")
    return found
