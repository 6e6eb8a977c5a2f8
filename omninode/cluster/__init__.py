"""A local cluster: real nodes as processes of this machine, on a development chain."""
