"""What OmniLytics prints on accuracy, in per cent (arXiv 2107.05252, 2021).

``gas_paper`` has the rest.
"""

from __future__ import annotations

ALONE, TOGETHER = 62.0, 83.0
"""The model owner by itself and with 64 data owners, PL 3."""
PARAMETERS, PUBLIC = 36_697, 5_701
"""Of the five-layer network, and of its public part at PL 3."""
SHARES = {0: 0.0, 1: 0.71, 2: 7.29, 3: 15.54, 4: 15.96}
"""Public share in per cent by PL (Table 3)."""

EPOCHS = {
    (20, 1): (80.68, 81.37, 82.46), (20, 2): (82.33, 70.74, 82.46),
    (40, 1): (82.7, 82.68, 82.55), (40, 2): (83.0, 82.83, 82.36),
    (80, 1): (72.12, 71.86, 80.99), (80, 2): (82.19, 73.28, 73.1),
}  # fmt: skip
"""Accuracy by (MOPreEp, DOEp), for MOEp 1, 2, 4 (Table 4)."""
BYZANTINE = {
    5000: {2: 83.12, 4: 82.89, 6: 81.77, 8: 79.97, 12: 72.72, 16: 56.86},
    2500: {2: 76.62, 4: 79.72, 6: 78.15, 8: 75.31, 12: 77.91, 16: 25.41},
}
"""Accuracy by mu (in 1/10000) and the share of data owners that attack, in per cent (Table 5)."""
