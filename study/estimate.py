"""How long a study would take and how much disk it would fill, from a few measured steps."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from search_spaces import Value
from study.config import StudyConfig
from study.jobs import JobFactory
from study.progress import Plan
from study.sweep import num_cores
from trainables.attackers.base import Target
from trainables.attackers.suite import build_attacker, named_attacker
from trainables.data.batches import Batch
from trainables.data.sources import make_source
from trainables.encodings import CodeBatch
from trainables.nets.backbones import code_spec
from trainables.nets.perceptual import PublicFeatures
from trainables.protectors import PROTECTORS
from trainables.protectors.base import Setting
from trainables.protectors.config import ProtectorConfig

TIMED_STEPS = 3
EVALUATION_SHARE = 0.25
"""Time that evaluations add to the steps, from runs of the quickstart."""
STEPS_SHARE = 0.6
"""Share of `attack.max_steps` an attacker takes before it saturates, from the same runs."""
BYTES_PER_WEIGHT = 4
MEGABYTE = 2**20


@dataclass(frozen=True)
class Estimate:
    """What a study would cost.

    Attributes:
        seconds: Work of all trials together, one after the other.
        megabytes: Disk that images, encoders and MLflow would fill.
        basis: What was measured.
    """

    seconds: float
    megabytes: float
    basis: str


def estimate(config: StudyConfig, jobs: JobFactory, plan: Plan) -> Estimate:
    """Times a few rounds and attack steps on random images, at each protector's default point."""
    threads = torch.get_num_threads()
    random_state = torch.random.get_rng_state()
    try:
        torch.set_num_threads(min(config.resources.cpus_per_protect, num_cores()))
        timed = [_time_rounds(config, point) for point in config.joint.default_points()]
        torch.set_num_threads(min(config.resources.cpus_per_attack, num_cores()))
        step_seconds = _time_attacks(config, jobs)
    finally:
        torch.set_num_threads(threads)
        torch.random.set_rng_state(random_state)
    # Every protector gets about its share of the encoders.
    protect_seconds, num_weights = (sum(one) / len(timed) for one in zip(*timed, strict=True))
    steps = config.attack.max_steps * STEPS_SHARE * (1 + EVALUATION_SHARE)
    verifications = plan.num_encoders + 2  # floor and ceiling
    seconds = config.study.num_encoders * protect_seconds * (1 + EVALUATION_SHARE)
    seconds += verifications * config.attack.seeds * steps * step_seconds
    images = len(make_source(config.data))
    store = images * config.data.height * config.data.width * 3
    per_encoder = num_weights * BYTES_PER_WEIGHT + MEGABYTE / 2
    basis = (
        f"{protect_seconds:.3g} s of rounds per encoder, {step_seconds:.3g} s per step of the "
        "whole suite"
    )
    return Estimate(seconds, (store + plan.num_encoders * per_encoder) / MEGABYTE, basis)


def _time_rounds(config: StudyConfig, point: Mapping[str, Value]) -> tuple[float, float]:
    """Seconds of all rounds of a point, and weights of the nets its encoder leaves on disk."""
    model, settings = config.at(point)
    build = PROTECTORS[str(settings.model_dump()["name"])].build
    if build is None or not isinstance(settings, ProtectorConfig):
        return 0.0, 0.0
    perceptual = _perceptual() if settings.needs_perceptual else None
    data = config.data
    private = tuple(range(1, 1 + len(data.private)))
    setting = Setting(
        model, data.height, data.width, (0,), torch.device("cpu"), perceptual, private
    )
    protector = build(settings, setting)
    # Preparation is cheaper, and short: what is timed is a round of the alternating training.
    protector.rounds = settings.preparation_rounds
    size = settings.batch_size
    labels = (torch.arange(size)[:, None] % 2).float().expand(size, 1 + len(private))
    batch = Batch(_images(config, size), labels, torch.arange(size))

    def draw(balanced: tuple[int, ...] = ()) -> Batch:
        return batch

    nets = protector.nets().values()
    seconds = settings.total_rounds * _time(lambda: protector.round(draw, draw))
    return seconds, float(sum(w.numel() for net in nets for w in net.parameters()))


def _time_attacks(config: StudyConfig, jobs: JobFactory) -> float:
    """Seconds for one step of every attacker of the suite, fewer for those of a small budget."""
    data, size = config.data, config.attack.batch_size
    spec = code_spec(config.model, data.height, data.width)
    names = data.private
    target = Target(
        spec, config.model, data.height, data.width, tuple(range(len(names))), names,
        tuple(0.5 for _ in names), torch.device("cpu"), _perceptual(), features=_features,
    )  # fmt: skip
    images = _images(config, size)
    batch = CodeBatch(
        torch.randn(size, *spec.shape),
        images,
        torch.zeros(size, max(1, len(names))),
        torch.arange(size),
        _features(images),
    )
    total = 0.0
    for name, settings in jobs.suite.attackers.items():
        if named_attacker(name).white_box:
            continue  # does not train, and tries few images
        attacker = build_attacker(dict(settings), target)
        seconds = _time(lambda attacker=attacker: attacker.train_step(batch))  # type: ignore[misc]
        budget = named_attacker(name).budget
        share = 1.0 if budget is None else budget / (config.attack.max_steps * STEPS_SHARE)
        total += min(1.0, share) * seconds
    return total


def _features(images: Tensor) -> Tensor:
    """Features of Φ's size, in its place: they are computed before any attack."""
    return images.flatten(1)[:, :128]


def _time(work: Callable[[], object]) -> float:
    work()  # the first call allocates
    seconds = []
    for _ in range(TIMED_STEPS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    # The least one: whatever else runs on the machine only ever adds.
    return min(seconds)


def _images(config: StudyConfig, size: int) -> Tensor:
    return torch.rand(size, 3, config.data.height, config.data.width)


def _perceptual() -> PublicFeatures:
    """`g` with random weights: it costs what a trained one does."""
    features = PublicFeatures(1).eval()
    features.requires_grad_(False)
    return features
