"""Everything about torch and data.

Only ``worker``, ``models``, ``training`` and ``simulate*`` import torch; a node imports none of them.
"""
