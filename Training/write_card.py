#!/usr/bin/env python3
"""Writes the model card of a folder, with what was measured of it.

python3 Training/write_card.py MODEL [--clips F] [--streams F] [--robustness F] [--esc50 F]

Each F is what evaluate.py, evaluate_streams.py and the others wrote with --json; a part without one is left out. What README.md in
the folder says of data, licence and weaknesses stays.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from safetensors import safe_open

from aumd_training import card


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    for part in card.PARTS:
        parser.add_argument(f"--{part}", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    config = json.loads((arguments.model / "config.json").read_text(encoding="utf-8"))
    with safe_open(arguments.model / "model.safetensors", "pt") as file:
        parameters = sum(file.get_tensor(name).numel() for name in file.keys())
    paths = {part: getattr(arguments, part) for part in card.PARTS}
    figures = {part: json.loads(path.read_text()) for part, path in paths.items() if path}
    path = arguments.model / "README.md"
    told = card.prose(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(card.write(config, parameters, figures, told), encoding="utf-8")


if __name__ == "__main__":
    main()
