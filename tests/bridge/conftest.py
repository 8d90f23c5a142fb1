"""Fixtures for the bridge: bare cores, and a check that none is left open."""

import gc

import pytest

from bare import Bare


@pytest.fixture
def make_bare():
    """A function that opens bare cores; they are closed at the end of the test."""
    made = []

    def make(**options):
        made.append(Bare(**options))
        return made[-1]

    yield make
    for bare in made:
        bare.close()
    made.clear()
    gc.collect()


@pytest.fixture
def bare(make_bare):
    return make_bare()
