"""Markdown from the figures of a run: all tables, or the top-level README's summary and pictures."""

import argparse
import json
import sys
from pathlib import Path

from figures import DISTURBED, MARK, Column, spread
from plots import pictures
from workloads import WORKLOADS

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
MARKS = ("<!-- bench -->", "<!-- /bench -->")
REFERENCES = {"uvicorn[standard]": "vs uvicorn[standard]", "nginx": "vs nginx"}
SUMMARY = [
    ("idle", Column("fast_rss", "FastAPI idle, RSS MiB", "mib")),
    ("idle", Column("fast_private", "private MiB", "mib")),
    ("fastapi", Column("rps_64", "FastAPI requests/s", "count", True)),
    ("raw", Column("rps_64", "raw ASGI requests/s", "count", True)),
    ("raw", Column("cpu_64", "CPU us per raw request", "tenths")),
    ("workers", Column("pss", "4 workers, Pss MiB", "mib")),
    ("connections", Column("rss_5000", "bytes per idle connection", "count")),
]


def full(results):
    """The whole page."""
    parts = ["# Benchmark results", about(results)]
    for name, workload in WORKLOADS.items():
        if any(sample["workload"] == name for sample in results["samples"]):
            parts += [f"## {workload.TITLE}", *workload_tables(results, name, workload)]
    return "\n\n".join([*parts, servers_table(results), ""])


def about(results):
    lines = [f"- {name}: {value}" for name, value in results["about"].items()]
    return "\n".join(["Medians of the rounds (lowest to highest).", "", *lines])


def workload_tables(results, name, workload):
    for caption, columns in workload.TABLES:
        pairs = [(name, column) for column in columns if measured(results, name, column)]
        if pairs:
            yield f"**{workload.TITLE}: {caption}**\n\n{table(results, pairs)}"
    problems = [*errors(results, name), *failed_requests(results, name), *disturbed(results, name)]
    if problems:
        yield "\n".join(f"- {line}" for line in dict.fromkeys(problems))


def measured(results, name, column):
    return any(column.key in sample.get("figures", {}) for sample in results["samples"] if sample["workload"] == name)


def errors(results, name):
    for sample in results["samples"]:
        if sample["workload"] == name and "error" in sample:
            yield f"{sample['server']}, round {sample['round']}: {sample['error']}"


def failed_requests(results, name):
    """Failed requests, which wrk counts and the tables cannot show."""
    for where, level, value in by_level(results, name, "errors_"):
        if value:
            yield f"{where}: {value:,} failed requests at {level} connections"


def disturbed(results, name):
    """How many measurements the medians leave out, and the meaning of the mark."""
    shares = [value for _, _, value in by_level(results, name, "foreign_")]
    spoilt = sum(value > DISTURBED for value in shares)
    if spoilt:
        yield (
            f"during {spoilt} of {len(shares)} measures somebody else used over {DISTURBED:.0%} of a core: they are "
            f"left out, or marked{MARK} where no other is there"
        )


def by_level(results, name, prefix):
    for sample in results["samples"]:
        for key, value in sample.get("figures", {}).items():
            if sample["workload"] == name and key.startswith(prefix):
                yield f"{sample['server']}, round {sample['round']}", key.removeprefix(prefix), value


def table(results, columns, spreads=True):
    """Rows are servers; a compared column is followed by its ratios to the reference servers."""
    titles = ["server"]
    for name, column in columns:
        titles += [column.title, *(REFERENCES[other] for other in references(results, name, column))]
    lines = [titles, ["---"] + ["---:"] * (len(titles) - 1)]
    for server in results["servers"]:
        if any(figure(results, server, *pair) for pair in columns):
            lines.append(row(results, server, columns, spreads))
        elif reason := failure(results, server, columns):
            lines.append([server, reason] + [""] * (len(titles) - 2))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def references(results, name, column):
    """The servers a column is compared with: those that were measured."""
    return [other for other in REFERENCES if column.compared and figure(results, other, name, column)]


def figure(results, server, name, column):
    return spread(results["samples"], name, server, column.key)


def row(results, server, columns, spreads):
    cells = [server]
    for name, column in columns:
        own = figure(results, server, name, column)
        cells.append(own.text(column.unit, spreads) if own else "")
        cells += [ratio(own, figure(results, other, name, column)) for other in references(results, name, column)]
    return cells


def ratio(own, base):
    if not own or not base.middle:
        return ""
    return f"{own.middle / base.middle:.2f}" + MARK * (own.spoilt or base.spoilt)


def failure(results, server, columns):
    """Why a server has no figures; None when it does not take part at all."""
    if "error" in results["servers"][server]:
        return results["servers"][server]["error"]
    workloads = [name for name, _ in columns]
    for sample in results["samples"]:
        if sample["server"] == server and sample["workload"] in workloads and "error" in sample:
            return sample["error"]
    return None


def servers_table(results):
    lines = ["## Servers", "", "| server | version | started as |", "|---|---|---|"]
    for name, facts in results["servers"].items():
        how = facts.get("error") or f"`{facts['command']}`"
        lines.append(f"| {name} | {facts.get('version', '')} | {how} |")
    return "\n".join(lines)


def summary(results):
    columns = [pair for pair in SUMMARY if measured(results, *pair)]
    facts = results["about"]
    note = (
        f"Python {facts['Python']}, one process on one core, wrk on another, 64 connections, "
        f"medians of {facts['rounds']} rounds. All figures: "
        "[benchmarks/results/latest.md](benchmarks/results/latest.md)."
    )
    shown = "\n".join(f"![{name}](benchmarks/results/{name}.svg)" for name in pictures(results))
    return f"{table(results, columns, spreads=False)}\n\n{note}\n\n{shown}"


def inject(text, page):
    """The page with the text between the marks replaced. ValueError when a mark is missing."""
    start, end = (page.index(mark) for mark in MARKS)
    return f"{page[: start + len(MARKS[0])]}\n{text}\n{page[end:]}"


def main():
    parser = argparse.ArgumentParser(description="Markdown out of the figures of a run.")
    parser.add_argument("results", nargs="?", type=Path, default=HERE / "results/latest.json")
    parser.add_argument("--readme", action="store_true", help="put the summary into README.md, draw its pictures")
    options = parser.parse_args()
    results = json.loads(options.results.read_text())
    if options.readme:
        if MARK in summary(results):
            sys.exit("not for the README: figures marked * were disturbed in every round, run again on a calm machine")
        README.write_text(inject(summary(results), README.read_text()))
        for name, drawn in pictures(results).items():
            (HERE / f"results/{name}.svg").write_text(drawn)
    else:
        print(full(results))


if __name__ == "__main__":
    main()
