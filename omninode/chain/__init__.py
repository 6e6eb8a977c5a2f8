"""Everything between omninode and Ethereum: client, wallet, transactions, contract bindings, events, a local chain."""
