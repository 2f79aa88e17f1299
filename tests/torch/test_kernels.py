"""Convolutions as the matrices that they are: singular values, the variance they pass on, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch import InitializeOptions, initialize_
from freeness.torch.model.sampling import haar_spectrum
from freeness.torch.start.kernels import drawn_weight


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def matrix_of(layer: nn.Module, channels: int, positions: tuple[int, ...]) -> Tensor:
    """The linear map of a layer without bias, column by column."""
    size = channels * math.prod(positions)
    with torch.no_grad():
        images = layer(torch.eye(size, dtype=torch.float64).reshape(size, channels, *positions))
    return images.reshape(size, -1).T


KINDS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


@pytest.mark.parametrize("positions", [(7,), (5, 4), (3, 4, 3)])
@pytest.mark.parametrize(("channels_in", "channels_out", "groups"), [(4, 4, 1), (2, 6, 1), (6, 3, 1), (4, 8, 2)])
@pytest.mark.parametrize("padding_mode", ["circular", "zeros"])
def test_delta_orthogonal_convolutions_have_all_singular_values_sigma_w(
    positions: tuple[int, ...], channels_in: int, channels_out: int, groups: int, padding_mode: str
) -> None:
    layer = KINDS[len(positions)](
        channels_in,
        channels_out,
        3,
        padding=1,
        bias=False,
        groups=groups,
        padding_mode=padding_mode,
        dtype=torch.float64,
    )
    (record,) = initialize_(layer, "haar", sigma_w=1.3, generator=seeded(1))
    gain = max(1.0, channels_out / channels_in) ** 0.5
    assert record.gain == pytest.approx(gain) and record.note == "delta-orthogonal"
    values = torch.linalg.svdvals(matrix_of(layer, channels_in, positions))
    np.testing.assert_allclose(values, 1.3 * gain, rtol=1e-12)
    assert record.sigma_w == pytest.approx(1.3 * gain) and record.kind == type(layer).__name__


@pytest.mark.parametrize("positions", [(7,), (6,), (5, 4), (3, 4, 3)])
@pytest.mark.parametrize(("channels_in", "channels_out", "groups"), [(4, 4, 1), (2, 5, 1), (5, 2, 1), (4, 4, 2)])
def test_fft_orthogonal_convolutions_have_all_singular_values_sigma_w_on_the_circle(
    positions: tuple[int, ...], channels_in: int, channels_out: int, groups: int
) -> None:
    layer = KINDS[len(positions)](
        channels_in, channels_out, positions, padding="same", padding_mode="circular", bias=False, groups=groups,
        dtype=torch.float64,
    )  # fmt: skip
    options = InitializeOptions(convolution="fft", positions=positions)
    (record,) = initialize_(layer, "haar", sigma_w=0.7, generator=seeded(2), options=options)
    values = torch.linalg.svdvals(matrix_of(layer, channels_in, positions))
    np.testing.assert_allclose(values, 0.7 * max(1.0, channels_out / channels_in) ** 0.5, rtol=1e-12)
    assert "every frequency" in record.note
    assert int((layer.weight.abs() > 1e-12).sum()) == layer.weight.numel()  # every tap is used


def test_kernels_are_haar_at_every_frequency() -> None:
    """E |Û_11|² = 1/N, E |Û_11|⁴ = 2/(N(N+1)) where complex, 3/(N(N+2)) where real; opposite frequencies conjugate."""
    n, count, taps = 3, 4000, 4
    generator = seeded(3)
    spectra = torch.stack([torch.fft.fft(haar_spectrum(n, n, (taps,), generator), dim=2)[0, 1] for _ in range(count)])
    np.testing.assert_allclose(spectra[:, 1], spectra[:, 3].conj().resolve_conj(), atol=1e-12)
    for frequency, fourth in ((0, 3 / (n * (n + 2))), (2, 3 / (n * (n + 2))), (1, 2 / (n * (n + 1)))):
        for power, wanted in ((2, 1 / n), (4, fourth)):
            values = spectra[:, frequency].abs() ** power
            assert abs(float(values.mean()) - wanted) < 4 * float(values.std()) / math.sqrt(count)


@pytest.mark.parametrize("transposed", [False, True])
def test_patches_that_do_not_overlap_get_a_semi_orthogonal_matrix(transposed: bool) -> None:
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer = kind(5, 6, (2, 3), stride=(2, 3), bias=False, dtype=torch.float64)
    (record,) = initialize_(layer, "haar", sigma_w=1.1)
    positions = (2, 2) if transposed else (4, 6)
    values = torch.linalg.svdvals(matrix_of(layer, 5, positions))
    gain = math.sqrt(36 / 5) if transposed else 1.0
    np.testing.assert_allclose(values, 1.1 * gain, rtol=1e-12)
    assert record.gain == pytest.approx(gain) and "patches" in record.note


@pytest.mark.parametrize("weights", ["haar", "gaussian", "identity"])
@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(40, 40, 3, padding=1, padding_mode="circular"), nn.Conv1d(30, 60, 5, padding="same"),
        nn.Conv2d(60, 30, 1), nn.Conv2d(32, 32, 4, stride=4), nn.ConvTranspose2d(64, 32, 2, stride=2),
        nn.ConvTranspose1d(64, 64, 4, stride=2, padding=1), nn.Conv2d(40, 80, 3, padding=1, groups=4),
        nn.ConvTranspose1d(30, 30, 3, padding=1),
    ],
    ids=repr,
)  # fmt: skip
def test_convolutions_keep_the_variance(layer: nn.Module, weights: str) -> None:
    """q = σ_w² q̂ + σ_b² over channels and positions, the borders of zero padding and of transposes left out."""
    if (
        weights == "identity"
        and isinstance(layer, nn.modules.conv._ConvNd)
        and layer.transposed
        and max(layer.stride) > 1
    ):
        pytest.skip("the identity in one tap leaves positions of a strided transposed convolution empty, as it says")
    layer = layer.double()
    initialize_(layer, weights, sigma_w=1.2, sigma_b=0.3, generator=seeded(4))  # pyright: ignore[reportArgumentType]
    spatial = layer.weight.ndim - 2  # pyright: ignore
    x = torch.randn(40, layer.in_channels, *[16] * spatial, generator=seeded(5), dtype=torch.float64)  # pyright: ignore
    with torch.no_grad():
        h = layer(x)
    inner = h[(..., *[slice(3, -3) if size > 8 else slice(None) for size in h.shape[2:]])]
    assert float(inner.square().mean()) == pytest.approx(1.44 + 0.09, rel=0.1)


def test_gaussian_kernels_have_fan_in_variance_in_every_tap() -> None:
    layer = nn.Conv2d(16, 32, 3, groups=2, dtype=torch.float64)
    found = drawn_weight(layer, "gaussian", seeded(6))
    assert float(found.weight.square().mean()) == pytest.approx(1 / (8 * 9), rel=0.1)
    assert found.gain == 1.0


def test_strided_kernels_say_what_they_leave_out() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 3, stride=2, padding=1), nn.ConvTranspose2d(4, 4, 3, stride=2))
    records = initialize_(model)
    assert "one position in 4" in records[0].note
    assert records[1].note.startswith("Gaussian")


@pytest.mark.parametrize(
    ("layer", "positions", "message"),
    [
        (nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular"), None, "got none; pass positions"),
        (nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular"), (8, 8), "full spatial support"),
        (nn.Conv2d(3, 3, 3, padding=1), (3, 3), "circular"),
        (nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular", stride=2), (3, 3), "no stride"),
        (nn.ConvTranspose2d(3, 3, 3, padding=1), (3, 3), "delta-orthogonal"),
    ],
)
def test_fft_orthogonality_says_why_not_and_writes_nothing(
    layer: nn.Module, positions: tuple[int, ...] | None, message: str
) -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular"), layer)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    with pytest.raises(InputError, match=message):
        initialize_(model, options=InitializeOptions(convolution="fft", positions=positions))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
