"""The reference string of a local market: a test string, whose secret everybody can compute."""

from __future__ import annotations

from pathlib import Path

from omninode.learning.precision import rows
from omninode.roles.keyring import FOLDER

LABEL = "omninode"
"""The label that every part of omninode knows, so that no contract off the development chain takes such a string."""
WARNING = "INSECURE test string: for this local chain only"


def make_string(root: Path, dimension: int) -> Path:
    """Write the test string for updates of ``dimension`` parameters, and check it into the cache that all nodes share.

    With its secret known it takes a second or two.
    """
    from omninode.srs.bases import basis_of
    from omninode.srs.files import powers_for
    from omninode.srs.loading import load_string
    from omninode.srs.making import new

    size, path, cache = rows(dimension), root / "string.srs", root / FOLDER
    new(path, size, LABEL)
    basis_of(path, load_string(path, powers_for(size), cache), size, cache)
    return path
