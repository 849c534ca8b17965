"""An attacker that has learned nothing is told from one that has learned a little."""

import pytest
import torch

from tests.trainables.trial_probe import attack_config
from trainables import attack
from trainables.attack import AttackTrial
from trainables.chance import at_chance
from trainables.encodings import CodeBatch


def batches_of(codes, labels):
    """In two batches of unequal size."""
    images = torch.zeros(len(codes), 1)
    sizes = [len(codes) - 1, 1]
    parts = zip(codes.split(sizes), images.split(sizes), labels.split(sizes), strict=True)
    made = [CodeBatch(*part) for part in parts]
    return lambda: iter(made)


def test_every_image_gets_the_mean_code():
    seen = []

    def monitor(batches):
        seen.extend(batch.codes for batch in batches)
        return 0.5

    codes = torch.tensor([[[1.0, 2.0]], [[3.0, 0.0]], [[8.0, 1.0]]])
    at_chance(0.5, monitor, batches_of(codes, torch.zeros(3)), min_delta=0.01)
    assert torch.cat(seen).tolist() == 3 * [[[4.0, 1.0]]]


def test_by_how_much_a_score_must_beat_the_one_without_codes():
    batches = batches_of(torch.zeros(4, 2), torch.zeros(4))
    for score, expected in ((0.30, True), (0.349, True), (0.351, False)):
        assert at_chance(score, lambda _: 0.3, batches, min_delta=0.01) is expected


def test_an_answer_that_follows_the_code_is_not_at_chance():
    labels = torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0, 0.0])
    batches = batches_of(2 * labels - 1, labels)

    def accuracy(answer):
        return lambda batches: (
            torch.cat([answer(b.codes) == b.labels for b in batches]).double().mean().item()
        )

    told, guessed = accuracy(lambda z: (z > 0).float()), accuracy(torch.ones_like)
    assert not at_chance(told(batches()), told, batches, min_delta=0.01)
    assert at_chance(guessed(batches()), guessed, batches, min_delta=0.01)


@pytest.mark.parametrize(("encoder", "steps"), [("identity", 140), ("constant", 60)])
def test_an_attack_at_chance_is_given_more_steps(encoder, steps, tmp_path, monkeypatch):
    # An improvement of 1.0 is never seen: only patience, and patience at chance, decide the end.
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
