"""uvicorn's formatters of log records, for configurations that name them: `saltare.logging`."""

import http
import logging
import sys
from copy import copy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

TRACE_LOG_LEVEL = 5
LOG_LEVELS = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE_LOG_LEVEL,
}

BOLD, RED, GREEN, YELLOW, BLUE, CYAN, BRIGHT_RED, BRIGHT_WHITE = 1, 31, 32, 33, 34, 36, 91, 97  # ECMA-48 8.3.117
LEVEL_STYLES = {
    TRACE_LOG_LEVEL: BLUE,
    logging.DEBUG: CYAN,
    logging.INFO: GREEN,
    logging.WARNING: YELLOW,
    logging.ERROR: RED,
    logging.CRITICAL: BRIGHT_RED,
}
STATUS_STYLES = {1: BRIGHT_WHITE, 2: GREEN, 3: YELLOW, 4: RED, 5: BRIGHT_RED}  # by the first digit


def styled(text: str, style: int) -> str:
    return f"\x1b[{style}m{text}\x1b[0m"


class ColourizedFormatter(logging.Formatter):
    """Adds `levelprefix`, the level with a colon and spaces, to the fields of a format; coloured on a terminal.

    With colours, a record's `color_message` takes the place of its message.
    """

    def __init__(
        self,
        fmt: "str | None" = None,
        datefmt: "str | None" = None,
        style: "Literal['%', '{', '$']" = "%",
        use_colors: "bool | None" = None,
    ) -> None:
        super().__init__(fmt=fmt, datefmt=datefmt, style=style)
        self.use_colors = self.should_use_colors() if use_colors is None else use_colors

    def should_use_colors(self) -> bool:
        """Where the format does not say so."""
        return is_terminal(sys.stdout)

    def color_level_name(self, level_name: str, level_no: int) -> str:
        style = LEVEL_STYLES.get(level_no)
        return level_name if style is None else styled(level_name, style)

    def formatMessage(self, record: logging.LogRecord) -> str:
        record = copy(record)
        name = record.levelname
        spaces = " " * (8 - len(name))
        if self.use_colors:
            name = self.color_level_name(name, record.levelno)
            if "color_message" in vars(record):
                record.msg = vars(record)["color_message"]
                record.message = record.getMessage()
        vars(record)["levelprefix"] = f"{name}:{spaces}"
        return super().formatMessage(record)


class DefaultFormatter(ColourizedFormatter):
    """For lines of the server, which go to stderr."""

    def should_use_colors(self) -> bool:
        return is_terminal(sys.stderr)


class AccessFormatter(ColourizedFormatter):
    """For records of requests: adds `client_addr`, `request_line` and `status_code`."""

    def get_status_code(self, status_code: int) -> str:
        try:
            phrase = http.HTTPStatus(status_code).phrase
        except ValueError:
            phrase = ""
        text = f"{status_code} {phrase}"
        style = STATUS_STYLES.get(status_code // 100)
        return styled(text, style) if self.use_colors and style is not None else text

    def formatMessage(self, record: logging.LogRecord) -> str:
        record = copy(record)
        client_addr, method, full_path, http_version, status_code = record.args  # type: ignore[misc]
        line = f"{method} {full_path} HTTP/{http_version}"
        vars(record).update(
            client_addr=client_addr,
            request_line=styled(line, BOLD) if self.use_colors else line,
            status_code=self.get_status_code(int(status_code)),  # type: ignore[call-overload]
        )
        return super().formatMessage(record)


def is_terminal(stream: object) -> bool:
    isatty = getattr(stream, "isatty", None)
    return bool(isatty and isatty())
