"""``python -m omninode``, for where the console script is not on the path."""

from __future__ import annotations

from omninode.cli import main

if __name__ == "__main__":
    main()
