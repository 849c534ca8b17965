"""What is logged of a study, as plain mappings: params, tags and metrics under promised names."""

import math
from collections.abc import Mapping
from typing import Any

from search_spaces import Choice
from study.config import StudyConfig
from study.records import EncoderRecord, Result
from study.verification import AttackFigures
from trainables.attackers.suite import IN_LOOP, SUITE_VERSION

MAX_TAG = 5000
"""Characters of a reason that are kept; MLflow's limit for a tag is 8,000."""


def study_params(config: StudyConfig) -> dict[str, Any]:
    """The few values that tell one study from another."""
    size = [config.data.height, config.data.width]
    suite = config.attack.suite
    return {
        "recipe": config.recipe,
        "source": config.data.source,
        "image_size": size[0] if size[0] == size[1] else size,
        "backbone": config.model.backbone,
        "width": config.model.width,
        "perceptual": config.model.perceptual,
        "num_encoders": config.study.num_encoders,
        "suite": suite if isinstance(suite, str) else ",".join(suite),
        "suite_version": SUITE_VERSION,
        "sampler": config.study.sampler,
        "seed": config.study.seed,
    }


def encoder_params(record: EncoderRecord, config: StudyConfig) -> dict[str, Any]:
    """The protector and every searched name that this encoder has, without its part's name."""
    trial = record.protect.config
    params: dict[str, Any] = {"protector": trial["protector"]["name"]}
    if record.role == "labels":
        return params
    space = config.space
    params["cut_point"] = trial["model"]["cut_point"]
    for dotted in [*space.fixed, *space.domains]:
        part, name = dotted.split(".", 1)
        at = space.only_at.get(dotted)
        if name in trial[part] and at in (None, params["cut_point"]):
            params[name] = trial[part][name]
    for dotted, domain in space.domains.items():
        name = dotted.split(".", 1)[1]
        value = params.get(name)
        # MLflow's compare view has no logarithmic axis.
        if not isinstance(domain, Choice) and domain.log and isinstance(value, float) and value > 0:
            params[f"log10_{name}"] = round(math.log10(value), 6)
    return params


def encoder_metrics(record: EncoderRecord) -> dict[str, float]:
    """Utility and cost as training ended with them, and what the verdict says."""
    protected = record.protected or {}
    kept = ("utility/", "cost/", "in_loop/")
    metrics = numbers({k: v for k, v in protected.items() if k.startswith(kept)})
    metrics |= numbers(
        {
            "seconds/protect": protected.get("seconds"),
            "rounds": protected.get("rounds"),
            "converged": protected.get("converged"),
        }
    )
    seconds = [result.get("seconds") for result in record.attacked.values()]
    metrics["seconds/attack"] = float(sum(value for value in seconds if value))
    verdict = record.verdict
    if verdict is None:
        return metrics
    metrics |= {f"leakage/{label}": value for label, value in verdict.by_attacker.items()}
    metrics |= numbers(
        {
            "leakage/worst": verdict.worst_leakage,
            "leakage/worst_selection": verdict.worst_selection,
            "saturation_gap": verdict.saturation_gap,
            "saturated": float(verdict.saturated),
            "num_public": verdict.num_public,
        }
    )
    best: dict[str, AttackFigures] = {}
    for figure in verdict.figures:
        known = best.get(figure.attacker)
        if known is None or figure.result["selection"] > known.result["selection"]:
            best[figure.attacker] = figure
    metrics |= {f"score/{label}": float(f.result["test"]) for label, f in best.items()}
    return metrics


def attack_metrics(result: Result, figures: AttackFigures | None) -> dict[str, float]:
    """One attacker's scores, and its leakage where floor and ceiling are known."""
    values = {
        "score/test": result["test"],
        "score/selection": result["selection"],
        "steps": result["steps"],
        "seconds": result["seconds"],
        "num_public": result["num_public"],
        **result["metrics"],
    }
    if figures is not None:
        values |= {
            "leakage/test": figures.leakage_test,
            "leakage/selection": figures.leakage_selection,
            "floor": figures.floor,
            "ceiling": figures.ceiling,
        }
    return numbers(values)


def attack_curve(result: Result) -> list[tuple[str, int, float]]:
    """(metric, step, value) of an attacker's selection score and learning rate."""
    points = []
    for step, score, rate in result["curve"]:
        points.append(("train/selection", int(step), float(score)))
        points.append(("train/rate", int(step), float(rate)))
    return points


def reference_metrics(figures: list[AttackFigures]) -> dict[str, float]:
    """The scores that serve as floors or ceilings, the first seed's of each attacker."""
    first = {figure.attacker: figure for figure in reversed(figures)}
    metrics: dict[str, Any] = {}
    for label, figure in first.items():
        metrics[f"score/{label}"] = figure.result["test"]
        metrics[f"leakage/{label}"] = figure.leakage_test
    metrics["num_public"] = max(int(figure.result["num_public"]) for figure in figures)
    metrics["saturated"] = float(all(f.saturated for f in figures if f.attacker != IN_LOOP))
    return numbers(metrics)


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers among some values; a figure that could not be taken is left out."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
