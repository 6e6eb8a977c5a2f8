"""The three roles: each drives protocol machines with the network, the chain, the store and the learning side."""
