"""libp2p without the parts that are not used: smaller, and the parts that are used are the real ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = """
import json, sys
{before}
import omninode.net.service
from libp2p.network.swarm import Swarm
from libp2p.transport.quic.exceptions import QUICStreamResetError
from libp2p.transport.quic.transport import QUICTransport
try:
    QUICTransport(None)
    usable = "yes"
except Exception as error:
    usable = type(error).__name__
print(json.dumps({{
    "usable": usable, "aioquic": "aioquic" in sys.modules, "swarm": Swarm.__module__,
    "error": issubclass(QUICStreamResetError, Exception), "modules": len(sys.modules),
}}))
"""


def loaded(before: str) -> dict[str, Any]:
    """What a fresh interpreter holds after loading the network."""
    program = PROGRAM.format(before=before)
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    result: dict[str, Any] = json.loads(output.stdout)
    return result


def test_unused_parts_are_not_loaded_and_say_so_when_used() -> None:
    lean, full = loaded(""), loaded("import libp2p")
    assert lean["usable"] == "NotImplementedError"
    assert not lean["aioquic"]
    assert lean["error"] and full["error"]  # except clauses need the real ones
    assert lean["swarm"] == full["swarm"] == "libp2p.network.swarm"
    assert full["aioquic"]  # whoever loaded libp2p before us keeps what he has
    assert lean["modules"] < full["modules"] - 200


def test_names_and_books_do_not_load_libp2p() -> None:
    program = (
        "import sys, omninode.net.book, omninode.net.keys, omninode.net.errors, omninode.net.limits\n"
        "assert 'libp2p' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
