"""Which modules are collected, options, and the figures at the end of the report."""

NEED_NO_PROGRAM = ["test_parsers.py"]


def pytest_addoption(parser):
    parser.addoption("--regenerate", action="store_true", help="write differences.md and autobahn.md anew")
    parser.addoption("--sections", default="", help="of Autobahn, separated by commas; all without")
    parser.addoption("--requests", type=int, default=100_000, help="to send through each proxy")


def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.stats.get("passed", []):
        for line in dict(report.user_properties).get("figures", []):
            terminalreporter.write_line(line)


def pytest_ignore_collect(collection_path, config):
    """Unless this folder is named, as in `make compliance`, most tests are skipped: the judges may not be installed."""
    named = any("compliance" in argument for argument in config.invocation_params.args)
    if collection_path.name.startswith("test_") and not named:
        return collection_path.name not in NEED_NO_PROGRAM
    return None
