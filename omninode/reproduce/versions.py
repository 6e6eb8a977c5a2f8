"""What a cell's result depends on, as a digest: results made by other code are stale, a changed report is not.

The digest is over the modules that a cell's own module imports, directly or through others, as far as they are in the
packages named. Comments, docstrings and layout do not count.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The folder that ``omninode`` and ``protocols`` lie in."""


def of_modules(module: str, within: Sequence[str], files: Sequence[Path] = ()) -> str:
    """SHA-256, in hex, of a module with all it imports from the packages ``within``, and of further files.

    Raises OSError for a file that is not there.
    """
    digest = hashlib.sha256()
    for name in sorted(closure(module, tuple(within))):
        digest.update(f"{name}\0{ast.dump(_bare(_parsed(name)))}\0".encode())
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@lru_cache(maxsize=8)
def closure(module: str, within: tuple[str, ...]) -> frozenset[str]:
    """Names of the modules that count. A package counts with its own file only."""
    known, todo = set[str](), [module]
    while todo:
        name = todo.pop()
        if name not in known:
            known.add(name)
            todo += [other for other in _imports(_parsed(name)) if _counts(other, within)]
    return frozenset(known)


def _counts(name: str, within: tuple[str, ...]) -> bool:
    return any(name == top or name.startswith(top + ".") for top in within) and _path(name) is not None


def _imports(tree: ast.Module) -> Iterator[str]:
    """Wherever they are written, in functions too; what is no module is left to ``_counts``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _path(name: str) -> Path | None:
    stem = ROOT.joinpath(*name.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


def _parsed(name: str) -> ast.Module:
    path = _path(name)
    if path is None:
        raise FileNotFoundError(f"no module {name}")
    return ast.parse(path.read_text())


def _bare(tree: ast.Module) -> ast.Module:
    """Without strings that stand by themselves: docstrings."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_text(each)]  # type: ignore[attr-defined]
    return tree


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
