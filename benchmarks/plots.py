"""Pictures of a run for the top-level README: one bar for each server, the best first."""

from xml.sax.saxutils import escape

from figures import FORMATS, Column, spread

PICTURES = {
    "memory": [
        ("FastAPI, idle, one process: RSS in MiB", "idle", Column("fast_rss", "", "mib"), False),
        ("FastAPI, idle, four workers: Pss of all processes in MiB", "workers", Column("pss", "", "mib"), False),
        ("An idle connection, of 5,000: bytes", "connections", Column("rss_5000", "", "count"), False),
    ],
    "speed": [
        ("FastAPI, 64 connections: requests per second", "fastapi", Column("rps_64", "", "count"), True),
        ("Raw ASGI, 64 connections: requests per second", "raw", Column("rps_64", "", "count"), True),
    ],
}
OURS = ("saltare", "saltare-parked", "saltare-OO")
WIDTH, LABEL, VALUE, ROW, HEAD = 720, 150, 90, 22, 34  # pixels
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; }
.value { font-variant-numeric: tabular-nums; }
rect { fill: #9aa4b2; }
.ours { fill: #0f766e; }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } rect { fill: #57606a; } .ours { fill: #2dd4bf; } }
"""


def pictures(results):
    """{name: SVG}, of the workloads that were measured."""
    found = {name: [chart(results, *row) for row in rows] for name, rows in PICTURES.items()}
    return {name: picture([one for one in charts if one]) for name, charts in found.items() if any(charts)}


def chart(results, title, workload, column, most_first):
    """(title, [(server, value, text)]), or None where nothing was measured."""
    bars = []
    for server in results["servers"]:
        figure = spread(results["samples"], workload, server, column.key)
        if figure and server not in ("floor", "nginx"):
            bars.append((server, figure.middle, FORMATS[column.unit](figure.middle)))
    return (title, sorted(bars, key=lambda bar: bar[1], reverse=most_first)) if bars else None


def picture(charts):
    parts, top = [], 0
    for title, bars in charts:
        parts.append(f'<text class="title" x="0" y="{top + 18}">{escape(title)}</text>')
        top += HEAD
        most = max(value for _, value, _ in bars)
        for server, value, text in bars:
            parts.append(bar(top, server, value / most, text))
            top += ROW
        top += ROW
    size = f'width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', f"<style>{STYLE}</style>", *parts, "</svg>\n"]
    return "\n".join(lines)


def bar(top, server, share, text):
    length = max(1, round(share * (WIDTH - LABEL - VALUE)))
    ours = ' class="ours"' if server in OURS else ""
    return (
        f'<text x="0" y="{top + 14}">{escape(server)}</text>'
        f'<rect{ours} x="{LABEL}" y="{top + 2}" width="{length}" height="{ROW - 6}" rx="2"/>'
        f'<text class="value" x="{LABEL + length + 6}" y="{top + 14}">{text}</text>'
    )
