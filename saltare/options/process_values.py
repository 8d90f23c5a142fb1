"""The kinds of value of options about what a process is to the system."""

from .values import Octal, Refused, Text, whole_number


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


class Cpus(Text):
    """Numbers of CPUs, ranges of them, or "auto"; kept as text with every number."""

    MOST = 4095
    metavar = "auto|LIST"
    accepts = "auto, or numbers and ranges of CPUs such as 0-3,8"

    def read(self, value):
        if isinstance(value, (list, tuple)):
            value = ",".join(map(str, value))
        elif isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        text = super().read(value).strip().lower()
        if text == "auto":
            return text
        cpus = [cpu for part in text.split(",") for cpu in self.range(part)]
        if len(set(cpus)) != len(cpus):
            raise Refused("a CPU is named twice")
        return ",".join(map(str, cpus))

    def range(self, text):
        first, dash, last = (part.strip() for part in text.partition("-"))
        low = whole_number(first)
        high = whole_number(last) if dash else low
        if not low <= high <= self.MOST:
            raise Refused
        return range(low, high + 1)


class Umask(Octal):
    """A text begins with 0, because other servers read one that does not as decimal."""

    def __init__(self):
        super().__init__(0o777)
        self.accepts = "an octal mask from 0 to 0777 that begins with 0, such as 022"

    def parsed(self, text):
        if text[:1] != "0":
            raise Refused
        return super().parsed(text)
