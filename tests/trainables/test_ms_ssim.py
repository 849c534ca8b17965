"""MS-SSIM: the library's values, and its gradient, where each can be had."""

import pytest
import torch
from pytorch_msssim import ms_ssim as library_ms_ssim

from trainables.ms_ssim import ms_ssim, ms_ssim_window


def _pair(height, width, seed=0):
    """Smooth pictures with a little noise: every scale is positively correlated."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, 3, 5, 5, generator=generator)
    image = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    noise = torch.randn(2, 3, height, width, generator=generator)
    return (image + 0.05 * noise).clamp(0, 1), image


@pytest.mark.parametrize(
    ("height", "width", "window"),
    [(176, 162, 11), (161, 161, 11), (48, 48, 3), (65, 48, 3), (81, 97, 5), (99, 130, 7)],
)
def test_ms_ssim_is_the_librarys(height, width, window):
    rebuilt, image = _pair(height, width)
    theirs = library_ms_ssim(
        rebuilt, image, data_range=1.0, size_average=False, win_size=window
    ).tolist()
    ours = ms_ssim(rebuilt, image).tolist()
    assert ours == pytest.approx(theirs, abs=1e-5)
    assert 0.1 < min(ours) < max(ours) < 0.999
    # One image for all of the batch.
    theirs = library_ms_ssim(
        rebuilt, image[:1].expand(2, -1, -1, -1), 1.0, size_average=False, win_size=window
    )
    ours = ms_ssim(rebuilt, image[:1])
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_ms_ssim_of_equal_and_of_opposite_images():
    image = _pair(48, 48)[0]
    assert ms_ssim(image, image).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    # Anti-correlated scales count 0, not a power of a negative number.
    assert ms_ssim(1 - image, image).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("side", "window"),
    [
        (33, 3),
        (64, 3),
        (65, 5),
        (80, 5),
        (96, 5),
        (97, 7),
        (129, 9),
        (160, 9),
        (161, 11),
        (999, 11),
    ],
)
def test_ms_ssim_windows(side, window):
    assert ms_ssim_window(side, 1000) == window
    assert ms_ssim_window(1000, side) == window


@pytest.mark.parametrize("side", [1, 16, 32])
def test_ms_ssim_needs_a_window_of_three_pixels(side):
    with pytest.raises(ValueError, match=f"above 32 pixels, got {side}x48"):
        ms_ssim_window(side, 48)
    with pytest.raises(ValueError, match=f"got 48x{side}"):
        ms_ssim(torch.rand(1, 3, 48, side), torch.rand(1, 3, 48, side))


@pytest.mark.parametrize(("height", "width"), [(48, 48), (65, 49), (97, 130)])
def test_its_gradient_is_that_of_the_librarys_convolutions(height, width):
    torch.manual_seed(0)
    rebuilt, image = (x.double() for x in _pair(height, width))
    for target in (image, image[:1]):
        given = rebuilt.clone().requires_grad_()
        weights = torch.rand(2, dtype=torch.double)
        (ours,) = torch.autograd.grad(ms_ssim(given, target) @ weights, given)
        theirs = library_ms_ssim(
            given, target.expand_as(given), data_range=1.0, size_average=False,
            win_size=ms_ssim_window(height, width),
        )  # fmt: skip
        (expected,) = torch.autograd.grad(theirs @ weights, given)
        assert expected.abs().max() > 1e-4
        # The library's window has seven digits.
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4 * expected.abs().max())


def test_its_gradient_is_the_slope_of_its_values():
    torch.manual_seed(0)
    rebuilt, image = (x.double() for x in _pair(37, 34))
    given = rebuilt.requires_grad_()
    (gradient,) = torch.autograd.grad(ms_ssim(given, image).sum(), given)
    direction, step = torch.randn_like(gradient), 1e-6
    with torch.no_grad():
        ends = [ms_ssim(given + sign * step * direction, image).sum() for sign in (1, -1)]
    slope = (ends[0] - ends[1]) / (2 * step)
    torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-6, atol=1e-9)


def test_what_it_keeps_of_inference_serves_training():
    rebuilt, image = _pair(50, 50)  # a size that no other test has made matrices for
    with torch.inference_mode():
        value = ms_ssim(rebuilt, image)
    given = rebuilt.clone().requires_grad_()
    trained = ms_ssim(given, image)
    assert trained.tolist() == value.tolist()
    trained.sum().backward()
    assert given.grad.abs().max() > 0
