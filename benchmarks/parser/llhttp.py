"""GB/s of llhttp on the head in a file, through httptools without callbacks: Python adds one call."""

import sys
import time
import timeit
from pathlib import Path

import httptools

SECONDS = 1


def main():
    head = Path(sys.argv[1]).read_bytes()
    feed = httptools.HttpRequestParser(object()).feed_data
    timer = timeit.Timer(lambda: feed(head), timer=time.process_time)
    count, took = timer.autorange()
    count = int(count * SECONDS / took)
    print(len(head) * count / timer.timeit(count) / 1e9)


if __name__ == "__main__":
    main()
