r"""How long the tables, figures and report of a study take to be rebuilt, and how much memory.

    python benchmarks/report.py                  200 encoders, 8 attackers
    python benchmarks/report.py --encoders 2000

Writes a made-up study of that size into an MLflow database of its own, laid out as a study's
(searched values, curves, codes, a strip of reconstructions per attacker and encoder), and rebuilds
it in a process of one core. What is measured is `python -m analysis`, the start of Python included.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from PIL import Image

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.machine import show_and_keep
from benchmarks.tables import markdown

ROOT = Path(__file__).resolve().parent.parent
ATTACKERS = {
    "decoder": "reconstruction", "decoder_strong": "reconstruction", "decoder_gan":
    "reconstruction", "linear": "reconstruction", "attribute": "attribute", "attribute_linear":
    "attribute", "feature": "feature", "reidentify": "identity",
}  # fmt: skip
"""Eight attackers by kind."""
CURVE_STEPS = 30
DATA = {
    "source": "avatars", "height": 64, "width": 64, "num_images": 4000, "utility": ["Smiling"],
    "private": ["Hat"], "split_sizes": {"private": 2560, "public": 640, "selection": 320,
                                        "test": 480},
}  # fmt: skip


class Made:
    """A made-up study.

    Args:
        folder: Where the database and the artifacts lie.
        num_encoders: Searched encoders.
    """

    def __init__(self, folder: Path, num_encoders: int) -> None:
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        self._client = MlflowClient(self.uri)
        self._folder = folder / "artifacts"
        self._experiment = self._client.create_experiment("made", str(self._folder))
        self._clock = 1_700_000_000_000
        self._random = np.random.default_rng(0)
        study = self._run("study", "made", {"status": "finished"}, {"suite": "standard"}, {})
        self._client.log_text(study, yaml.safe_dump({"study": {"name": "made"}}), "study.yaml")
        self._client.log_text(study, json.dumps(DATA), "data.json")
        self._study = study
        self._strip, self._codes = self._picture(), self._packed_codes()
        for number in range(num_encoders):
            self._encoder(number)

    def _encoder(self, number: int) -> None:
        utility, hidden = self._random.uniform(0.5, 1), self._random.uniform(0.2, 1)
        role = "undefended" if number < 2 else "searched"
        leakages = {name: hidden * self._random.uniform(0.6, 1) for name in ATTACKERS}
        worst = max(leakages, key=lambda name: leakages[name])
        cut = ["conv3", "conv4"][number % 2]
        params = {
            "protector": "none" if number < 2 else "reconstruction", "cut_point": cut,
            "lambda1": round(float(self._random.uniform(1, 30)), 3), "lambda2": 0.3,
        }  # fmt: skip
        metrics = {
            "utility/mean_mcc": utility, "utility/mean_mcc_selection": utility,
            "leakage/worst": leakages[worst], "leakage/worst_selection": leakages[worst],
            "saturated": 1.0, "num_public": 640, "cost/parameters": 172_000,
            "cost/multiply_adds": 2.4e6, "cost/code_bytes": 1024, "cost/latency_ms": 0.8,
            "leakage/in_loop": 0.5 * hidden, "saturation_gap": leakages[worst] - 0.5 * hidden,
            "seconds/protect": 60.0, "rounds": 360, "converged": 1.0,
            **{f"leakage/{name}": value for name, value in leakages.items()},
            **{f"leakage/worst_{kind}": max(v for n, v in leakages.items() if ATTACKERS[n] == kind)
               for kind in dict.fromkeys(ATTACKERS.values())},
        }  # fmt: skip
        tags = {
            "encoder_id": f"e{number}", "trial_id": f"e{number}", "role": role, "status":
            "verified", "worst_attacker": worst, "mlflow.parentRunId": self._study,
        }  # fmt: skip
        curve = {
            "train/loss": [1 / (1 + step) for step in range(CURVE_STEPS)],
            "train/utility": [step / CURVE_STEPS for step in range(CURVE_STEPS)],
        }
        run = self._run("encoder", f"encoder {number}", tags, params, metrics, curve)
        place = self._folder / run / "artifacts"
        place.mkdir(parents=True)
        for name in ("originals", "code", "decoder", "decoder_strong", "decoder_gan", "linear"):
            (place / f"{name}.png").write_bytes(self._strip)
        (place / "codes.npz").write_bytes(self._codes)
        for name, leakage in leakages.items():
            own = {
                "encoder_id": f"e{number}", "attacker": name, "seed": "0", "trial_id":
                f"e{number}-{name}", "status": "finished", "saturated": "true", "counts": "true",
                "attack_kind": ATTACKERS[name], "mlflow.parentRunId": run,
            }  # fmt: skip
            scores = {
                "score/test": leakage, "score/selection": leakage, "leakage/test": leakage,
                "leakage/selection": leakage, "floor": 0.0, "ceiling": 1.0, "steps": 500,
                "seconds": 3.5, "num_public": 640,
            }  # fmt: skip
            rising = [leakage * (1 - 0.7**step) for step in range(CURVE_STEPS)]
            curve = {"train/selection": rising, "train/rate": [1e-3] * CURVE_STEPS}
            self._run("attack", name, own, {"attacker": name, "seed": 0, **params}, scores, curve)

    def _run(
        self,
        kind: str,
        name: str,
        tags: dict[str, str],
        params: dict[str, Any],
        metrics: dict[str, float],
        curve: dict[str, list[float]] | None = None,
    ) -> str:
        self._clock += 1000
        run = self._client.create_run(self._experiment, start_time=self._clock, run_name=name)
        points = [Metric(key, float(value), self._clock, 0) for key, value in metrics.items()]
        for key, values in (curve or {}).items():
            points += [Metric(key, v, self._clock, 50 * step) for step, v in enumerate(values)]
        words = {"kind": kind, "study": "made", **tags}
        self._client.log_batch(
            run.info.run_id,
            metrics=points,
            params=[Param(key, str(value)) for key, value in params.items()],
            tags=[RunTag(key, value) for key, value in words.items()],
        )
        self._client.set_terminated(run.info.run_id, "FINISHED", self._clock + 500)
        return str(run.info.run_id)

    def _picture(self) -> bytes:
        """A strip of eight noisy squares, about as large as a file as real reconstructions."""
        ramp = np.linspace(0, 255, 8 * 64)[None, :, None] + self._random.normal(0, 8, (64, 512, 3))
        path = self._folder.parent / "strip.png"
        Image.fromarray(ramp.clip(0, 255).astype(np.uint8)).save(path)
        return path.read_bytes()

    def _packed_codes(self) -> bytes:
        """Codes of 500 images as a study keeps them; t-SNE takes as long for noise as for any."""
        codes = self._random.normal(size=(500, 50))
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer, codes=(codes / np.abs(codes).max()).astype(np.float16),
            labels=self._random.integers(0, 2, (500, 2), dtype=np.uint8),
            utility=np.array(["Smiling"]), private=np.array(["Hat"]), share=np.float64(0.9),
            num_values=np.int64(256),
        )  # fmt: skip
        return buffer.getvalue()


def rebuild(uri: str, results: Path) -> tuple[float, float, int]:
    """Seconds, GiB at most, and the report's bytes, of a rebuild on one core."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    code = (
        "import os, resource, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from analysis.__main__ import main; code = main(sys.argv[1:]);"
        "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20); sys.exit(code)"
    )
    start = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-c", code, "made", "--results", str(results), "--tracking-uri", uri],
        env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    peak = re.search(r"peak ([\d.]+)", ended.stdout)
    assert peak is not None
    return seconds, float(peak[1]), (results / "made" / "report.html").stat().st_size


def main() -> int:
    """Makes the study, rebuilds it, prints and keeps the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoders", type=int, default=200, help="of the study (200)")
    parser.add_argument("--repeats", type=int, default=3, help="rebuilds; the median counts (3)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the study, or use it again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cutpoint-report-") as temporary:
        folder = options.keep or Path(temporary)
        if not (folder / "mlflow.db").exists():
            folder.mkdir(parents=True, exist_ok=True)
            Made(folder, options.encoders)
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        runs = [rebuild(uri, folder / "results") for _ in range(options.repeats)]
    seconds = sorted(run[0] for run in runs)
    text = markdown(
        ["encoders", "attackers", "seconds (median)", "slowest", "peak memory, GiB", "report, MB"],
        [[str(options.encoders), str(len(ATTACKERS)), f"{seconds[len(seconds) // 2]:.1f}",
          f"{seconds[-1]:.1f}", f"{max(run[1] for run in runs):.2f}", f"{runs[0][2] / 1e6:.2f}"]],
    )  # fmt: skip
    show_and_keep(f"report-{options.encoders}", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
