"""Is saltare as strict as h11 and llhttp, or gives a reason? The part of test_differences.py that needs no program."""

import pytest

import differences
import readings

PARSERS = ("h11", "llhttp")


@pytest.fixture(scope="module")
def found():
    return readings.saltare_and_parsers()


def test_saltare_is_the_strict_one_or_says_why(found):
    reasons = {(case, peer): why for (case, peer), why in differences.load_reasons().items() if peer in PARSERS}
    missing, idle = differences.unexplained(differences.compare(found), reasons)
    assert not missing, "without a reason in reasons.toml"
    assert not idle, "in reasons.toml, but there is no such difference"


def test_what_is_refused_by_saltare_alone(found):
    """The parsers only report that something is refused; saltare also reports why."""
    refused = {peer: {case for case, reading in found[peer].items() if reading.refuses} for peer in found}
    assert all(len(refused[peer]) > 50 for peer in PARSERS)
    assert len(refused["saltare"] - refused["h11"] - refused["llhttp"]) > 10
