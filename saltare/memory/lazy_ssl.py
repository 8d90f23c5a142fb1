"""Defers modules that most programs import but do not use: they load at their first use.

asyncio, anyio, http.client and urllib import ssl in case it is needed: 1.0 MiB of resident memory with FastAPI, 0.8 of
it private. asyncio.sslproto uses ssl at import, so it is deferred too. Neither is deferred if already imported, or if
several processes share the imported modules.
"""

import sys
from importlib.machinery import PathFinder
from threading import RLock
from types import ModuleType

NAMES = ("asyncio.sslproto", "ssl")
OF_IMPORT = {"__class__", "__file__", "__loader__", "__name__", "__package__", "__path__", "__spec__"}


def install():
    """From now on the first import of each of NAMES, in whatever form, gives a module that loads at its first use.

    Only for a Python that has ssl: asyncio handles a failed import of ssl, but not a failure at its first use.
    """
    sys.meta_path.insert(0, Finder(set(NAMES)))


class Finder:
    """Finds each name only until it is imported, so that a reload works as always."""

    def __init__(self, names):
        self._names = names

    def find_spec(self, name, path=None, target=None):
        if name not in self._names:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = Loader(spec.loader, self._names)
        return spec


class Loader:
    """Defers the work of the real loader. One thread loads, and may use the partial module meanwhile; the others wait
    for the whole module.
    """

    def __init__(self, loader, names):
        self._loader, self._names = loader, names
        self._lock, self._loading = RLock(), False

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        self._names.discard(spec.name)
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self._loader
        PENDING[module.__name__] = self
        module.__class__ = Later

    def load(self, module):
        with self._lock:
            if self._loading or type(module) is not Later:
                return
            self._loading = True
            name = module.__name__
            another = sys.modules.get(name, module)  # imported since, after somebody removed this one
            try:
                sys.modules[name] = module  # enum looks for it there
                self._loader.exec_module(module)
                module.__class__ = ModuleType
            finally:
                sys.modules[name] = another
                self._loading = False


PENDING = {}  # loaders, by the module's name


class Later(ModuleType):
    """Becomes a plain module when loaded. Attributes that the import system reads do not load it.

    An exception of the load is raised at the access that caused it; the next access retries, as an import would.
    """

    def __getattribute__(self, name):
        if name not in OF_IMPORT:
            PENDING[self.__name__].load(self)
        return ModuleType.__getattribute__(self, name)

    def __setattr__(self, name, value):
        if name not in OF_IMPORT:
            PENDING[self.__name__].load(self)
        ModuleType.__setattr__(self, name, value)

    def __delattr__(self, name):
        PENDING[self.__name__].load(self)
        ModuleType.__delattr__(self, name)
