"""Figures of several rounds: median, spread, and how each unit is written."""

from statistics import median
from typing import NamedTuple

DISTURBED = 0.1  # share of a core used by somebody else that spoils a measure of load
MARK = " *"  # behind figures that were disturbed in every round
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
    """One figure over the rounds that nobody disturbed, or over all when each was disturbed."""

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
    """What others used of a core while the figure was taken; memory does not mind."""
    return figures.get(f"foreign_{key.rpartition('_')[2]}", 0)
