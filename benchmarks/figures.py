"""Figures of several rounds: median, spread, and how each unit is written. Per process."""

from statistics import median
from typing import NamedTuple

FORMATS = {
    "count": lambda value: f"{value:,.0f}",
    "tenths": lambda value: f"{value:,.1f}",
    "mib": lambda value: f"{value / 2**20:,.1f}",
}


class Column(NamedTuple):
    """A figure of a workload; `compared` ones are also shown as ratios to other servers."""

    key: str
    title: str
    unit: str
    compared: bool = False


class Spread(NamedTuple):
    """One figure over all rounds."""

    middle: float
    low: float
    high: float

    def text(self, unit):
        write = FORMATS[unit]
        middle, low, high = write(self.middle), write(self.low), write(self.high)
        return middle if low == high else f"{middle} ({low} to {high})"


def spread(samples, workload, server, key):
    """The figure's Spread, or None where no round has it."""
    values = [
        sample["figures"][key]
        for sample in samples
        if sample["workload"] == workload and sample["server"] == server and key in sample.get("figures", {})
    ]
    return Spread(median(values), min(values), max(values)) if values else None
