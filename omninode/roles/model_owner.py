"""The model owner: pays for sessions, opens the sum of what was accepted, and goes on training with it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import trio

from omninode.errors import RefusedError
from omninode.learning import bound as bounds
from omninode.learning import fixed_point
from omninode.learning.document import ModelSpec, SessionDocument
from omninode.roles.driver import Machine, SessionDriver
from omninode.roles.owner_model import OwnerModel
from protocols.sessions.owner import OwnerMachine
from protocols.sessions.params import Mode, Phase, Rule, SessionParams

if TYPE_CHECKING:
    from omninode.roles.services import Services
    from protocols.sessions.view import SessionView
