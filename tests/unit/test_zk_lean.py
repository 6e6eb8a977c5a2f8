"""Who plays no session of certificate zk pays nothing for it: neither its arithmetic nor a library is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from omninode.roles.keyring import LazyKeys, NoKeys

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("protocols.bn254", "protocols.zk.key", "omninode.srs.keys", "py_ecc")
PROGRAM = """
import json, sys
from pathlib import Path
import omninode.node, omninode.roles.control_verbs, omninode.roles.services, omninode.roles.sessions
import omninode.roles.verify
import omninode.roles.{role}
from omninode.roles.keyring import LazyKeys
from protocols.sessions import machines
from protocols.sessions.identity import Identity
from protocols.sessions.params import Mode, Rule, SessionParams
from protocols.wire.context import Context
keys = LazyKeys(Path("nowhere"), Path("nowhere"), 1, 31337)
context = Context(1, bytes(20), 7)
identity = Identity(bytes(20), lambda digest: bytes(65), lambda digest, signature: bytes(20), bytes(32))
for mode in Mode:
    params = SessionParams(
        doc_digest=bytes(32), owner=b"o" * 20, owner_peer=bytes(32), mode=mode, dimension=5000, frac_bits=8, bound=5000,
        group_size=1 if mode else 3, groups=6, committee=5, threshold=1, rule=Rule.NONE, mu_bps=0, m_krum=0,
        min_accepted=3, public_sums=False, reward=1, prover_fee=1, deposit=1, gas_price_cap=1, whitelist_root=bytes(32),
        register_blocks=15, upload_blocks=20, settle_blocks=25,
    )
    machines.prover(params, context, identity, bytes(32), None, keys)
    machines.data_owner(params, context, identity, bytes(32), peer_key=bytes(32), keys=keys)
    machines.owner(params, context, identity, bytes(32), keys)
print(json.dumps([name for name in sys.modules if name.startswith({heavy!r})]))
"""


def loaded(role: str) -> list[str]:
    program = PROGRAM.format(role=role, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    names: list[str] = json.loads(done.stdout)
    return names


def test_a_prover_loads_no_proofs() -> None:
    assert loaded("prover") == []


def test_a_data_owner_loads_no_proofs() -> None:
    assert loaded("data_owner") == []


def test_a_model_owner_loads_no_proofs() -> None:
    assert loaded("model_owner") == []


def test_a_keyring_says_whether_there_is_a_string() -> None:
    assert not NoKeys().configured
    assert LazyKeys(Path("nowhere"), Path("nowhere"), 1, 31337).configured
