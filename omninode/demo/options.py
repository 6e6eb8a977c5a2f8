"""What `omninode demo` can be told, with the numbers of the standard run as defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omninode.errors import UsageError

ETHER = 10**18
MODES = ("verified", "grouped")
LEAST_VERIFIED, MOST_VERIFIED = 4, 255


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """A local market: one model owner, ``owners`` data owners, ``provers`` provers, ``sessions`` sessions.

    data: folder with MNIST IDX files, or None for the bundled digits.  rule: "auto" takes what is usual in the mode.
    Mode verified: attack (what ``catalogue.chosen`` understands), payout, and score_cap (share of B^2).  Mode grouped:
    group_size.  mu_bps: fraction of groups taken for corrupted.  hostile: three attackers in session 3.
    register/upload/settle_blocks: the three windows.  Money in wei.
    """

    mode: str = "verified"
    hostile: bool = False
    attack: str = ""
    data: Path | None = None
    seed: int = 0
    sessions: int = 5
    owners: int = 12
    provers: int = 5
    group_size: int = 3
    block_time: int = 1
    out: Path = Path("runs")
    as_json: bool = False
    rule: str = "auto"
    payout: str = "contribution"
    score_cap: float = 0.125
    mu_bps: int = 2500
    register_blocks: int = 15
    upload_blocks: int = 20
    settle_blocks: int = 25
    reward: int = 12 * ETHER // 10
    prover_fee: int = ETHER // 100
    deposit: int = ETHER // 10
    wall_limit_s: int = 900

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UsageError(f"unknown mode {self.mode!r}", "choose --mode verified or --mode grouped")
        if self.mode == "verified":
            self._check_verified()
        elif self.attack:
            raise UsageError("attacks are played in mode verified", "use --mode grouped --hostile for groups")
        elif self.owners % self.group_size or self.owners // self.group_size < 4:
            raise UsageError(
                f"{self.owners} data owners do not make four or more groups of {self.group_size}",
                f"choose --owners as a multiple of {self.group_size}, {4 * self.group_size} or more",
            )
        if self.provers < 5:
            raise UsageError(f"{self.provers} provers are too few", "with threshold t = 1 a committee needs 5 provers")
        if self.hostile and self.sessions < 4:
            raise UsageError("--hostile attacks session 3 and looks at what follows", "use --sessions 4 or more")

    def _check_verified(self) -> None:
        if not LEAST_VERIFIED <= self.owners <= MOST_VERIFIED:
            raise UsageError(
                f"{self.owners} data owners are too {'few' if self.owners < LEAST_VERIFIED else 'many'}",
                f"choose --owners between {LEAST_VERIFIED} and {MOST_VERIFIED}",
            )

    @property
    def groups(self) -> int:
        """R."""
        return self.owners // self.group_size
