"""The users and groups of this machine."""


def entry(kind, name):
    """The entry of the system's database for a user or a group, by name or number; None: there is none."""
    import grp
    import pwd

    by_name, by_number = (pwd.getpwnam, pwd.getpwuid) if kind == "user" else (grp.getgrnam, grp.getgrgid)
    try:
        return by_name(name)
    except KeyError:
        pass
    try:
        return by_number(int(name))
    except (KeyError, ValueError):
        return None
