"""Does saltare read every case of the corpus as strictly as its peers, or give a reason?"""

import difflib

import pytest

import differences
import readings
from readings import Reading


@pytest.fixture(scope="module")
def everybody(tmp_path_factory):
    return readings.everybody(tmp_path_factory.mktemp("peers"))


def test_every_peer_read_every_case(everybody):
    found, _ = everybody
    assert set(found) == {"saltare", "nginx", "nginx proxy", "haproxy", "hyper", "h11", "llhttp"}
    cases = readings.corpus()
    assert len(cases) > 250
    plain = Reading((("GET", "/", b""),), "ready")
    for peer, by_case in found.items():
        assert by_case.keys() == cases.keys() - {case for unstable, case in readings.UNSTABLE if unstable == peer}
        assert by_case["200-get"] == plain, peer
        assert by_case["200-pipelined-bodies"] == found["saltare"]["200-pipelined-bodies"], peer


def test_saltare_is_the_strict_one_or_says_why(everybody):
    missing, idle = differences.unexplained(differences.compare(everybody[0]), differences.load_reasons())
    assert not missing, "without a reason in reasons.toml"
    assert not idle, "in reasons.toml, but there is no such difference"


def test_the_table_is_up_to_date(everybody, request):
    text = differences.table(*everybody, differences.load_reasons())
    if request.config.getoption("regenerate"):
        differences.TABLE.write_text(text)
    old = differences.TABLE.read_text()
    changes = "\n".join(difflib.unified_diff(old.splitlines(), text.splitlines(), "written", "found", "", "", 0, ""))
    assert not changes, f"make compliance ARGS=--regenerate\n{changes}"


ONE, TWO = ("GET", "/1", b""), ("GET", "/2", b"")
VERDICTS = [
    ("same", [ONE], "ready", [ONE], "ready"),
    ("same", [ONE], "ready", [ONE], "closes"),
    ("same", [ONE], "refused 400", [ONE], "dropped"),
    ("stricter", [], "refused 400", [ONE, TWO], "ready"),
    ("stricter", [ONE], "refused 400", [ONE, TWO], "refused 400"),
    ("stricter", [ONE], "refused 400", [ONE], "wants more"),
    ("laxer", [ONE], "ready", [], "refused 400"),
    ("laxer", [ONE], "wants more", [ONE], "dropped"),
    ("laxer", [ONE, TWO], "refused 400", [ONE], "refused 400"),
    ("other", [ONE, TWO], "ready", [ONE], "ready"),
    ("other", [ONE], "ready", [ONE, TWO], "ready"),
    ("other", [ONE], "ready", [ONE], "wants more"),
    ("other", [ONE], "wants more", [ONE], "ready"),
    ("other", [ONE], "ready", [("GET", "/1", b"body")], "ready"),
    ("other", [ONE, TWO], "refused 400", [TWO, ONE], "ready"),
    ("other", [TWO], "refused 400", [ONE], "refused 400"),
]


@pytest.mark.parametrize(("verdict", "requests", "end", "peers_requests", "peers_end"), VERDICTS)
def test_verdicts(verdict, requests, end, peers_requests, peers_end):
    ours, theirs = Reading(tuple(requests), end), Reading(tuple(peers_requests), peers_end)
    assert differences.verdict(ours, theirs) == verdict
