"""The key of certificate ``zk`` for a prover: what was decided when it was drawn stays, whatever its string is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omninode.errors import SafetyError
from protocols.errors import LocalProtocolError
from protocols.sessions.zk_abstain import ABSTAINS, KEY
from protocols.sessions.zk_keys import Keys

if TYPE_CHECKING:
    from omninode.store.db import Store
    from protocols.sessions.params import SessionParams
    from protocols.zk.key import Key


def decided(store: Store, session: int) -> bytes | None:
    """PLAYS or ABSTAINS, None where we are not drawn yet. May raise StoreError."""
    return store.recorded(session, f"prover/{KEY}")


def provers_keys(keys: Keys, store: Store, session: int) -> Keys:
    """The keys of a prover of this session. Whether it plays or abstains is decided when it is drawn, and stays so: a
    string that comes later is not used, and without one that was there the machine stops. May raise StoreError.
    """
    said = decided(store, session)
    if said is None:
        return keys

    def abstaining(params: SessionParams) -> Key:
        raise LocalProtocolError("this prover had no key for the session when it was drawn: it abstains to its end")

    def playing(params: SessionParams) -> Key:
        try:
            return keys(params)
        except LocalProtocolError as error:
            raise SafetyError(
                f"session {session}: this prover began it with a key that it cannot make any more: {error}",
                "mend that (if the reference string is another one or gone, put back what [proofs] string named then), "
                "and start the node again; until then it says nothing in this session",
            ) from error

    return abstaining if said == ABSTAINS else playing
