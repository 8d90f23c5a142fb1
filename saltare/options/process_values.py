"""The kinds of value of options about what a process is to the system."""

from .values import Octal, Refused, Text


class Account(Text):
    """A user or a group, by name or by number; kept as text."""

    MOST = (1 << 32) - 2  # the number after it means "unchanged" to setresuid(2)

    def __init__(self, what):
        self.metavar = what.upper()
        self.accepts = f"the name or the number of a {what}"

    def read(self, value):
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        text = super().read(value)
        if not text or (text.lstrip("-").isdigit() and not (text.isdigit() and int(text) <= self.MOST)):
            raise Refused
        return text


class Umask(Octal):
    """A text begins with 0, because other servers read one that does not as decimal."""

    def __init__(self):
        super().__init__(0o777)
        self.accepts = "an octal mask from 0 to 0777 that begins with 0, such as 022"

    def parsed(self, text):
        if text[:1] != "0":
            raise Refused
        return super().parsed(text)
