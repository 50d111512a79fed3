"""Puts Training/ on the path, so that tests import its modules and scripts, and lets Triton run without a GPU."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    import torch
except ImportError:  # the tests that need it skip themselves
    pass
else:
    if not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported, by whichever test comes first
