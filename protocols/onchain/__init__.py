"""The on-chain baseline (OmniLytics 2021, arXiv 2107.05252): masked models, sums and m-Krum in the contract itself.

Kept to be measured against; nothing of the off-chain modes depends on it.
"""
