"""Reads metrics in Prometheus' text format, strictly: each family has its help and type first, and no sample comes twice."""

import re

SAMPLE = re.compile(r'([a-z_0-9]+)(?:\{([a-z]+)="([^"]*)"\})? (\S+)')


def parsed(text):
    """Metric -> value, or metric -> {label's value: value}."""
    kinds, helped, seen = {}, set(), {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped.add(line.split()[2])
            continue
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split()
            assert family in helped and family not in kinds, line
            kinds[family] = kind
            continue
        name, label, of, value = SAMPLE.fullmatch(line).groups()
        family = re.sub("_(bucket|sum|count)$", "", name) if name not in kinds else name
        assert kinds[family] in ("gauge", "counter", "histogram"), line
        assert (kinds[family] == "counter") == name.endswith("_total"), line
        if label is None:
            assert name not in seen, line
            seen[name] = float(value)
        else:
            values = seen.setdefault(name, {})
            assert of not in values, line
            values[of] = float(value)
    return seen


def scrape(client, path="/metrics"):
    reply = client.get(path).read_response()
    assert reply.status == 200
    assert reply.get("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    return parsed(reply.body.decode())
