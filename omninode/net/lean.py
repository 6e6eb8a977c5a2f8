"""Loads libp2p without the parts that are never used here: a quarter of its start-up time and of its memory.

``import libp2p`` loads QUIC, WebSocket, mDNS, UPnP, relays and AutoTLS whatever one needs. In place of those packages
stand empty modules whose names are classes that do nothing; code that only mentions them (annotations, isinstance)
works, code that uses them fails at once. Exceptions stay real, because ``except`` clauses name them. If libp2p was
imported before this package, nothing is replaced.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

UNUSED = (
    "dns.quic",  # comes with the resolver of /dns addresses, and brings all of aioquic
    "libp2p.discovery",
    "libp2p.relay",
    "libp2p.security.tls",
    "libp2p.transport.quic",
    "libp2p.transport.websocket",
)
_REAL = (".exceptions",)


class Unused:
    """Stands for whatever a module that is not loaded would have defined."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"{type(self).__module__} is not loaded (omninode.net.lean)")


class _Empty(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        stand_in = type(name, (Unused,), {"__module__": self.__name__})
        setattr(self, name, stand_in)
        return stand_in


class LeanFinder(MetaPathFinder, Loader):
    """Finds empty modules in place of the unused ones."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of an empty module, or None for modules that are to be loaded as usual."""
        if fullname.endswith(_REAL) or not any(fullname == name or fullname.startswith(name + ".") for name in UNUSED):
            return None
        real = PathFinder.find_spec(fullname, path)
        if real is None:
            return None
        spec = ModuleSpec(fullname, self, is_package=real.submodule_search_locations is not None)
        # Where the real exceptions of the package are found.
        spec.submodule_search_locations = real.submodule_search_locations
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """An empty module."""
        return _Empty(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


def install() -> bool:
    """Load libp2p lean from now on in this process; False if it is loaded already."""
    if "libp2p" in sys.modules:
        return False
    if not any(isinstance(finder, LeanFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, LeanFinder())
    return True
