"""Whether a journal is still what was written: the links of its entries, the seals of the safety records, its end."""

from __future__ import annotations

from omninode.roles.verify_entry import BadEntry, Input
from omninode.store.links import first_link, next_link
from omninode.store.transcript import Seal, Transcript


class Links:
    """Fed with every entry in order. linked, sealed: how many links and seals held."""

    def __init__(self, transcript: Transcript) -> None:
        self._previous = first_link(transcript.session, transcript.role)
        self._seals: dict[int, list[Seal]] = {}
        for seal in transcript.seals:
            if seal.entries is not None:
                self._seals.setdefault(seal.entries, []).append(seal)
        self.linked = self.sealed = 0

    def check(self, item: Input, digest: bytes) -> None:
        """digest: SHA-256 of the payload. Raises BadEntry.

        Only entries at the beginning may have no link: those that an earlier version wrote.
        """
        entry = item.entry
        if entry.link is None and self.linked:
            raise item.bad("no-link", "its link was taken away")
        if entry.link is not None:
            self._previous = next_link(self._previous, entry.kind, digest)
            if entry.link != self._previous:
                raise item.bad("wrong-link", "changed, moved or put in, or one before it was taken out")
            self.linked += 1
        for seal in self._seals.get(entry.seq + 1, ()):
            if seal.link != entry.link:
                raise item.bad("wrong-seal", f"up to here the journal is not what it was when {seal.key} was recorded")
            self.sealed += 1

    def check_end(self, transcript: Transcript) -> None:
        """Nothing is missing at the end. Raises BadEntry."""
        entries = transcript.entries
        longest = max([transcript.count or 0, *self._seals])
        if len(entries) < longest:
            raise BadEntry(len(entries), "-", "missing-entry", f"{longest} entries were written")
        if transcript.count is not None and (transcript.count, transcript.link) != (len(entries), entries[-1].link):
            raise BadEntry(len(entries) - 1, entries[-1].kind, "wrong-end", f"{transcript.count} entries were written")
