"""The compiled scan and convolution against plain PyTorch in float64: values and gradients."""

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from aumd_training import scan  # noqa: E402


B, L, E, K = 3, 21, 32, 4


def close(got: "torch.Tensor", want: "torch.Tensor") -> None:
    scale = want.abs().max().clamp_min(1e-3)
    assert ((got.double() - want).abs().max() / scale).item() < 2e-5


def on(kernel: str, name: str) -> "tuple[object, str]":
    """A function for the CPU or the GPU, and the device to run it on: without a GPU, Triton's interpreter."""
    if kernel == "CPU":
        return getattr(scan, name), "cpu"
    pytest.importorskip("triton", reason="needs Triton")
    from aumd_training import conv_triton, scan_triton

    return getattr(scan_triton if name == "scan_gated" else conv_triton, name), "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize("kernel", ["CPU", "GPU"])
@pytest.mark.parametrize("states", [4, 8, 16])
@pytest.mark.parametrize("both", [0, 1, B])
@pytest.mark.parametrize("segments", [[], [7, 20]])
def test_scan_matches_loop(kernel: str, states: int, both: int, segments: list[int]) -> None:
    function, device = on(kernel, "scan_gated")
    channels = E if kernel == "CPU" else 12  # a block and a half, which Triton's interpreter takes seconds for
    generator = torch.Generator().manual_seed(states)

    def draw(*shape: int) -> "torch.Tensor":
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    u, dt, z = draw(B, L, channels), draw(B, L, channels) * 3 - 2, draw(B, L, channels)
    a_f, a_b = -torch.exp(draw(channels, states)), -torch.exp(draw(channels, states))
    b, c, d = draw(B, L, states), draw(B, L, states), draw(channels)
    edges = torch.zeros(L, dtype=torch.uint8)
    edges[segments] = 1
    inputs = [u, dt, z, a_f, a_b if both else None, b, c, d]
    doubles = [x if x is None else x.clone().requires_grad_() for x in inputs]
    floats = [x if x is None else x.float().to(device).requires_grad_() for x in inputs]
    weight = draw(B, L, channels)
    want = scan.plain_scan_gated(*doubles, edges, both)
    got = function(*floats, edges.to(device), both)
    close(got.cpu(), want)
    (want * weight).sum().backward()
    (got * weight.float().to(device)).sum().backward()
    for x, y in zip(floats, doubles):
        if x is not None:
            close(x.grad.cpu(), y.grad)


@pytest.mark.parametrize("kernel", ["CPU", "GPU"])
@pytest.mark.parametrize("width", [3, 4])
def test_conv_matches_conv1d(kernel: str, width: int) -> None:
    function, device = on(kernel, "conv_silu")
    x = torch.randn(B, 2 * L, E, dtype=torch.float64, requires_grad=True)  # longer than the GPU kernel's block of tokens
    weight = torch.randn(E, 1, width, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(E, dtype=torch.float64, requires_grad=True)
    padded = torch.nn.functional.pad(x.transpose(1, 2), (width - 1, 0))
    conv = torch.nn.functional.conv1d(padded, weight, bias, groups=E).transpose(1, 2)
    want = torch.nn.functional.silu(conv)
    floats = [t.detach().float().to(device).requires_grad_() for t in (x, weight, bias)]
    got = function(*floats)
    close(got.cpu(), want)
    upstream = torch.randn_like(want)
    (want * upstream).sum().backward()
    (got * upstream.float().to(device)).sum().backward()
    for g, w in zip(floats, (x, weight, bias)):
        close(g.grad.cpu(), w.grad)
