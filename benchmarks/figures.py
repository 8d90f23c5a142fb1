"""Figures of several rounds: median, spread, and the format of each unit."""

from statistics import median
from typing import NamedTuple

DISTURBED = 0.1  # share of a core used by other processes that spoils a measurement of load
MARK = " *"  # after figures that were disturbed in every round
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
    """One figure over the undisturbed rounds, or over all if each was disturbed."""

    middle: float
    low: float
    high: float
    spoilt: bool = False

    def text(self, unit, spreads=True):
        write = FORMATS[unit]
        middle, low, high = write(self.middle), write(self.low), write(self.high)
        shown = f"{middle} ({low} to {high})" if spreads and low != high else middle
        return shown + MARK * self.spoilt


def spread(samples, workload, server, key):
    """The figure's Spread, or None where no round has it."""
    found = [
        sample["figures"]
        for sample in samples
        if sample["workload"] == workload and sample["server"] == server and key in sample.get("figures", {})
    ]
    calm = [figures[key] for figures in found if foreign(figures, key) <= DISTURBED]
    values = calm or [figures[key] for figures in found]
    return Spread(median(values), min(values), max(values), not calm) if values else None


def foreign(figures, key):
    """The share of a core that others used during the measurement; 0 for memory, which it does not affect."""
    return figures.get(f"foreign_{key.rpartition('_')[2]}", 0)
