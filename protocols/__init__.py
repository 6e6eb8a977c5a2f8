"""The protocols of omninode: sans-IO, deterministic, no clock, no socket, no disk, no torch, no web3."""
