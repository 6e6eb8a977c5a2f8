"""One entry of a transcript under examination, and how it is named when it does not hold."""

from __future__ import annotations

from dataclasses import dataclass

from omninode.store.transcript import Entry


class BadEntry(Exception):
    """The first entry that does not hold.

    seq: its number.  kind: of the entry, or the message's type.  sender: of a message, wallet in hex, else "".
    rule: short, kebab-case.
    """

    def __init__(self, seq: int, kind: str, rule: str, detail: str = "", sender: str = "") -> None:
        self.seq, self.kind, self.rule, self.detail, self.sender = seq, kind, rule, detail, sender
        what = f"{kind} from 0x{sender}" if sender else kind
        super().__init__(f"entry {seq} ({what}): {rule}" + (f": {detail}" if detail else ""))


@dataclass(slots=True)
class Input:
    """One entry with its content. name: its kind, or the type of a message once that is known.  sender: in hex."""

    entry: Entry
    payload: bytes
    name: str
    sender: str = ""

    def bad(self, rule: str, detail: str = "") -> BadEntry:
        """To raise: this entry does not hold."""
        return BadEntry(self.entry.seq, self.name, rule, detail, self.sender)
