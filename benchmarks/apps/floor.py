"""The memory of an app without a server: imports the app and asyncio, then waits."""

import asyncio  # noqa: F401  (every server has it in memory)
import importlib
import signal
import sys

importlib.import_module(sys.argv[1])
print("ready", flush=True)
signal.pause()
