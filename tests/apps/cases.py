"""The cases of app_asyncio: what an app may do with its loop, one coroutine per case."""

CASES = {}
RESULTS = {}  # results that outlive the request that produced them


def case(function):
    CASES[function.__name__] = function
    return function
