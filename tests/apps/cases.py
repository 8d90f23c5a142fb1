"""The cases of app_asyncio: what an app may do with its loop, one coroutine each."""

CASES = {}
RESULTS = {}  # what outlives the request that made it


def case(function):
    CASES[function.__name__] = function
    return function
