"""Lists the options: as TOML for --print-config, as Markdown for docs/options.md."""

from .. import __version__
from .checks import listens_at_unix
from .table import OPTIONS, WAYS
from .values import Flag, Integer, Octal, Password


def toml(config):
    """Every option with its value, and its source as a comment; --config can read it."""
    lines = [f"# saltare {__version__}: every option, its value and where that came from"]
    group = None
    for option in OPTIONS:
        if option.group != group:
            group = option.group
            lines += ["", f"# {group}"]
        lines.append(toml_line(config, option))
    return "\n".join(lines) + "\n"


def toml_line(config, option):
    value = getattr(config, option.name)
    hidden = isinstance(option.kind, Password) and value
    text = f"{option.name} = {toml_value(option.kind, '(hidden)' if hidden else value)}"
    # An option that a file may not set, or that has no effect, is shown as a comment.
    way = config.way()
    idle = option.name == "uds_permissions" and not listens_at_unix(way, getattr(config, way, None))
    if hidden or option.name == "config" or WAYS.get(option.name, way) != way or idle:
        text = "# " + text
    return f"{text:<40} # {' '.join(config.sources[option.name].split())}"


def toml_value(kind, value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_text, value))}]"
    if isinstance(value, (int, float)):
        return f"0o{value:o}" if isinstance(kind, Octal) else number(value)
    return toml_text("" if value is None else value)


def number(value):
    return str(int(value)) if value == int(value) else repr(value)


def toml_text(text):
    from json import dumps

    # JSON's escapes are TOML's, but TOML also wants DEL escaped.
    return dumps(text if isinstance(text, str) else repr(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def markdown():
    """A table for each group."""
    groups = dict.fromkeys(option.group for option in OPTIONS)
    return "\n".join(markdown_group(group, [one for one in OPTIONS if one.group == group]) for group in groups)


def markdown_group(group, options):
    head = f"**{group}**\n\n| command line | keyword | default | accepted | what it does |\n|---|---|---|---|---|\n"
    return head + "".join(f"| {' | '.join(map(cell, markdown_row(option)))} |\n" for option in options)


def markdown_row(option):
    flags = [option.flag, option.off_flag] if option.off_flag else [option.flag]
    spelled = "`APP`" if option.name == "app" else ", ".join(f"`{flag}`" for flag in flags)
    return spelled, f"`{option.name}`", default_text(option), option.kind.accepts, option.help


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def default_text(option):
    """The default in readable form."""
    if option.default in (None, "", ()):
        return "none"
    if option.name == "server_header":
        return "saltare/VERSION"
    if isinstance(option.default, tuple):
        return ", ".join(option.default)
    if isinstance(option.default, bool):
        return "on" if option.default else "off"
    if isinstance(option.kind, Octal):
        return f"{option.default:o}"
    if isinstance(option.kind, Integer) and option.kind.unit == "bytes":
        return size_text(option.default)
    if isinstance(option.default, float):
        return f"{number(option.default)} s"
    return str(option.default)


def size_text(size):
    if size == 0:
        return "0"
    for unit, bytes_each in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size and size % bytes_each == 0:
            return f"{size // bytes_each} {unit}"
    return f"{size} bytes"


def takes_no_value(option):
    return isinstance(option.kind, Flag)
