"""An attacker that has learned nothing is told from one that has learned a little."""

import pytest
import torch

from tests.trainables.trial_probe import attack_config
from trainables import attack
from trainables.attack import AttackTrial
from trainables.chance import SHUFFLES, at_chance
from trainables.encodings import CodeBatch


def batches_of(codes, labels):
    images = torch.zeros(len(codes), 1)
    return lambda: [CodeBatch(*parts) for parts in zip(codes.split(100), images.split(100),
                                                       labels.split(100), strict=True)]  # fmt: skip


def accuracy(batches):
    """Of guessing that the label is the code's sign."""
    return torch.cat([(b.codes > 0) == (b.labels > 0) for b in batches]).double().mean().item()


@pytest.mark.parametrize(("signal", "expected"), [(0.0, True), (0.5, False)])
def test_guessing_is_at_chance_and_a_weak_signal_is_not(signal, expected):
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(2, (800,), generator=generator).float()
    codes = torch.randn(800, generator=generator) + signal * (2 * labels - 1)
    batches = batches_of(codes, labels)
    assert at_chance(accuracy(batches()), accuracy, batches, min_delta=0.01) is expected


def test_what_says_the_same_of_every_code_is_at_chance():
    scored = []

    def monitor(batches):
        scored.append([batch.codes.tolist() for batch in batches])
        return 0.31

    codes = torch.arange(300.0)
    batches = batches_of(codes, codes)
    assert at_chance(0.311, monitor, batches, min_delta=0.005)
    assert not at_chance(0.316, monitor, batches, min_delta=0.005)
    assert len(scored) == 2 * SHUFFLES
    for one in scored:
        assert [sorted(part) for part in one] == [b.codes.tolist() for b in batches()]
        assert one != [b.codes.tolist() for b in batches()]
    assert scored[:SHUFFLES] == scored[SHUFFLES:], "the same shuffles every time"
    assert scored[0] != scored[1]


@pytest.mark.parametrize(("encoder", "steps"), [("identity", 140), ("constant", 60)])
def test_an_attack_at_chance_is_given_more_steps(encoder, steps, tmp_path, monkeypatch):
    # One that is always at chance: what it is asked for is enough never to decay before.
    monkeypatch.setattr(attack, "at_chance", lambda *_: True)
    times = {"evaluate_every": 10, "patience": 2, "min_steps": 40, "max_steps": 400,
             "chance_patience": 3, "lr": 1e-9, "min_delta": 1.0}  # fmt: skip
    config = attack_config(tmp_path / "cache", tmp_path, encoder, ["attribute_linear"], **times)
    trial = AttackTrial(config)
    while not (report := trial.step())["done"]:
        pass
    (result,) = report["results"]
    assert result["saturated"]
    assert result["steps"] == steps
