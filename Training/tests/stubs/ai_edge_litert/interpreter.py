"""Stands in for TensorFlow Lite and YAMNet: the embedding is a spectrum, the scores are what of it is low and high."""

import numpy as np


class Interpreter:
    def __init__(self, path: str, **options: object) -> None:
        if open(path, "rb").read() != b"stub":
            raise ValueError(f"Could not open '{path}'.")

    def allocate_tensors(self) -> None:
        pass

    def get_input_details(self) -> list[dict]:
        return [{"index": 0, "shape": (15600,)}]

    def get_output_details(self) -> list[dict]:
        return [{"index": 1}]

    def get_tensor_details(self) -> list[dict]:
        return [{"index": 2, "name": "global_average_pooling2d/Mean"}]

    def set_tensor(self, index: int, values: np.ndarray) -> None:
        self.spectrum = np.abs(np.fft.rfft(values, 2048))[:1024].astype(np.float32) / 100

    def invoke(self) -> None:
        pass

    def get_tensor(self, index: int) -> np.ndarray:
        power = self.spectrum**2 + 1e-9
        return np.array([power[:512].sum(), power[512:].sum()]) / power.sum() if index == 1 else self.spectrum
