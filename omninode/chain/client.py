"""JSON-RPC to one Ethereum node, from Trio. Every call has a deadline, every failure is a ChainError.

httpx speaks Trio itself, so no threads are needed; the Web3 object would cost each daemon 26 MB and 0.9 s of imports.
"""

from __future__ import annotations

import ipaddress
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import trio

from omninode.chain.abi import AbiError
from omninode.chain.errors import (
    ChainError,
    DeadlineExceeded,
    NoContract,
    RpcError,
    RpcUnavailable,
    TransactionFailed,
    WrongChain,
)
from omninode.chain.interface import Interface, Log, describe_error
from omninode.chain.wire import Block, block_tag, data, parse_block, parse_log, quantity, revert_data

if TYPE_CHECKING:
    import httpx
    from structlog.typing import FilteringBoundLogger

T = TypeVar("T")
MAX_AT_ONCE = 16  # requests in flight to one node; more wait
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 3.0  # seconds between retries, doubling


class ChainClient:
    """One RPC node. Use as an async context manager, or call ``aclose`` at the end."""

    def __init__(self, rpc_url: str, *, timeout: float = 10, log: FilteringBoundLogger | None = None) -> None:
        """rpc_url: http or https. timeout: seconds that any one call may take, connecting included."""
        import httpx
        import structlog

        logging.getLogger("httpx").setLevel(logging.WARNING)  # else it logs every address, keys in it included
        try:
            parsed = httpx.URL(rpc_url)
        except httpx.InvalidURL as error:
            raise ValueError(f"{rpc_url!r} is no RPC address: {error}") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError(f"{rpc_url!r} is no RPC address: http://host:port is wanted")
        self.shown_url = f"{parsed.scheme}://{parsed.host}" + (f":{parsed.port}" if parsed.port else "")
        self.log = log or structlog.get_logger("omninode.chain")
        self.calls = 0
        self.trouble = ""  # why the last exchange failed, "" after one that worked
        self._url = rpc_url
        self._timeout = timeout
        self._local = _is_local(parsed.host)
        self._http: httpx.AsyncClient | None = None
        self._limiter = trio.CapacityLimiter(MAX_AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections. The client may be used again."""
        if self._http is not None:
            http, self._http = self._http, None
            with trio.CancelScope(deadline=trio.current_time() + 1, shield=True):
                await http.aclose()

    async def rpc(self, method: str, *params: object) -> Any:
        """One JSON-RPC request. Raises RpcUnavailable (try again) or RpcError (the node refused)."""
        return (await self.rpc_many([(method, params)]))[0]

    async def rpc_many(self, requests: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        """Several requests in one HTTP exchange; results in order. RpcError for the first that was refused."""
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, (method, params) in enumerate(requests)
        ]
        self.calls += len(body)
        answer = await self._post(json.dumps(body[0] if len(body) == 1 else body).encode())
        entries = [answer] if len(body) == 1 else answer
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise self._down(f"answer to {requests[0][0]} is no JSON-RPC")
        by_id = {entry.get("id"): entry for entry in entries}
        return [self._result(by_id.get(number), method) for number, (method, _) in enumerate(requests)]

    def _result(self, entry: Mapping[str, Any] | None, method: str) -> Any:
        if entry is None:
            raise self._down(f"no answer to {method}")
        if isinstance(error := entry.get("error"), dict):
            code = error.get("code")
            raise RpcError(
                method, code if isinstance(code, int) else 0, str(error.get("message", "")), error.get("data")
            )
        if "result" not in entry:
            raise self._down(f"answer to {method} is no JSON-RPC")
        return entry["result"]

    async def _post(self, body: bytes) -> Any:
        """One HTTP exchange within the deadline, whatever the other side does (accept and be silent, drip, hang up)."""
        import httpx

        if self._http is None:
            self._http = httpx.AsyncClient(
                timeout=None,  # the cancel scope below bounds everything, also a slow drip
                trust_env=not self._local,  # a proxy has no business between us and our own machine
                headers={"content-type": "application/json"},
                limits=httpx.Limits(max_connections=MAX_AT_ONCE, max_keepalive_connections=4, keepalive_expiry=30),
            )
        async with self._limiter:
            return await self._exchange(self._http, body)

    async def _exchange(self, http: httpx.AsyncClient, body: bytes) -> Any:
        import httpx

        try:
            with trio.fail_after(self._timeout):
                response = await http.post(self._url, content=body)
        except trio.TooSlowError:
            raise self._down(f"no answer within {self._timeout:g} s") from None
        except httpx.HTTPError as error:
            raise self._down(str(error) or type(error).__name__) from error
        if response.status_code >= 500 or response.status_code == 429:
            raise self._down(f"HTTP status {response.status_code}")
        try:
            answer = response.json()
        except ValueError:
            raise self._down(f"HTTP status {response.status_code}, no JSON") from None
        self.trouble = ""
        return answer

    def _down(self, why: str) -> RpcUnavailable:
        error = RpcUnavailable(self.shown_url, why)
        self.trouble = str(error)
        return error

    async def retry(self, call: Callable[[], Awaitable[T]], deadline_s: float, what: str = "call") -> T:
        """Repeat ``call`` with growing pauses while the RPC is unavailable. DeadlineExceeded names the last reason."""
        pause, why = FIRST_PAUSE, "the RPC did not answer"
        with trio.move_on_after(deadline_s):
            while True:
                try:
                    return await call()
                except RpcUnavailable as error:
                    self.log.warning("rpc_unavailable", url=self.shown_url, why=error.why, what=what, again_in_s=pause)
                    why = str(error)
                await trio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        raise DeadlineExceeded(what, deadline_s, why)

    async def read(self, parse: Callable[[Any], T], method: str, *params: object) -> T:
        """A request whose answer ``parse`` understands; a node that talks nonsense counts as unavailable."""
        return self._parsed(parse, await self.rpc(method, *params), method)

    async def read_many(self, requests: Sequence[tuple[Callable[[Any], Any], str, Sequence[object]]]) -> list[Any]:
        """Several requests (parse, method, params) in one HTTP exchange."""
        answers = await self.rpc_many([(method, params) for _, method, params in requests])
        return [self._parsed(parse, a, method) for (parse, method, _), a in zip(requests, answers, strict=True)]

    def _parsed(self, parse: Callable[[Any], T], answer: Any, method: str) -> T:
        try:
            return parse(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise self._down(f"answer to {method} is nonsense: {error!r}") from None

    async def chain_id(self) -> int:
        """The chain that the node serves."""
        return await self.read(quantity, "eth_chainId")

    async def check_chain(self, expected: int) -> None:
        """WrongChain unless the node serves ``expected``."""
        if (got := await self.chain_id()) != expected:
            raise WrongChain(expected, got)

    async def check_contract(self, address: bytes) -> None:
        """NoContract unless there is code at ``address``."""
        if await self.rpc("eth_getCode", "0x" + address.hex(), "latest") in ("0x", "", None):
            raise NoContract(address)

    async def block_number(self) -> int:
        """Number of the latest block."""
        return await self.read(quantity, "eth_blockNumber")

    async def block(self, which: int | str = "latest") -> Block | None:
        """Header of a block by number or tag; None where there is none."""
        return await self.read(parse_block, "eth_getBlockByNumber", block_tag(which), False)

    async def balance(self, address: bytes) -> int:
        """Wei at the latest block."""
        return await self.read(quantity, "eth_getBalance", "0x" + address.hex(), "latest")

    async def nonce(self, address: bytes, tag: str = "latest") -> int:
        """Transactions of ``address`` in blocks (tag pending: and waiting); the nonce of the next one."""
        return await self.read(quantity, "eth_getTransactionCount", "0x" + address.hex(), tag)

    async def logs(self, addresses: Sequence[bytes], first: int, last: int, topics: Sequence[object] = ()) -> list[Log]:
        """All logs of the contracts in blocks first..last, in order. topics: as in eth_getLogs."""
        query: dict[str, object] = {"fromBlock": hex(first), "toBlock": hex(last)}
        return await self._logs(query, addresses, topics)

    async def logs_of(self, addresses: Sequence[bytes], block_hash: bytes) -> list[Log]:
        """All logs of the contracts in one block, named by its hash so that no reorg can mix two."""
        return await self._logs({"blockHash": "0x" + block_hash.hex()}, addresses, ())

    async def _logs(self, query: dict[str, object], addresses: Sequence[bytes], topics: Sequence[object]) -> list[Log]:
        query["address"] = ["0x" + address.hex() for address in addresses]
        if topics:
            query["topics"] = list(topics)
        logs = await self.read(lambda entries: [parse_log(entry) for entry in entries], "eth_getLogs", query)
        return sorted(logs, key=lambda log: (log.block, log.index))

    async def call(self, contract: Contract, fn: str, *args: object, block: int | str = "latest") -> Any:
        """Run a view function. TransactionFailed (decoded) where it reverts, NoContract where no code is."""
        function = contract.interface.function(fn)
        request = {"to": "0x" + contract.address.hex(), "data": "0x" + function.call_data(args).hex()}
        try:
            answer = await self.read(data, "eth_call", request, block_tag(block))
        except RpcError as error:
            raise failure(contract.interface, fn, error) or error from None
        if not answer and function.outputs.parts:
            raise NoContract(contract.address)
        try:
            return function.result(answer)
        except AbiError as error:
            raise ChainError(f"{fn}: 0x{contract.address.hex()} is another contract or version: {error}") from None


class Contract:
    """An address with its interface."""

    def __init__(self, address: bytes, interface: Interface) -> None:
        self.address = address
        self.interface = interface


def failure(interface: Interface | None, fn: str, error: RpcError, *, sent: bool = False) -> TransactionFailed | None:
    """A refused call as a revert with its reason, None where the refusal was about something else."""
    said = revert_data(error)
    if said is None:
        return None
    known = interface.decode_error(said) if interface else None
    if known is None:
        return TransactionFailed(fn, f"unknown error 0x{said.hex()}" if said else error.message, sent=sent)
    return TransactionFailed(fn, describe_error(*known), error=known[0], error_args=known[1], sent=sent)


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_private
    except ValueError:
        return False
