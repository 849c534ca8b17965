"""The defences as a paper's repository trains them: what ours is compared with.

The same nets, updates and batch, and none of the levers: a DataLoader over image files, float32,
the default memory format, the whole backbone run to get z, weight gradients left on in nets that
stand still, every loss read back at every step.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from trainables.losses import (
    MS_SSIM_LOSS_FLOOR,
    adversarial_loss,
    discriminator_loss,
    perceptual_loss,
)
from trainables.ms_ssim import MS_SSIM_WEIGHTS, ms_ssim_window
from trainables.protectors.obfuscator import Obfuscator
from trainables.protectors.reconstruction import Reconstruction

QUALITY = 95
"""Of the JPEG files, as CelebA's."""

Labelled = tuple[Tensor, Tensor]


class ImageFiles(Dataset[Labelled]):
    """Photographs in a folder, read, scaled and turned into tensors one by one.

    Args:
        folder: Of `NUMBER.jpg` files.
        labels: [N, A], of each number.
        size: (height, width) in pixels.
    """

    def __init__(self, folder: Path, labels: NDArray[np.uint8], size: tuple[int, int]) -> None:
        self.folder, self.labels = folder, np.array(labels)  # the store's cannot be written to
        self.transform = transforms.Compose([transforms.Resize(size), transforms.ToTensor()])

    def __len__(self) -> int:
        """Number of photographs."""
        return len(self.labels)

    def __getitem__(self, index: int) -> Labelled:
        """One image [3, H, W] in [0, 1] and its labels [A]."""
        image = Image.open(self.folder / f"{index:06d}.jpg").convert("RGB")
        return self.transform(image), torch.from_numpy(self.labels[index]).float()


def write_files(folder: Path, images: NDArray[np.uint8]) -> None:
    """Writes images [N, H, W, 3] as `ImageFiles` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, pixels in enumerate(images):
        Image.fromarray(pixels).save(folder / f"{index:06d}.jpg", quality=QUALITY)


def endless(
    files: Dataset[Labelled], batch_size: int, workers: int, seed: int
) -> Iterator[Labelled]:
    """Shuffled batches without end, loaded by processes of their own."""
    generator = torch.Generator().manual_seed(seed)
    loader = DataLoader(
        files,
        batch_size,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
        generator=generator,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
    while True:
        yield from loader


def train_discriminator(
    net: nn.Module, optimiser: torch.optim.Optimizer, images: Tensor, rebuilt: Tensor
) -> float:
    """`max_D log D(x) + log(1 - D(x̂))`, real and rebuilt images in a pass each."""
    loss = discriminator_loss(net(images), net(rebuilt.detach()))
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


def plainly(net: nn.Module) -> nn.Module:
    """Puts a net into the default memory format."""
    return net.to(memory_format=torch.contiguous_format)


class PlainReconstruction:
    """Xiao's round, on the nets of a protector of ours.

    Args:
        ours: Its nets are taken over: it is not to be trained any more.
    """

    def __init__(self, ours: Reconstruction) -> None:
        self.config, self.setting = ours.config, ours.setting
        self.device = ours.setting.device
        self.encoder, self.head = plainly(ours.encoder), plainly(ours.head)
        self.decoder = plainly(ours.decoder)
        self.discriminator = None if ours.discriminator is None else plainly(ours.discriminator)
        self.columns = list(ours.setting.utility_columns)
        weights = [*self.encoder.parameters(), *self.head.parameters()]
        self.optimiser = torch.optim.Adam(weights, ours.config.encoder_lr)
        rate = ours.config.adversary_lr
        self.decoder_optimiser = torch.optim.Adam(self.decoder.parameters(), rate)
        if self.discriminator is not None:
            self.discriminator_optimiser = torch.optim.Adam(self.discriminator.parameters(), rate)

    def round(self, private: Iterator[Labelled], public: Iterator[Labelled]) -> list[float]:
        """The adversary's updates, then the protector's; returns the losses."""
        losses = []
        for _ in range(self.config.adversary_steps):
            losses += self._adversary(next(public)[0].to(self.device))
        images, labels = (part.to(self.device) for part in next(private))
        return losses + self._protector(images, labels[:, self.columns])

    def _adversary(self, images: Tensor) -> list[float]:
        self.encoder.eval()
        self.head.eval()
        codes = self.encoder(images)
        self.head(codes)
        self.decoder.train()
        rebuilt = self.decoder(codes.detach())
        loss = F.mse_loss(rebuilt, images)
        losses = []
        if self.config.mu2 > 0:
            loss = loss + self.config.mu2 * self._perceptual(rebuilt, images)
        if self.discriminator is not None:
            optimiser = self.discriminator_optimiser
            losses.append(train_discriminator(self.discriminator, optimiser, images, rebuilt))
            fooled = adversarial_loss(self.discriminator(rebuilt), self.config.saturating)
            loss = loss + self.config.mu1 * fooled
        self.decoder_optimiser.zero_grad()
        loss.backward()
        self.decoder_optimiser.step()
        return [*losses, loss.item()]

    def _protector(self, images: Tensor, labels: Tensor) -> list[float]:
        self.encoder.train()
        self.head.train()
        codes = self.encoder(images)
        utility = F.binary_cross_entropy_with_logits(self.head(codes), labels)
        rebuilt = self.decoder(codes)
        pixel = F.mse_loss(rebuilt, images)
        loss = utility - self.config.lambda1 * pixel
        if self.config.lambda2 > 0:
            loss = loss - self.config.lambda2 * self._perceptual(rebuilt, images)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return [utility.item(), pixel.item()]

    def _perceptual(self, rebuilt: Tensor, images: Tensor) -> Tensor:
        network = self.setting.perceptual
        assert network is not None, "checked when the protector was built"
        return perceptual_loss(network(rebuilt), network(images))


class PlainObfuscator:
    """DeepObfuscator's cycle of four batches, on the nets of a protector of ours.

    Args:
        ours: Its nets are taken over: it is not to be trained any more.
    """

    def __init__(self, ours: Obfuscator) -> None:
        assert ours.reconstructor is not None
        assert ours.attribute_classifier is not None
        self.config, self.device = ours.config, ours.setting.device
        self.encoder, self.head = plainly(ours.encoder), plainly(ours.head)
        self.reconstructor = plainly(ours.reconstructor)
        self.inference = plainly(ours.attribute_classifier)
        self.noise = ours.target.image
        self.utility, self.private = (
            list(columns)
            for columns in (ours.setting.utility_columns, ours.setting.private_columns)
        )
        rate = ours.config.adversary_lr
        self.optimiser = torch.optim.Adam(self.encoder.parameters(), ours.config.encoder_lr)
        self.optimisers = {
            net: torch.optim.Adam(net.parameters(), rate)
            for net in (self.head, self.reconstructor, self.inference)
        }

    def round(self, private: Iterator[Labelled], public: Iterator[Labelled]) -> list[float]:
        """One cycle; returns the losses."""
        return [
            *self._against_reconstruction(*self._next(private)),
            *self._against_inference(*self._next(private)),
            *self._adversaries(*self._next(private)),
            *self._recover(*self._next(private)),
        ]

    def _next(self, private: Iterator[Labelled]) -> Labelled:
        images, labels = next(private)
        return images.to(self.device), labels.to(self.device)

    def _against_reconstruction(self, images: Tensor, labels: Tensor) -> list[float]:
        self.encoder.train()
        codes = self.encoder(images)
        utility = _entropy(self.head(codes), labels[:, self.utility])
        rebuilt = self.reconstructor(codes)
        noise, own = plain_ms_ssim_loss(rebuilt, self.noise), plain_ms_ssim_loss(rebuilt, images)
        self._step(utility + self.config.lambda2 * (noise - own))
        return [utility.item(), noise.item(), own.item()]

    def _against_inference(self, images: Tensor, labels: Tensor) -> list[float]:
        self.encoder.train()
        codes = self.encoder(images)
        utility = _entropy(self.head(codes), labels[:, self.utility])
        inference = _entropy(self.inference(codes), labels[:, self.private])
        self._step(utility - self.config.lambda1 * inference)
        return [utility.item(), inference.item()]

    def _adversaries(self, images: Tensor, labels: Tensor) -> list[float]:
        self.encoder.eval()
        codes = self.encoder(images)
        self.head(codes)
        codes = codes.detach()
        rebuilt = plain_ms_ssim_loss(self.reconstructor(codes), images)
        inference = _entropy(self.inference(codes), labels[:, self.private])
        for net, loss in ((self.reconstructor, rebuilt), (self.inference, inference)):
            self._step(loss, self.optimisers[net])
        return [rebuilt.item(), inference.item()]

    def _recover(self, images: Tensor, labels: Tensor) -> list[float]:
        self.encoder.eval()
        loss = _entropy(self.head(self.encoder(images)), labels[:, self.utility])
        self._step(loss, self.optimisers[self.head])
        return [loss.item()]

    def _step(self, loss: Tensor, optimiser: torch.optim.Optimizer | None = None) -> None:
        optimiser = optimiser or self.optimiser
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def plain_ms_ssim_loss(rebuilt: Tensor, target: Tensor) -> Tensor:
    """1 - MS-SSIM of the library's terms, kept off 0 as ours are, or it would have no gradient."""
    from pytorch_msssim.ssim import _ssim

    side = ms_ssim_window(*target.shape[2:])
    places = torch.arange(side, dtype=target.dtype, device=target.device) - side // 2
    window = torch.softmax(-places.square() / (2 * 1.5**2), dim=0).expand(3, 1, 1, -1)
    terms = []
    for scale in range(len(MS_SSIM_WEIGHTS)):
        if scale:
            padding = [side % 2 for side in target.shape[2:]]
            rebuilt, target = (
                F.avg_pool2d(x, kernel_size=2, padding=padding) for x in (rebuilt, target)
            )
        whole, contrast = _ssim(rebuilt, target, data_range=1.0, win=window, size_average=False)
        terms.append(whole if scale == len(MS_SSIM_WEIGHTS) - 1 else contrast)
    powers = [
        term.clamp_min(MS_SSIM_LOSS_FLOOR) ** weight
        for term, weight in zip(terms, MS_SSIM_WEIGHTS, strict=True)
    ]
    return 1 - torch.stack(powers).prod(dim=0).mean()


def _entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, labels)
