"""A fake strength ladder, and what a study stores of its own instruments."""

import json
from collections.abc import Mapping
from typing import Any

PUBLIC, SPAN = 640, 0.75
"""Public images of the ladder's study, and ceiling minus floor of its decoder."""


def add_rung(
    study: Any,
    encoder_id: str,
    run_id: str,
    attacker: str,
    leakage: float,
    kind: str = "reconstruction",
    data: float = 1.0,
    extra: bool = False,
    budget: int | None = None,
    capacity: float | None = 1.0,
    loss: str = "mse",
    architecture: str = "mirror",
    num_train: int | None = None,
    steps: int = 2000,
    ends: tuple[float, float] = (0.2, 0.95),
    more: Mapping[str, float] | None = None,
    **options: Any,
) -> None:
    """Adds an attack as a new study logs it; `leakage` is on the decoder's scale, 0.2 to 0.95."""
    score = 0.2 + SPAN * leakage
    own = (score - ends[0]) / (ends[1] - ends[0])
    params: dict[str, Any] = {
        "attack_data": data, "attack_extra": extra, "attack_loss": loss,
        "attack_architecture": architecture,
    }  # fmt: skip
    params |= {} if budget is None else {"attack_budget": budget}
    params |= {} if capacity is None else {"attack_capacity": capacity}
    counts = data == 1 and budget is None and options.get("threat") != "white_box"
    study.attack(
        encoder_id, run_id, attacker, params=params, attack_kind=kind,
        counts=str(options.pop("counts", counts)).lower(),
        metrics={
            "score/test": score, "score/selection": score + 0.01, "leakage/test": min(own, 1.0),
            "leakage/selection": min(own, 1.0), "floor": ends[0], "ceiling": ends[1],
            "steps": steps if budget is None else budget, "seconds": 3.5, "num_public": PUBLIC,
            "num_train": num_train or round(data * PUBLIC), **(more or {}),
        },
        **options,
    )  # fmt: skip


def add_climbed(
    study: Any, encoder_id: str, utility: float, strength: float, **options: Any
) -> str:
    """Adds a verified encoder with a whole ladder, all leakages times `strength`.

    Data 1, 3, 10, 30, 100% of 640 images leak .1, .25, .4, .55, .6, another source's images .7.
    """
    cut_point = options.pop("cut_point", "conv4")
    protector = {"undefended": "none"}.get(options.get("role", ""), "reconstruction")
    run_id = study.encoder(
        encoder_id, params={"protector": protector, "cut_point": cut_point},
        metrics={
            "utility/mean_mcc": utility, "utility/mean_mcc_selection": utility,
            "leakage/worst": 0.66 * strength, "leakage/worst_selection": 0.66 * strength,
            "leakage/worst_reconstruction": 0.66 * strength, "saturated": 1.0,
            "leakage/worst_attribute": 0.5 * strength, "leakage/worst_feature": 0.4 * strength,
            "leakage/worst_identity": 0.3 * strength, "num_public": PUBLIC,
            "leakage/decoder": 0.6 * strength, "leakage/decoder_data_1": 0.1 * strength,
            "leakage/optimisation": 0.9 * strength,
        },
        worst_attacker="decoder_unet_deep", **options,
    )  # fmt: skip

    def rung(attacker: str, leakage: float, **values: Any) -> None:
        add_rung(study, encoder_id, run_id, attacker, leakage * strength, **values)

    usable = {"test/worst_decile": 0.8, "test/usable_information/Hat": 0.412}
    rung("decoder", 0.6, more={"test/worst_decile": 0.8, "test/face_similarity": 0.55})
    # On a scale of its own, 0.2 to 0.3, it would leak 0.75 times the strength.
    rung("decoder_data_1", 0.1, data=0.01, ends=(0.2, 0.3))
    for percent, leakage in ((3, 0.25), (10, 0.4), (30, 0.55)):
        rung(f"decoder_data_{percent}", leakage, data=percent / 100, saturated=percent != 30)
    rung("decoder_extra", 0.7, extra=True, num_train=13_000)
    rung("decoder_half", 0.5, capacity=0.5)
    rung("decoder_double", 0.62, capacity=2.0)
    rung("decoder_unet_deep", 0.66, architecture="unet_deep")
    rung("decoder_residual", 0.64, architecture="residual")
    rung("decoder_perceptual", 0.61, loss="mse+perceptual")
    rung("decoder_strong", 0.65, loss="mse+gan+perceptual")
    rung("decoder_ms_ssim", 0.63, loss="ms_ssim")
    for budget, leakage in ((100, 0.3), (300, 0.45), (1000, 0.57)):
        rung(f"decoder_budget_{budget}", leakage, budget=budget, saturated=False)
    # Two differences, no capacity, gradients: none of them a rung.
    rung("decoder_two", 0.9, data=0.1, loss="mse+perceptual")
    rung("generative", 0.6, capacity=None, architecture="generative")
    rung("optimisation", 0.9, capacity=None, architecture="optimisation", threat="white_box")
    own = {"kind": "attribute", "capacity": None, "loss": "cross-entropy", "architecture": "own"}
    rung("attribute", 0.5, more=usable, **own)
    rung("attribute_linear", 0.3, **own | {"architecture": "linear"})
    for percent, leakage in ((3, 0.05), (30, 0.3)):
        rung(f"attribute_data_{percent}", leakage, data=percent / 100, **own)
    rung("attribute_budget_100", 0.2, budget=100, saturated=False, **own)
    rung("feature", 0.4, kind="feature", capacity=None, more={"test/feature_similarity": 0.47})
    rung("reidentify", 0.3, kind="identity", capacity=None, more={"test/rank1": 0.31})
    return run_id


def add_health(study: Any, passed: bool) -> None:
    """Stores health checks, the planted one failed if they have not passed."""
    checks = [
        ("ceiling", "decoder", "reconstruction", 0.97, "≥ 0.95", True, ""),
        ("floor", "decoder", "reconstruction", 0.003, "≤ 0.05", True, ""),
        ("planted", "attribute_linear", "attribute", 0.71 if not passed else 0.995, "≥ 0.99",
         passed, "" if passed else "found in 2 of 5 seeds"),
        ("floor", "attribute", "attribute", None, "yes", True, ""),
    ]  # fmt: skip
    names = ("check", "attacker", "kind", "value", "needed", "passed", "note")
    content = {
        "suite": "standard", "suite_version": 2, "passed": passed,
        "checks": [dict(zip(names, check, strict=True)) for check in checks],
    }  # fmt: skip
    study.client.log_text(study.run_id, json.dumps(content), "health.json")


def add_identity(study: Any, auc: float = 0.978) -> None:
    """Stores who judged the faces."""
    content = {
        "model": "mobilefacenet", "auc": auc, "tpr_at_1_fmr": 0.81, "accuracy": 0.927,
        "num_pairs": 800, "split": "test", "weak": auc < 0.9, "hash": "9f8e7d6c5b4a39281706",
    }  # fmt: skip
    study.client.log_text(study.run_id, json.dumps(content), "identity.json")
