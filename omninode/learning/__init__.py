"""Everything about torch and data. Only ``worker``, ``models``, ``training`` and ``simulate*`` import torch; nodes never do."""
