"""libp2p made safe: one host, request streams, gossip, blobs, peer book. Nothing else touches libp2p.

Importing this package costs nothing; libp2p itself is loaded by ``omninode.net.service``.
"""

from omninode.net import lean

lean.install()
