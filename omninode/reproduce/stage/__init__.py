"""Whole sessions in one process: real machines, wallets and contracts on a local chain; the network is simulated."""
