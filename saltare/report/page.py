"""The report of `saltare memory` as one HTML page with embedded pictures."""

from html import escape

WIDTH, BAR, GAP, NAMES, FIGURES = 900, 22, 8, 270, 170  # units of the pictures
TURN = 47  # degrees between the colours of neighbours
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }
body { color: #222; background: #fff }
svg { width: 100%; height: auto; font: 13px system-ui, sans-serif; fill: currentColor }
table { border-collapse: collapse } td, th { padding: .15em 1em .15em 0; text-align: left }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } }
"""


def page(report):
    served = report.served
    name = escape(report.app)
    sections = [
        f"<h1>{name}: where its memory goes</h1>",
        "<p>All figures are MiB of resident memory (RSS); private is what belongs to the process alone, the rest is "
        "pages of files, which all processes share.</p>",
        "<h2>What imports take</h2>",
        stacked(report.parts),
        table(("", "RSS", "private", ""), [part_cells(row) for row in report.parts]),
        f"<h2>The server</h2><p>Of {mib(served.used.rss)} after {escape(report.asked)}, {mib(served.hot)} were touched "
        "by these; the rest is cold.</p>",
        bars(compared(report)),
    ]
    reasons = [(name, why) for name, _, why in report.others if why]
    if reasons:
        sections.append(table(("", ""), [(escape(name), escape(why)) for name, why in reasons]))
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>{name}: memory</title><style>{STYLE}</style>"
    return head + "\n".join(sections) + "</html>\n"


def compared(report):
    """(name, Amount) of every bar."""
    yield "idle", report.served.idle
    yield "after the sample load", report.served.used
    for name, weight, _ in report.others:
        if weight is not None:
            yield name, weight.used


def part_cells(row):
    return escape(row.name), mib(row.amount.rss), mib(row.amount.private), escape(row.note)


def table(head, rows):
    cells = [f"<tr>{''.join(cell('th', one) for one in head)}</tr>"]
    cells += [f"<tr>{''.join(cell('td', one) for one in row)}</tr>" for row in rows]
    return f"<table>{''.join(cells)}</table>"


def cell(tag, content):
    is_figure = content in ("RSS", "private") or content.replace(".", "").replace("-", "").isdigit()
    return f"<{tag}{' class=n' if is_figure else ''}>{content}</{tag}>"


# ---- pictures ------------------------------------------------------------------------------------------------------


def stacked(rows):
    """One bar of all parts, to scale; a part shows its name if it fits."""
    rows = [row for row in rows if row.amount.rss > 0]
    scale = WIDTH / max(sum(row.amount.rss for row in rows), 1)
    at, shapes = 0.0, []
    for number, row in enumerate(rows):
        width = row.amount.rss * scale
        title = f"<title>{escape(row.name)}: {mib(row.amount.rss)} MiB</title>"
        shapes.append(f"<rect x={at:.1f} y=0 width={width:.1f} height=48 fill='{colour(number)}'>{title}</rect>")
        if width > 9 * len(row.name):
            shapes.append(f"<text x={at + 5:.1f} y=29 fill='#000'>{escape(row.name)}</text>")
        at += width
    return picture(48, shapes)


def bars(rows):
    """A bar each: the private part dark, the shared part light."""
    rows = list(rows)
    scale = (WIDTH - NAMES - FIGURES) / max(*(amount.rss for _, amount in rows), 1)
    shapes = []
    for number, (name, amount) in enumerate(rows):
        y = number * (BAR + GAP)
        for width, shade in ((amount.rss * scale, "#9ec5fe"), (amount.private * scale, "#3b78d8")):
            shapes.append(f"<rect x={NAMES} y={y} width={width:.1f} height={BAR} fill='{shade}'/>")
        figures = f"{mib(amount.rss)}, private {mib(amount.private)}"
        shapes.append(f"<text x=0 y={y + 16}>{escape(name)}</text>")
        shapes.append(f"<text x={NAMES + amount.rss * scale + 8:.1f} y={y + 16}>{figures}</text>")
    return picture(len(rows) * (BAR + GAP), shapes)


def picture(height, shapes):
    return f"<svg viewBox='0 0 {WIDTH} {height}' role=img>{''.join(shapes)}</svg>"


def colour(number):
    return f"hsl({(205 + number * TURN) % 360} 60% 68%)"


def mib(kib):
    return f"{kib / 1024:.1f}"
