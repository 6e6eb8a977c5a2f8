"""OmniLytics reproduced: the paper's experiments as cells, each a pure function of its arguments, and a report of them.

``cells`` says what a cell is, ``store`` keeps results, ``pool`` runs what is missing, ``report`` writes Markdown and
plots from what is there. ``learning_cells`` and ``gas_cells`` know the experiments. Nothing here runs inside a node.
"""
