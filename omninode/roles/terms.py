"""The terms of a new session: what the owner's configuration and the command line say, as the contract wants it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from omninode.errors import UsageError
from omninode.learning.public_part import PublicPart, choose
from protocols.selection import rules
from protocols.sessions.params import MOST_PROVED, Mode, Payout, Rule, SessionParams
from protocols.zk.params import Statement

if TYPE_CHECKING:
    from omninode.config_schema import ModelOwner
    from omninode.learning.document import SessionDocument
    from omninode.learning.model_spec import Model

MODES = {"grouped": Mode.GROUPED, "verified": Mode.VERIFIED}
RULES = {
    "none": Rule.NONE, "outlier": Rule.OUTLIER, "multi-krum": Rule.MULTI_KRUM, "m-krum": Rule.M_KRUM,
    "trust": Rule.TRUST,
}  # fmt: skip
USUAL_RULE = {Mode.GROUPED: Rule.OUTLIER, Mode.VERIFIED: Rule.TRUST}
PAYOUTS = {"equal": Payout.EQUAL, "contribution": Payout.CONTRIBUTION}
CERTIFICATES = {"attested": False, "zk": True}
TUNINGS = {"own": False, "published": True}
PRIVACIES = {"none": False, "perturb": True}
OVERRIDES = frozenset({
    "mode", "certificate", "reward", "prover_fee", "deposit", "data_owners", "groups", "group_size", "committee",
    "threshold", "rule", "mu", "m_krum", "payout", "score_cap", "min_accepted", "register_blocks", "upload_blocks",
    "settle_blocks", "gas_price_cap", "public_sums", "public_layers", "public_count", "model_privacy",
    "tuning",
})  # fmt: skip


def proved(chosen: ModelOwner, overrides: Mapping[str, Any]) -> bool:
    """Whether certificate ``zk`` is asked for. The arguments are those of ``terms``; raises UsageError as it does."""
    zk: bool = _word("certificate", pick_option(chosen, overrides, "certificate"), CERTIFICATES)
    if zk and _word("mode", pick_option(chosen, overrides, "mode"), MODES) != Mode.VERIFIED:
        raise UsageError(
            "certificate zk goes with mode verified only", "choose --mode verified, or --certificate attested"
        )
    return zk


def published_rule(chosen: ModelOwner, overrides: Mapping[str, Any]) -> bool:
    """Whether bound and server learning rate go by the published rule. Arguments and errors as for ``proved``."""
    by_rule: bool = _word("tuning", pick_option(chosen, overrides, "tuning"), TUNINGS)
    return by_rule


def perturbed(chosen: ModelOwner, overrides: Mapping[str, Any]) -> bool:
    """Whether the model is to be published perturbed. Raises UsageError for what does not go with it, or as ``proved``.

    Its vectors are judged by nothing but their bounds: a thousandth of them decides, so that no rule could tell.
    """
    if not _word("model_privacy", pick_option(chosen, overrides, "model_privacy"), PRIVACIES):
        return False
    whole = "a perturbed model is published whole"
    for name, allowed, why in (
        ("mode", {"verified"}, "each of the three vectors has its own bound, which only mode verified proves"),
        ("certificate", {"attested"}, "certificate zk proves too coarse numbers: de-noising leaves nothing of them"),
        ("rule", {"auto", "none"}, "perturbed vectors say nothing about who is honest: there is no rule for them"),
        ("payout", {"equal"}, "perturbed vectors say nothing about who contributes"),
        ("tuning", {"own"}, "the published rule does not know perturbed sessions"),
    ):
        if (word := pick_option(chosen, overrides, name)) not in allowed:
            raise UsageError(f"model_privacy perturb does not go with {name} {word}: {why}", f"set {name} otherwise")
    if pick_option(chosen, overrides, "public_layers") or pick_option(chosen, overrides, "public_count"):
        raise UsageError(f"model_privacy perturb does not go with public layers: {whole}", "choose one of the two")
    return True


def check_proved(params: SessionParams) -> None:
    """UsageError for numbers that certificate ``zk`` does not take; whether the rest goes together is not looked at."""
    if params.groups > MOST_PROVED:
        raise UsageError(
            f"certificate zk proves at most {MOST_PROVED} data owners in one transaction, not {params.groups}",
            f"choose --data-owners {MOST_PROVED} or fewer",
        )
    if params.statement == Statement.GRAM and params.payout == Payout.CONTRIBUTION:
        rule = params.rule.name.lower().replace("_", "-")
        raise UsageError(
            f"under certificate zk rule {rule} proves distances, which give no scores to pay by",
            "choose --payout equal, or --rule trust or none",
        )


def terms(
    chosen: ModelOwner, overrides: Mapping[str, Any], document: SessionDocument, owner: bytes, owner_peer: bytes
) -> SessionParams:
    """Parameters of a session on ``document``. overrides: by name of the setting; None is as good as absent.

    For certificate ``zk`` the proof_key is still missing. Raises UsageError for an unknown name or word. Whether the
    numbers go together is for ``check_params``.
    """
    if unknown := set(overrides) - OVERRIDES:
        raise UsageError(f"unknown option {sorted(unknown)[0]!r}", "see omninode session create --help")

    def pick(name: str) -> Any:
        return pick_option(chosen, overrides, name)

    mode, payout = _word("mode", pick("mode"), MODES), _word("payout", pick("payout"), PAYOUTS)
    usual = USUAL_RULE[mode] if document.perturbation is None else Rule.NONE
    rule = usual if pick("rule") == "auto" else _word("rule", pick("rule"), RULES)
    verified = mode == Mode.VERIFIED
    return SessionParams(
        doc_digest=document.digest(), owner=owner, owner_peer=owner_peer, mode=mode, dimension=document.parameters,
        frac_bits=document.frac_bits, bound=document.bound, group_size=1 if verified else pick("group_size"),
        groups=pick("data_owners") if verified else pick("groups"), committee=pick("committee"),
        threshold=pick("threshold"), rule=rule, mu_bps=round(pick("mu") * 10_000), m_krum=pick("m_krum"),
        min_accepted=pick("min_accepted"), public_sums=pick("public_sums"), reward=pick("reward"),
        prover_fee=pick("prover_fee"), deposit=pick("deposit"), gas_price_cap=pick("gas_price_cap"),
        whitelist_root=bytes(32), register_blocks=pick("register_blocks"), upload_blocks=pick("upload_blocks"),
        settle_blocks=pick("settle_blocks"), payout=payout,
        score_cap=score_cap(pick("score_cap"), document.bound) if payout == Payout.CONTRIBUTION else 0,
    )  # fmt: skip


def public_part(chosen: ModelOwner, overrides: Mapping[str, Any], model: Model) -> PublicPart:
    """What a session publishes of ``model``: by names or by count, all where neither is set or the count is 0.

    An override of either replaces both settings. Raises UsageError, listing the model's layers.
    """
    layers, count = overrides.get("public_layers"), overrides.get("public_count")
    if layers is None and count is None:
        layers, count = chosen.public_layers or None, chosen.public_count
    cure = "name them with --public-layers, or say how many with --public-count (0: all of the model)"
    if layers is not None and count:
        raise UsageError("public_layers and public_count both say what is public", "leave one of them out")
    if not (layers is None or (isinstance(layers, list | tuple) and all(isinstance(name, str) for name in layers))):
        raise UsageError("public_layers must be names of layers", cure)
    if not (count is None or type(count) is int):
        raise UsageError("public_count must be a number of layers", cure)
    try:
        return choose(model, tuple(layers) if layers is not None else count or None)
    except ValueError as error:
        raise UsageError(str(error), cure) from error


def score_cap(share: float, bound: int) -> int:
    """The largest score that counts: ``share`` (0 < share <= 1) of B^2, the largest that there can be."""
    return max(1, round(share * 2**32) * bound * bound >> 32)


def guarantee(params: SessionParams) -> tuple[bool | None, str]:
    """Whether the papers' guarantee holds for these numbers (None: it is not about numbers), and why.

    R, of which the fraction mu may be bad: groups; in mode verified data owners, if all places are taken.
    """
    if params.rule == Rule.TRUST:
        return None, "each update is proved within the bound and held against the owner's reference: no majority needed"
    what = "data owners" if params.mode == Mode.VERIFIED else "groups"
    holds, why = rules.guarantees(params.rule, params.groups, params.mu_bps, params.m_krum, what)
    if params.mode == Mode.VERIFIED and params.rule != Rule.NONE:
        if params.zk:
            why += "; under certificate zk all inner products of the updates become public"
        why += "; distances of single updates let identities under one hand probe the coordinates of others"
    return holds, why


def pick_option(chosen: ModelOwner, overrides: Mapping[str, Any], name: str) -> Any:
    """What a session takes for a setting: the command line's word, else the configuration's."""
    return overrides[name] if overrides.get(name) is not None else getattr(chosen, name)


def _word(name: str, word: str, known: Mapping[str, Any]) -> Any:
    if word not in known:
        raise UsageError(f"unknown {name} {word!r}", "choose one of " + ", ".join(known))
    return known[word]
