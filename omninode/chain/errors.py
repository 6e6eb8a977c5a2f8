"""What can go wrong between us and Ethereum, as one tree of exceptions. The text is what the operator reads."""

from __future__ import annotations

from collections.abc import Sequence


class ChainError(Exception):
    """Root of everything that `omninode.chain` raises."""


class RpcUnavailable(ChainError):
    """The node behind the RPC address did not answer, or answered nonsense. Trying again later may help.

    url: the address without credentials.  why: what was seen.
    """

    def __init__(self, url: str, why: str) -> None:
        self.url = url
        self.why = why
        super().__init__(
            f"no answer from the Ethereum RPC at {url}: {why}; check that the node runs and chain.rpc is right"
        )


class RpcError(ChainError):
    """The RPC node refused a request. code, message, data: as JSON-RPC gives them; data may hold a revert's bytes."""

    def __init__(self, method: str, code: int, message: str, data: object = None) -> None:
        self.method = method
        self.code = code
        self.message = message
        self.data = data
        super().__init__(f"{method} refused by the RPC node: {message} (code {code})")


class WrongChain(ChainError):
    """The RPC node serves another chain than the configured one; nothing was sent."""

    def __init__(self, expected: int, got: int) -> None:
        self.expected = expected
        self.got = got
        super().__init__(
            f"the RPC node serves chain {got}, the configuration says {expected}; correct chain.chain_id or chain.rpc"
        )


class ChainReplaced(ChainError):
    """None of the blocks that we remember is on the chain any more: another chain, or a reorg beyond all memory."""


class NoContract(ChainError):
    """There is no code at the address: wrong address, wrong chain, or a contract that was never deployed."""

    def __init__(self, address: bytes) -> None:
        self.address = address
        super().__init__(f"no contract at 0x{address.hex()} on this chain; correct chain.market or deploy it first")


class ForeignCode(ChainError):
    """A contract is not the one that this version of ours has: it may do anything."""

    def __init__(self, name: str, address: bytes) -> None:
        self.address = address
        super().__init__(
            f"the code of {name} at 0x{address.hex()} is not that of this version: its word proves nothing; use a "
            "market that was deployed by this version, or the version that deployed it"
        )


class TransactionFailed(ChainError):
    """The contract refused a call or a transaction.

    fn: the function.  error: name of the custom error, or "" where there is none.  args: the error's arguments.
    reason: both as text, or what the node said.  sent: whether gas was spent (False: refused at estimation).
    """

    def __init__(
        self, fn: str, reason: str, *, error: str = "", error_args: Sequence[object] = (), sent: bool = False
    ) -> None:
        self.fn = fn
        self.reason = reason
        self.error = error
        self.error_args = tuple(error_args)
        self.sent = sent
        super().__init__(f"{fn} {'reverted on chain' if sent else 'would revert; nothing was sent'}: {reason}")


class InsufficientFunds(ChainError):
    """The wallet cannot pay for a transaction; nothing was sent. Amounts in wei."""

    def __init__(self, address: bytes, needs: int, has: int) -> None:
        self.address = address
        self.needs = needs
        self.has = has
        super().__init__(f"wallet 0x{address.hex()} holds {has} wei and needs {needs}; send it ether")


class DeadlineExceeded(ChainError):
    """Not done within the deadline. A transaction that was signed may still be mined: ask again with the same key."""

    def __init__(self, what: str, seconds: float, why: str = "") -> None:
        self.what = what
        self.seconds = seconds
        super().__init__(f"{what}: not done within {seconds:g} s" + (f" ({why})" if why else ""))


class WalletError(ChainError):
    """The key file is missing, damaged, readable by others, or the passphrase is wrong."""


class DevChainError(ChainError):
    """The local development chain cannot be started or did not come up."""
