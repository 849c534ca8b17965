"""Scores and their errors by hand, and what an attacker is followed by while it trains."""

import math

import pytest
import torch

from trainables.attackers.base import MONITORED, Reconstructor
from trainables.attackers.decoder import DecoderConfig
from trainables.encodings import CodeBatch
from trainables.metrics import balanced_accuracy_error, mcc, mean_mcc_error
from trainables.scores import attribute_scores, error_of_mean, reconstruction_scores


def of_colour(*colours):
    """Images of one colour each."""
    return torch.tensor(colours).view(-1, 3, 1, 1).expand(-1, 3, 16, 16).contiguous()


def colour(images):
    """A Φ that answers the mean colour."""
    return images.mean(dim=(2, 3))


IMAGES = of_colour([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.0])
REBUILT = of_colour([1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 0.0])


def test_face_similarity_is_the_mean_cosine_of_features():
    scores = reconstruction_scores(
        [(REBUILT[:2], IMAGES[:2], None), (REBUILT[2:], IMAGES[2:], None)], colour
    )
    # The same; 3-4-5; and no direction at all, whose cosine with anything is 0 and not NaN.
    assert scores.per_image.tolist() == pytest.approx([1.0, 0.8, 0.0])
    assert scores.score == scores.metrics["face_similarity"] == pytest.approx(0.6)


def test_features_that_are_known_are_not_asked_for_again():
    asked = []

    def counting(images):
        asked.append(len(images))
        return colour(images)

    known = [(REBUILT, IMAGES, colour(IMAGES))]
    assert reconstruction_scores(known, counting).score == pytest.approx(0.6)
    assert asked == [3]  # what was rebuilt


def test_without_an_identity_model_the_score_is_ssim():
    scores = reconstruction_scores([(REBUILT, IMAGES, None)])
    assert scores.score == scores.metrics["ssim"]
    assert "face_similarity" not in scores.metrics
    assert "ms_ssim" not in scores.metrics  # sides of 16 pixels


def test_errors_are_per_image_and_per_value():
    scores = reconstruction_scores([(REBUILT[1:], IMAGES[1:], None)])
    # (0.36 + 0.04) / 3 of three colours, and 0.25 / 3.
    first, second = 0.4 / 3, 0.25 / 3
    assert scores.metrics["mse"] == pytest.approx((first + second) / 2)
    psnr = -5 * (math.log10(first) + math.log10(second))
    assert scores.metrics["psnr"] == pytest.approx(psnr)


class Repeats(Reconstructor):
    """Answers with the code, which is an image."""

    def __init__(self, features):
        self.config = DecoderConfig(name="decoder")
        self.features = features

    def nets(self):
        return {}

    def optimisers(self):
        return {}

    def train_step(self, batch):
        """Nothing to learn."""

    def reconstruct(self, codes):
        return codes


def batches(num, size=50):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(num, 3, 16, 16, generator=generator)
    codes = (images + 0.3 * torch.rand(images.shape, generator=generator)).clamp(0, 1)
    return [
        CodeBatch(c, i, torch.zeros(len(i), 1))
        for c, i in zip(codes.split(size), images.split(size), strict=True)
    ]


def test_an_attacker_is_followed_by_what_it_is_scored_by():
    split = batches(MONITORED + 40)
    plain = Repeats(None)
    assert plain.monitor(split) == pytest.approx(plain.evaluate(split).score)
    calls = []

    def features(images):
        calls.append(len(images))
        return colour(images)

    faces = Repeats(features)
    told = [batch._replace(features=colour(batch.images)) for batch in split]
    followed = [faces.monitor(told) for _ in range(2)]
    # Φ of the images themselves is known.
    assert calls == [MONITORED] * 2
    scores = faces.evaluate(split).per_image[:MONITORED]
    assert followed == pytest.approx([float(scores.mean())] * 2)
    assert faces.monitor(split) == pytest.approx(followed[0])
    # With Φ how like the same images are is followed too; without it that is the score.
    first = plain.evaluate(split).per_image[:MONITORED]
    assert faces.monitored(told) == pytest.approx((followed[0], float(first.mean())))
    assert plain.monitored(split) == (plain.monitor(split),)


def test_errors_by_hand():
    # Of 4 with the attribute 3 are found (recall 3/4), of 2 without 1 (recall 1/2).
    labels = torch.tensor([[1.0], [1], [1], [1], [0], [0]])
    logits = torch.tensor([[1.0], [1], [1], [-1], [1], [-1]])
    scores = attribute_scores("attribute", [(logits, labels)], (0,), ("Male",), False)
    assert scores.score == pytest.approx(0.625)
    variance = (3 / 4 * 1 / 4 / 4 + 1 / 2 * 1 / 2 / 2) / 4
    assert scores.error == pytest.approx(variance**0.5)
    # Weights that are all the same change nothing; a member that weighs nothing is none.
    same = balanced_accuracy_error(logits, labels, torch.full((6,), 3.0))
    assert float(same) == pytest.approx(variance**0.5)
    half = balanced_accuracy_error(logits, labels, torch.tensor([1.0, 1, 1, 0, 1, 1]))
    assert float(half) == pytest.approx((1 / 8 / 4) ** 0.5)
    # Standard deviation 0.1·√2 of two images, over √2.
    assert error_of_mean(torch.tensor([0.4, 0.6])) == pytest.approx(0.1)
    assert error_of_mean(torch.tensor([0.4])) == 0


def test_the_error_of_a_reconstruction_is_that_of_its_mean():
    images = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    scores = reconstruction_scores([(images.flip(0), images, None)])
    assert scores.error == pytest.approx(float(scores.per_image.std()) / 6**0.5)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_error_of_the_mean_mcc_is_the_jackknifes(weighted: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(40, 3, generator=generator) < 0.4).float()
    logits = labels - 0.5 + 0.8 * torch.randn(40, 3, generator=generator)
    weights = torch.rand(40, generator=generator) + 0.5 if weighted else None
    left = []
    for image in range(40):
        others = torch.arange(40) != image
        own = None if weights is None else weights[others]
        left.append(float(mcc(logits[others], labels[others], own).mean()))
    expected = math.sqrt(39 / 40 * sum((x - sum(left) / 40) ** 2 for x in left))
    assert mean_mcc_error(logits, labels, weights) == pytest.approx(expected, rel=1e-9)


def test_the_error_of_the_mean_mcc_is_what_other_images_would_show() -> None:
    """400 test sets of 300 images: the spread of their MCC is the error that each one states."""
    generator = torch.Generator().manual_seed(1)
    stated, found = [], []
    for _ in range(400):
        labels = (torch.rand(300, 2, generator=generator) < 0.3).float()
        logits = labels - 0.5 + 0.6 * torch.randn(300, 2, generator=generator)
        found.append(float(mcc(logits, labels).mean()))
        stated.append(mean_mcc_error(logits, labels))
    spread = float(torch.tensor(found).std())
    assert sum(stated) / len(stated) == pytest.approx(spread, rel=0.1)


def test_one_image_or_a_constant_answer_has_no_error() -> None:
    assert mean_mcc_error(torch.ones(1, 2), torch.ones(1, 2)) == 0.0
    assert mean_mcc_error(torch.ones(9, 2), torch.tensor([[0.0, 1.0]] * 9)) == 0.0
