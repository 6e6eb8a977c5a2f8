"""What OmniLytics (arXiv 2107.05252) says about its contract: milliseconds. Its gas is drawn, not written."""

from __future__ import annotations

from collections.abc import Mapping

from omninode.reproduce.gas_steps import Step

ROUNDS = GROUP_SIZES = (2, 4, 6, 8)
TABLE_1_GROUP_SIZE, TABLE_6_ROUNDS, DIMENSION = 4, 6, 5701
"""N of Table 1, R of Table 6, public parameters of both."""

BY_ROUNDS_MS: Mapping[Step, tuple[float, ...]] = {
    Step.REGISTER: (1.75, 1.85, 1.77, 1.3),
    Step.KEYS: (0.53, 0.58, 0.68, 0.71),
    Step.AGGREGATE: (3.69, 3.93, 3.63, 3.94),
    Step.OUTLIER: (16.65, 43.57, 69.18, 124.02),
}
"""Table 1: R = 2, 4, 6, 8 rounds of 4 data owners."""
TOTAL_BY_ROUNDS_MS = (22.62, 49.93, 75.26, 130.37)
"""Its last row, as printed (the last column adds up to 129.97)."""
TOTAL_BY_GROUP_SIZE_MS = (73.59, 75.26, 78.76, 79.81)
"""Table 6: 6 rounds of N = 2, 4, 6, 8 data owners; of its steps nothing is known here."""
WHOLE_SESSION_MS = 500.0
"""The abstract: the blockchain processing time of a whole session is below it."""
