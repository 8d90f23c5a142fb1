"""The full flavour of the core has the interface of the plain one."""

from ._core import Core as Core
from ._core import Starter as Starter
from ._core import build_info as build_info
from ._core import live as live
from ._core import options as options
