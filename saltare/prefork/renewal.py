"""SIGHUP to a master: how its workers come to serve the code now on disk."""

from .. import log
from ..process.attempt import started
from ..restart.trial import Trial

KEEPS = "the workers keep serving the old code"


class Renewal:
    """Workers that import the app themselves are replaced at once, in the folder that now has the name. Where the
    master has imported it, a trial loads the new code, and then the master becomes a new program.
    """

    def __init__(self, config, command, preload):
        self._command, self._preload = command, preload
        self.trial = Trial(command, config.worker_start_timeout, KEEPS)

    def request(self):
        """Returns whether to replace the workers at once."""
        if not self._preload.by_master():
            why = started(self._command.enter)[1]
            if why is not None:
                log.error(f"SIGHUP: the new code cannot be loaded: {why}; {KEEPS}")
            return why is None
        if self._command.repeatable():
            self.trial.request()
            return False
        log.warning("SIGHUP: this program cannot be restarted: the new workers have the old code")
        return True

    def become(self, spare, state, descriptors, put_back):
        """The master becomes the new program; returns only if that fails."""
        why = started(spare.attempt, self._command.repeat, state, descriptors, True, put_back)[1]
        log.error(f"SIGHUP: cannot start the new program: {why}; {KEEPS}")
