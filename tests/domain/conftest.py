"""Lets the tests of this folder import their fakes by name (`lane_world`), whatever else is called `tests`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
