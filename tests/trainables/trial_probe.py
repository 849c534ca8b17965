"""What tests of whole trials share: small configurations, and running them to the end."""

from trainables.attackers.config import AttackConfig
from trainables.attackers.suite import named_attacker
from trainables.data.config import DataConfig
from trainables.nets.config import ModelConfig
from trainables.protectors import PROTECTORS

DATA = DataConfig(
    num_images=600, image_size=32, private=("Pale_Skin",), utility=("Smiling", "Eyeglasses")
)
MODEL = ModelConfig(width=0.125, cut_point="conv1")
TIMES = {"seconds", "cost/latency_ms"}


def protect_config(cache, output, name="reconstruction", data=DATA, model=MODEL, **values):
    settings = PROTECTORS[name].config(**values).model_dump(mode="json")
    return {
        "data": data.model_dump(mode="json"),
        "model": model.model_dump(mode="json"),
        "protector": settings,
        "seed": 5,
        "output": str(output),
        "cache": str(cache),
    }


def attack_config(cache, output, encoder, attackers, data=DATA, model=MODEL, **values):
    settings = {"evaluate_every": 20, "max_steps": 40, "min_steps": 0, "batch_size": 32, **values}
    return {
        "data": data.model_dump(mode="json"),
        "model": model.model_dump(mode="json"),
        "attack": AttackConfig(**settings).model_dump(mode="json"),
        "attackers": [named_attacker(name).model_dump(mode="json") for name in attackers],
        "encoder": str(encoder),
        "seed": 7,
        "output": str(output),
        "cache": str(cache),
        "in_loop": True,
        "people": True,
    }


def finish(trial):
    results = [trial.step()]
    while not results[-1]["done"]:
        results.append(trial.step())
    return results


def without_times(value):
    """Drops every measured time, at any depth."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    return [without_times(v) for v in value] if isinstance(value, list) else value
