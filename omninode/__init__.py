"""omninode: a market in which data owners improve a model for an owner they do not trust, and a contract pays."""

from __future__ import annotations

__version__ = "0.1.0"
