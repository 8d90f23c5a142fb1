"""The user and the groups that a process gives up root's rights for."""

import os
from collections import namedtuple

from .. import _process
from ..errors import StartError
from ..options.accounts import entry

# `groups` None: the supplementary ones stay.
Rights = namedtuple("Rights", "uid gid groups")


def wanted(user, group):
    """The Rights that the options ask for; None if the process has them. ValueError: there is no such user or group."""
    uid, gid, groups = os.geteuid(), os.getegid(), None
    of_group = entry("group", group) if group is not None else None
    if group is not None:
        gid = int(group) if of_group is None else of_group.gr_gid
    if user is not None:
        of_user = entry("user", user)
        new = int(user) if of_user is None else of_user.pw_uid
        if group is None and of_user is not None and (uid == 0 or new != uid):
            gid = of_user.pw_gid
        groups = [gid] if of_user is None else os.getgrouplist(of_user.pw_name, gid)
        uid = new
    has = os.getresuid() == (uid, uid, uid) and os.getresgid() == (gid, gid, gid)
    return None if has else Rights(uid, gid, groups)


def assume(rights):
    """Becomes that user for good. StartError."""
    try:
        if rights.groups is not None:
            os.setgroups(rights.groups)
        os.setresgid(rights.gid, rights.gid, rights.gid)
        os.setresuid(rights.uid, rights.uid, rights.uid)
        # Otherwise /proc/self belongs to root, as for a program that holds root's secrets. After the exec at SIGHUP it
        # belongs to the user in any case.
        _process.set_dumpable()
    except OSError as error:
        what = f"user {rights.uid} and group {rights.gid}"
        who = "start the server as root, or leave user and group out"
        raise StartError(f"user, group: cannot become {what}: {error.strerror.lower()}; {who}") from None
