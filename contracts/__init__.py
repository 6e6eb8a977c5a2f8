"""Solidity sources, their tests, and the artifacts that the node deploys and talks to."""
