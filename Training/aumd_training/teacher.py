"""YAMNet, the teacher of training."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from .commands import InputError, MissingError
from .corpus import Label

#: Name of YAMNet's inner tensor of 1024 values: the average over its last feature map.
EMBEDDING_TENSOR = "global_average_pooling2d/Mean"
EMBEDDING = 1024


def require(folder: Path) -> None:
    """Refuses a folder without the teacher's files."""
    for name in ("yamnet.tflite", "yamnet_class_map.csv"):
        if not (folder / name).is_file():
            raise MissingError(f"{folder / name} is missing; Training/README.md says what the teacher is.")


class Teacher:
    """YAMNet, one window of 15600 samples at a time."""

    def __init__(self, folder: Path, labels: list[Label]) -> None:
        from ai_edge_litert.interpreter import Interpreter

        require(folder)
        try:
            self.model = Interpreter(str(folder / "yamnet.tflite"), num_threads=1, experimental_preserve_all_tensors=True)
            self.model.allocate_tensors()
            details = self.model.get_tensor_details()
            self.embedding = next(d["index"] for d in details if d["name"].endswith(EMBEDDING_TENSOR))
        except (ValueError, RuntimeError, StopIteration) as error:
            raise InputError(f"{folder / 'yamnet.tflite'} is not YAMNet with the tensor {EMBEDDING_TENSOR}.") from error
        self.input, self.output = self.model.get_input_details()[0], self.model.get_output_details()[0]["index"]
        with (folder / "yamnet_class_map.csv").open(newline="", encoding="utf-8") as file:
            index = {row["mid"]: int(row["index"]) for row in csv.DictReader(file)}
        self.classes = np.array([index.get(label.mid, -1) for label in labels])

    def hear(self, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores in the order of the labels (C), 0 where YAMNet lacks the class, and the embedding (1024)."""
        self.model.set_tensor(self.input["index"], window.reshape(self.input["shape"]))
        self.model.invoke()
        scores = self.model.get_tensor(self.output).reshape(-1)[self.classes] * (self.classes >= 0)
        return scores, self.model.get_tensor(self.embedding).reshape(-1)
