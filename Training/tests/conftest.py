"""Puts Training/ on the path, so that tests import its modules and scripts."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
