"""What `omninode demo` can be told, with the numbers of the standard run as defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omninode.errors import UsageError

AGGREGATIONS = ("offchain", "onchain")
ETHER = 10**18
MODES = ("verified", "grouped")
CERTIFICATES = ("attested", "zk")
RULES = ("auto", "none", "trust", "outlier", "multi-krum")
LEAST_VERIFIED, MOST_VERIFIED, MOST_PROVED = 4, 255, 64
PROOF_BLOCKS, HOSTILE_BLOCKS = 60, 100
"""Of the windows for uploads and for checks with certificate zk: proofs of all nodes are made on one machine, and
forged ones take longest to find.
"""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """A local market: one model owner, ``owners`` data owners, ``provers`` provers, ``sessions`` sessions.

    data: folder with MNIST IDX files, or None for the bundled digits.  rule: "auto" takes what is usual in the mode.
    Mode verified: certificate, attack (what ``catalogue.chosen`` understands), payout, and score_cap (share of B^2).
    Mode grouped: group_size.  mu_bps: fraction of groups taken for corrupted.  hostile: three attackers in session 3;
    with certificate zk one session of data owners' attacks and one for each attack of a prover.
    aggregation: onchain plays the paper's baseline, rounds of group_size data owners (mode grouped).
    public_layers or public_count: what is published of the model, all where neither is given.
    register/upload/settle_blocks: the three windows.  Money in wei.
    """

    mode: str = "verified"
    aggregation: str = "offchain"
    certificate: str = "attested"
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
    public_layers: tuple[str, ...] = ()
    public_count: int = 0
    mu_bps: int = 2500
    register_blocks: int = 15
    upload_blocks: int = 20
    settle_blocks: int = 25
    reward: int = 12 * ETHER // 10
    prover_fee: int = ETHER // 100
    deposit: int = ETHER // 10
    wall_limit_s: int = 900

    def __post_init__(self) -> None:
        if self.aggregation not in AGGREGATIONS:
            raise UsageError(f"unknown aggregation {self.aggregation!r}", "choose one of " + ", ".join(AGGREGATIONS))
        if self.onchain:
            self._check_onchain()
        if self.mode not in MODES:
            raise UsageError(f"unknown mode {self.mode!r}", "choose --mode verified or --mode grouped")
        if self.certificate not in CERTIFICATES:
            raise UsageError(
                f"unknown certificate {self.certificate!r}", "choose --certificate attested or --certificate zk"
            )
        if self.rule not in RULES:
            raise UsageError(f"unknown rule {self.rule!r}", "choose one of " + ", ".join(RULES))
        if self.zk and self.mode != "verified":
            raise UsageError("certificate zk goes with mode verified only", "leave out --mode grouped")
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
        if self.hostile and self.zk and self.sessions < 5:
            raise UsageError(
                "--hostile with certificate zk plays attacks in sessions 2 to 5", "use --sessions 5 or more"
            )

    def _check_onchain(self) -> None:
        """The baseline has rounds as mode grouped has groups, and nothing to attack or to prove."""
        if self.mode != "grouped" or self.hostile or self.attack or self.zk:
            raise UsageError(
                "aggregation onchain goes with mode grouped, without attacks and certificates",
                "use --aggregation onchain --mode grouped",
            )

    def _check_verified(self) -> None:
        if not LEAST_VERIFIED <= self.owners <= MOST_VERIFIED:
            raise UsageError(
                f"{self.owners} data owners are too {'few' if self.owners < LEAST_VERIFIED else 'many'}",
                f"choose --owners between {LEAST_VERIFIED} and {MOST_VERIFIED}",
            )
        if self.zk and self.owners > MOST_PROVED:
            raise UsageError(
                f"certificate zk proves at most {MOST_PROVED} data owners in one transaction, not {self.owners}",
                f"use --owners {MOST_PROVED} or fewer",
            )
        if self.zk and self.attack:
            raise UsageError(
                "--attack plays with certificate attested", "use --certificate zk --hostile for attacks on proofs"
            )

    @property
    def onchain(self) -> bool:
        """Whether contracts aggregate, as in the paper, instead of provers."""
        return self.aggregation == "onchain"

    @property
    def zk(self) -> bool:
        """Whether the contract itself checks a proof of every batch."""
        return self.certificate == "zk"

    @property
    def pay(self) -> str:
        """How the reward is split: rules on distances give no scores to pay by under certificate zk."""
        return "equal" if self.zk and self.distances else self.payout

    @property
    def distances(self) -> bool:
        """Whether the rule is one on distances of all pairs."""
        return self.rule not in ("auto", "none", "trust")

    @property
    def windows(self) -> dict[str, int]:
        """The three windows in blocks."""
        least = (HOSTILE_BLOCKS if self.hostile else PROOF_BLOCKS) if self.zk else 0
        return {
            "register_blocks": self.register_blocks,
            "upload_blocks": max(least, self.upload_blocks),
            "settle_blocks": max(least, self.settle_blocks),
        }

    @property
    def groups(self) -> int:
        """R."""
        return self.owners // self.group_size
