"""A fake study, written straight through MlflowClient as `study/tracking.py` lays it out."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from PIL import Image

from tests.analysis.fake_ladder import add_climbed

CONFIG: dict[str, Any] = {
    "study": {"name": "fake", "num_encoders": 6, "sampler": "tpe", "seed": 0},
    "data": {"source": "avatars", "image_size": 32, "utility": "all", "private": ["Hat"]},
    "model": {"backbone": "resnet18", "width": 0.25, "cut_point": ["conv3", "conv4"]},
    "attack": {"suite": "quick", "seeds": 1},
}
DATA: dict[str, Any] = {
    "source": "avatars",
    "height": 32,
    "width": 32,
    "num_images": 4000,
    "split": "image",
    "split_identities": {"private": 400, "public": 400, "selection": 200, "test": 300},
    "split_sizes": {"private": 2560, "public": 640, "selection": 320, "test": 480},
    "utility": ["Smiling", "Eyeglasses", "Beard"],
    "private": ["Hat"],
    "attributes": {
        "Smiling": {"positive_rate": 0.512, "majority_rate": 0.512},
        "Eyeglasses": {"positive_rate": 0.25, "majority_rate": 0.75},
        "Beard": {"positive_rate": 0.496, "majority_rate": 0.504},
        "Hat": {"positive_rate": 0.497, "majority_rate": 0.503},
        "Round_Face": {"positive_rate": 0.5, "majority_rate": 0.5},
    },
    "content_hash": "5f0c",
}
STUDY_PARAMS = {"perceptual": "public", "suite": "quick", "suite_version": 3, "seed": 0}
REFERENCES = {"decoder": (0.2, 0.95), "decoder_strong": (0.2, 0.95), "attribute": (0.5, 0.98)}


class FakeStudy:
    """Writes one study, run by run."""

    def __init__(
        self, uri: str, name: str, status: str = "finished", with_files: bool = True
    ) -> None:
        self.uri, self.name = uri, name
        self.client = MlflowClient(uri)
        # Artifacts go beside the database, not into the working directory.
        artifacts = Path(uri.removeprefix("sqlite:///")).parent / "artifacts" / name
        self.experiment = self.client.create_experiment(name, artifact_location=str(artifacts))
        self.clock = 1_700_000_000_000
        tags = {"kind": "study", "study": name, "status": status}
        self.run_id = self._run(tags, "study", STUDY_PARAMS if with_files else {})
        if with_files:
            self.client.log_text(self.run_id, yaml.safe_dump(CONFIG), "study.yaml")
            self.client.log_text(self.run_id, json.dumps(DATA), "data.json")
        self.client.set_terminated(
            self.run_id,
            "RUNNING" if status == "running" else "FINISHED",
            None if status == "running" else self.clock + 420_000,
        )

    def encoder(
        self,
        encoder_id: str,
        role: str = "searched",
        status: str = "verified",
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        **tags: str,
    ) -> str:
        """Adds an encoder run; returns its run id."""
        tags = {
            "kind": "encoder", "study": self.name, "encoder_id": encoder_id, "role": role,
            "status": status, "trial_id": encoder_id, "mlflow.parentRunId": self.run_id, **tags,
        }  # fmt: skip
        return self._run(tags, f"run of {encoder_id}", params, metrics)

    def attack(
        self,
        encoder_id: str,
        parent: str,
        attacker: str,
        seed: int = 0,
        saturated: bool | None = True,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        curve: list[tuple[int, float, float]] | None = None,
        **more: str,
    ) -> str:
        """Adds an attack run; `curve` is (step, selection score, rate); returns its run id.

        `more` are further tags, such as `attack_kind`, `counts` and `threat`.
        """
        tags = {
            "kind": "attack", "study": self.name, "encoder_id": encoder_id, "attacker": attacker,
            "seed": str(seed), "trial_id": f"{encoder_id}-{attacker}", "status": "finished",
            "mlflow.parentRunId": parent, **more,
        }  # fmt: skip
        if saturated is not None:
            tags["saturated"] = str(saturated).lower()
        params = {"attacker": attacker, "seed": seed, **(params or {})}
        run_id = self._run(tags, attacker, params, metrics)
        points = [
            Metric(key, value, self.clock, step)
            for step, score, rate in curve or []
            for key, value in (("train/selection", score), ("train/rate", rate))
        ]
        if points:
            self.client.log_batch(run_id, metrics=points)
        return run_id

    def strip(self, run_id: str, name: str, shade: int, size: int = 32, count: int = 8) -> None:
        """Stores a PNG strip of `count` squares on an encoder run."""
        pixels = np.full((size, size * count, 3), shade, dtype=np.uint8)
        pixels[size // 4 : size // 2, :: size // 4] = 255 - shade
        self.client.log_image(run_id, Image.fromarray(pixels), f"{name}.png")

    def _run(
        self,
        tags: Mapping[str, str],
        name: str,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> str:
        self.clock += 1000
        run = self.client.create_run(self.experiment, start_time=self.clock, run_name=name)
        self.client.log_batch(
            run.info.run_id,
            metrics=[Metric(key, value, self.clock, 0) for key, value in (metrics or {}).items()],
            params=[Param(key, str(value)) for key, value in (params or {}).items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        return str(run.info.run_id)


MakeStudy = Callable[..., FakeStudy]


def add_attacked(
    study: FakeStudy,
    encoder_id: str,
    utility: float,
    leakages: Mapping[str, float],
    cut_point: str = "conv4",
    role: str = "searched",
    in_loop: float | None = None,
    saturated: bool = True,
    params: Mapping[str, Any] | None = None,
    more: Mapping[str, float] | None = None,
    **tags: str,
) -> str:
    """Adds a verified encoder with one attack per entry of `leakages`; returns its run id."""
    protector = {"undefended": "none", "labels": "labels"}.get(role, "reconstruction")
    params = {"protector": protector, "cut_point": cut_point, **(params or {})}
    worst = max(leakages, key=lambda name: leakages[name])
    metrics = {
        "utility/mean_mcc": utility, "utility/mean_mcc_selection": utility + 0.01,
        "leakage/worst": leakages[worst],
        "leakage/worst_selection": leakages[worst] + 0.01, "saturated": float(saturated),
        "num_public": 640, "cost/parameters": 172_000, "cost/multiply_adds": 2.4e6,
        "cost/code_bytes": 1024, "cost/latency_ms": 0.83, "train/loss": 0.3,
        **{f"leakage/{name}": value for name, value in leakages.items()},
    }  # fmt: skip
    if in_loop is not None:
        metrics |= {"leakage/in_loop": in_loop, "saturation_gap": leakages[worst] - in_loop}
    metrics |= more or {}
    tags = {"worst_attacker": worst, **tags}
    run_id = study.encoder(encoder_id, role, params=params, metrics=metrics, **tags)
    for name, leakage in leakages.items():
        floor, ceiling = REFERENCES.get(name, (0.2, 0.95))
        score = floor + leakage * (ceiling - floor)
        curve = [
            (50 * n, floor + (score - floor) * (1 - 0.5**n), 1e-3 if n < 7 else 1e-4)
            for n in range(11)
        ]
        study.attack(
            encoder_id, run_id, name, saturated=saturated, params=params, curve=curve,
            metrics={
                "score/test": score, "score/selection": score + 0.01, "leakage/test": leakage,
                "leakage/selection": leakage + 0.01, "floor": floor, "ceiling": ceiling,
                "steps": 500, "seconds": 3.5, "num_public": 640,
            },
        )  # fmt: skip
    return run_id


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for all tests (making its schema takes seconds); each uses its own study."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def make_study(tracking_uri: str) -> MakeStudy:
    """Starts an empty fake study: `make_study(name, status=…, with_files=…)`."""

    def make(name: str, **options: Any) -> FakeStudy:
        return FakeStudy(tracking_uri, name, **options)

    return make


@pytest.fixture
def attacked() -> Callable[..., str]:
    """`add_attacked`: adds a verified encoder with its attacks."""
    return add_attacked


@pytest.fixture(scope="session")
def full_study(tracking_uri: str) -> FakeStudy:
    """A finished study of every kind of encoder.

    Hand-worked: frontier {u4 (.80, .60), s1 (.75, .20)}, as s2 (.50, .05) is a lower bound;
    hypervolume .80·.40 + .75·(.60-.20) = .62.
    """
    study = FakeStudy(tracking_uri, "full")
    for encoder_id, role, leakage in (("constant", "floor", 0.0), ("identity", "ceiling", 1.0)):
        add_attacked(study, encoder_id, float("nan"), dict.fromkeys(REFERENCES, leakage), "", role)
    three = ("decoder", "decoder_strong", "attribute")

    def leak(*values: float) -> dict[str, float]:
        return dict(zip(three, values, strict=True))

    add_attacked(study, "lab", 1.0, leak(0.03, 0.04, 0.01), "", "labels")
    u4 = add_attacked(study, "u4", 0.80, leak(0.55, 0.60, 0.40), "conv4", "undefended")
    add_attacked(study, "u3", 0.78, leak(0.70, 0.75, 0.50), "conv3", "undefended")
    weights = {"lambda1": 1.0, "lambda2": 0.0, "encoder_lr_decay": 0.01, "adversary_steps": 3}
    s1 = add_attacked(
        study, "s1", 0.75, leak(0.20, 0.15, 0.10), "conv4", in_loop=0.05,
        params=weights, optuna_trial="0", stopped="all rounds done, not converged",
        encoder_hash="0123456789abcdef", more={"rounds": 600, "converged": 0},
    )  # fmt: skip
    add_attacked(
        study, "s2", 0.50, leak(0.05, 0.04, 0.02), "conv4", in_loop=0.02, saturated=False,
        params=weights | {"lambda1": 8.0, "lambda2": 2.5}, optuna_trial="1",
    )  # fmt: skip
    add_attacked(
        study, "s3", 0.70, leak(0.30, 0.35, 0.33), "conv3", in_loop=0.30,
        params=weights | {"lambda1": 0.3}, optuna_trial="2",
    )  # fmt: skip
    study.encoder(
        "s4", status="diverged", reason="loss is nan in round 12",
        params={"protector": "reconstruction", "cut_point": "conv3", **weights},
        metrics={"utility/mean_mcc": float("nan")},
    )  # fmt: skip
    study.encoder(
        "s5", status="collapsed", reason="<script>alert('reason')</script> & 97% of outputs",
        params={"protector": "reconstruction", "cut_point": "conv4", **weights},
    )  # fmt: skip
    for run_id in (u4, s1):
        for name, shade in (("originals", 90), ("decoder", 120), ("decoder_strong", 150)):
            study.strip(run_id, name, shade)
    return study


@pytest.fixture(scope="session")
def methods_study(tracking_uri: str) -> FakeStudy:
    """A finished study of three methods and two baselines, with leakage told apart by kind.

    Hand-worked: frontier {identity (.82, 1.0), u (.80, .80), o1 (.76, .40), r2 (.60, .30),
    blur (.50, .20)}, as o2 (.70, .10) is a lower bound, l2 collapsed, o1 beats r1 and l1.
    """
    study = FakeStudy(tracking_uri, "methods")

    def add(
        encoder_id: str, method: str, utility: float, rebuilt: float, inferred: float,
        in_loop: tuple[float | None, float | None] = (None, None), role: str = "searched",
        more: Mapping[str, float] | None = None, **values: Any,
    ) -> str:  # fmt: skip
        metrics = {
            "leakage/worst_reconstruction": rebuilt, "leakage/worst_attribute": inferred,
            **(more or {}),
        }  # fmt: skip
        found = (("in_loop", rebuilt, in_loop[0]), ("in_loop_attribute", inferred, in_loop[1]))
        for kind, (name, worst, inside) in zip(("reconstruction", "attribute"), found, strict=True):
            if inside is not None:
                metrics |= {f"leakage/{name}": inside, f"saturation_gap/{kind}": worst - inside}
        params = {"protector": method, **values.pop("params", {})}
        leakages = {"decoder": rebuilt, "attribute": inferred}
        return add_attacked(
            study, encoder_id, utility, leakages, role=role, params=params, more=metrics, **values
        )

    both = {"lambda1": 1.0, "lambda2": 0.5}
    add("lab", "labels", 1.0, 0.02, 0.01, role="labels", cut_point="")
    add("u", "none", 0.80, 0.80, 0.70, role="undefended")
    add("i", "identity", 0.82, 1.0, 0.9, role="baseline", cut_point="")
    add("b", "blur", 0.50, 0.20, 0.15, role="baseline", cut_point="")
    add("n", "noise", 0.40, 0.45, 0.5, role="baseline", cut_point="", params={"sigma": 0.3})
    add("r1", "reconstruction", 0.75, 0.30, 0.50, (0.20, None), params=both)
    add("r2", "reconstruction", 0.60, 0.30, 0.20, (0.05, None), params=both, cut_point="conv3")
    collapse = {
        "collapse/below_0.01": 0.02, "collapse/below_0.5": 0.1, "collapse/total_variance": 812.0,
    }  # fmt: skip
    add("l1", "label_flip", 0.70, 0.60, 0.30, (None, 0.10), params={"alpha": 0.0625}, more=collapse)
    study.encoder(
        "l2", status="collapsed", stopped="<b>97%</b> of the outputs hardly vary",
        params={"protector": "label_flip", "cut_point": "conv4", "alpha": 0.0},
        metrics={
            "collapse/below_0.01": 0.93, "collapse/below_0.5": 0.97, "collapse/total_variance": 3,
            "utility/mean_mcc": 0.12, "utility/mean_mcc_selection": 0.9, "in_loop/attribute": 0.52,
        },
    )  # fmt: skip
    add("o1", "obfuscator", 0.76, 0.40, 0.35, (0.30, 0.05), params=both)
    add("o2", "obfuscator", 0.70, 0.10, 0.05, (0.06, 0.04), params=both, saturated=False)
    study.encoder("o3", status="diverged", reason="loss is nan", params={"protector": "obfuscator"})
    return study


@pytest.fixture(scope="session")
def ladder_study(tracking_uri: str) -> FakeStudy:
    """A finished study with a strength ladder on three encoders, and attackers of all kinds."""
    study = FakeStudy(tracking_uri, "ladder")
    u = add_climbed(study, "u", 0.8, 1.0, role="undefended")
    add_climbed(study, "s1", 0.78, 0.5)
    add_climbed(study, "s2", 0.7, 0.3, cut_point="conv3")
    for name, shade in (("originals", 90), ("decoder", 120), ("decoder_data_1", 200),
                        ("optimisation", 60)):  # fmt: skip
        study.strip(u, name, shade)
    return study
