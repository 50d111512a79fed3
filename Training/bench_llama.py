#!/usr/bin/env python3
"""aumd's recurrent step beside llama.cpp's Mamba of the same shape and weights, one thread, 8 tokens at once.

pip install llama-cpp-python gguf
python3 Training/bench_llama.py .build/release/aumd [--shapes tiny,small,base] [--weights float32] [--peer f32] [--runs 5]

llama.cpp gets the forward direction's weights as a GGUF file, and tokens from a vocabulary of 32: what its head and
embedding cost is next to nothing. The two are measured in turn; ratios are to be read before times.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import gguf
import llama_cpp
import numpy as np

from aumd_training.reference import tensor_shapes
from aumd_training.splitmix import tensor
from bench_peers import aumd, config

COLUMN, VOCABULARY = 8, 32
# Tensor names of a block: the published code's, and GGUF's for Mamba-1.
NAMES = {
    "norm.weight": "attn_norm.weight", "mixer.in_proj.weight": "ssm_in.weight", "mixer.conv1d.weight": "ssm_conv1d.weight",
    "mixer.conv1d.bias": "ssm_conv1d.bias", "mixer.x_proj.weight": "ssm_x.weight", "mixer.dt_proj.weight": "ssm_dt.weight",
    "mixer.dt_proj.bias": "ssm_dt.bias", "mixer.A_log": "ssm_a", "mixer.D": "ssm_d", "mixer.out_proj.weight": "ssm_out.weight",
}

QUANTISED = ("ssm_in.weight", "ssm_out.weight")  # what llama.cpp's own quantiser takes; the small matrices stay floats


def write_gguf(path: Path, sizes: dict[str, object], storage: str) -> None:
    """The forward direction of a model of `aumd bench --shape`, as llama.cpp reads Mamba-1."""
    width, layers = int(sizes["d_model"]), int(sizes["n_layer"])
    file = gguf.GGUFWriter(path, "mamba")
    file.add_context_length(1 << 20)
    file.add_embedding_length(width)
    file.add_feed_forward_length(0)
    file.add_head_count(0)
    file.add_block_count(layers)
    file.add_ssm_conv_kernel(int(sizes["d_conv"]))
    file.add_ssm_inner_size(int(sizes["expand"]) * width)
    file.add_ssm_state_size(int(sizes["d_state"]))
    file.add_ssm_time_step_rank(int(sizes["dt_rank"]))
    file.add_layer_norm_rms_eps(float(sizes["norm_eps"]))
    file.add_tokenizer_model("no_vocab")
    file.add_vocab_size(VOCABULARY)
    shapes = tensor_shapes(sizes, COLUMN)
    for layer in range(layers):
        for ours, theirs in NAMES.items():
            name = f"layers.{layer}.{ours}"
            values = tensor(name, shapes[name], 1, layers, int(sizes["d_conv"]))
            if ours == "mixer.A_log":
                values = -np.exp(values)
            if ours == "mixer.conv1d.weight":
                values = values[:, 0]
            values = np.ascontiguousarray(values, np.float32)
            if storage == "q8_0" and theirs in QUANTISED:
                kind = gguf.GGMLQuantizationType.Q8_0
                file.add_tensor(f"blk.{layer}.{theirs}", gguf.quants.quantize(values, kind), raw_dtype=kind)
            else:
                file.add_tensor(f"blk.{layer}.{theirs}", values)
    file.add_tensor("output_norm.weight", np.ones(width, np.float32))
    file.add_tensor("token_embd.weight", np.random.default_rng(1).normal(size=(VOCABULARY, width)).astype(np.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


# Kept for as long as the process lives: llama.cpp calls it to its end.
SILENT = llama_cpp.llama_log_callback(lambda *_: None)


class Peer:
    """llama.cpp with one model and one sequence."""

    def __init__(self, path: Path) -> None:
        llama_cpp.llama_log_set(SILENT, None)
        llama_cpp.llama_backend_init()
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx, parameters.n_batch, parameters.n_ubatch = 4096, COLUMN, COLUMN
        parameters.n_threads = parameters.n_threads_batch = 1
        self.context = llama_cpp.llama_init_from_model(self.model, parameters)
        if not self.model or not self.context:
            raise SystemExit("llama.cpp does not take the model")
        self.batch = llama_cpp.llama_batch_init(COLUMN, 0, 1)
        self.position = 0

    def milliseconds(self, steps: int) -> float:
        """Median of one step of 8 tokens."""
        times = []
        for _ in range(steps):
            self.batch.n_tokens = COLUMN
            for i in range(COLUMN):
                self.batch.token[i], self.batch.pos[i] = i, self.position + i
                self.batch.n_seq_id[i], self.batch.seq_id[i][0], self.batch.logits[i] = 1, 0, i == COLUMN - 1
            self.position += COLUMN
            start = time.perf_counter()
            if llama_cpp.llama_decode(self.context, self.batch) != 0:
                raise SystemExit("llama.cpp failed at a step")
            times.append(1000 * (time.perf_counter() - start))
        return statistics.median(times)

    def close(self) -> None:
        llama_cpp.llama_batch_free(self.batch)
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--shapes", default="tiny,small,base")
    parser.add_argument("--weights", default="float32", help="how aumd keeps its weights: float32, bfloat16, int8")
    parser.add_argument("--peer", choices=("f32", "q8_0"), default="f32", help="how llama.cpp keeps its weights")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    print("shape      aumd ms  llama.cpp ms  times")
    for shape in arguments.shapes.split(","):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "mamba.gguf"
            write_gguf(path, config(shape), arguments.peer)
            peer = Peer(path)
            peer.milliseconds(8)
            pairs = [
                (aumd(arguments.program, shape, arguments.weights, "recurrent", COLUMN, 15), peer.milliseconds(40))
                for _ in range(arguments.runs)
            ]
            peer.close()
        ours, theirs = (statistics.median(values) for values in zip(*pairs, strict=True))
        print(f"{shape:6} {ours:11.2f} {theirs:13.1f} {theirs / ours:6.1f}", flush=True)


if __name__ == "__main__":
    main()
