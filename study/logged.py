"""What is logged of a study, as plain mappings: params, tags and metrics under promised names."""

import math
from collections.abc import Mapping
from typing import Any

from search_spaces import SPACES, Choice
from study.config import StudyConfig
from study.leakages import AttackFigures
from study.naming import is_cut
from study.records import EncoderRecord, Result
from trainables.attackers.in_loop import IN_LOOP_NAMES
from trainables.attackers.suite import SUITE_VERSION

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
        "precision": config.precision,
        "identity_model": config.attack.identity_model,
        "sampler": config.study.sampler,
        "seed": config.study.seed,
    }


def encoder_params(record: EncoderRecord, config: StudyConfig) -> dict[str, Any]:
    """The protector and every searched name that this encoder has, without its part's name.

    A baseline has the values that it shares with the first protector, and its own.
    """
    trial = record.protect.config
    name = str(trial["protector"]["name"])
    params: dict[str, Any] = {"protector": name}
    if record.role == "labels":
        return params
    if is_cut(name):
        params["cut_point"] = trial["model"]["cut_point"]
    space = config.spaces.get(name, config.space)
    own = {} if name in config.spaces else SPACES[name].domains
    domains = {**{k: v for k, v in own.items() if k not in space.fixed}, **space.domains}
    for dotted in dict.fromkeys([*space.fixed, *domains]):
        part, field = dotted.split(".", 1)
        at = space.only_at.get(dotted)
        # Where the encoder is no part of the backbone, nothing of `model` makes a difference.
        applies = is_cut(name) or part == "protector"
        if applies and field in trial[part] and at in (None, params.get("cut_point")):
            params[field] = trial[part][field]
    for dotted, domain in domains.items():
        field = dotted.split(".", 1)[1]
        value = params.get(field)
        # MLflow's compare view has no logarithmic axis.
        if not isinstance(domain, Choice) and domain.log and isinstance(value, float) and value > 0:
            params[f"log10_{field}"] = round(math.log10(value), 6)
    return params


def encoder_metrics(record: EncoderRecord) -> dict[str, float]:
    """Utility and cost as training ended with them, and what the verdict says."""
    protected = record.protected or {}
    kept = ("utility/", "cost/", "collapse/", "in_loop/")
    metrics = numbers({k: v for k, v in protected.items() if k.startswith(kept)})
    metrics |= numbers(
        {
            "seconds/protect": protected.get("seconds"),
            "rounds": protected.get("rounds"),
            "converged": protected.get("converged"),
        }
    )
    for result in record.attacked.values():
        metrics |= {f"codes/{k}": v for k, v in numbers(result.get("codes", {})).items()}
    seconds = [result.get("seconds") for result in record.attacked.values()]
    metrics["seconds/attack"] = float(sum(value for value in seconds if value))
    verdict = record.verdict
    if verdict is None:
        return metrics
    metrics |= {f"leakage/{label}": value for label, value in verdict.by_attacker.items()}
    if record.status == "dominated":
        # Not under the name of a verified leakage: attackers that did not run could find more.
        metrics["leakage/at_least"] = verdict.worst_leakage
        return metrics | {"num_spared": float(record.spared)}
    metrics |= {f"leakage/worst_{kind}": value for kind, value in verdict.by_kind.items()}
    metrics |= {f"saturation_gap/{kind}": value for kind, value in verdict.gaps.items()}
    metrics |= numbers(
        {
            "leakage/worst": verdict.worst_leakage,
            "leakage/worst_error": verdict.worst_error or None,
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
        "num_train": result.get("num_train"),
        **result["metrics"],
    }
    if figures is not None:
        values |= {
            "leakage/test": figures.leakage_test,
            "leakage/selection": figures.leakage_selection,
            "leakage/selection_error": figures.selection_error,
            "leakage/test_error": figures.test_error,
            "floor": figures.floor,
            "ceiling": figures.ceiling,
            **{f"leakage/test/{name}": v for name, v in (figures.by_attribute or {}).items()},
        }
    return numbers(values)


def attack_tags(result: Result) -> dict[str, str]:
    """What an attacker is after, what it sees, and whether it counts for the worst leakage."""
    return {
        "attack_kind": str(result["kind"]),
        "counts": str(bool(result.get("counts", True))).lower(),
        "threat": "white_box" if result.get("white_box") else "black_box",
        "saturated": str(bool(result["saturated"])).lower(),
    }


def attack_params(result: Result) -> dict[str, Any]:
    """How strong an attacker was made; nothing of an in-loop adversary."""
    settings = result.get("settings") or {}
    params: dict[str, Any] = {f"attack_{k}": settings[k] for k in STRENGTH if settings.get(k)}
    if "mu1" in settings and "loss" in settings:
        terms = [str(settings["loss"])]
        terms += ["gan"] if settings["mu1"] else []
        terms += ["perceptual"] if settings["mu2"] else []
        params["attack_loss"] = "+".join(terms)
    # When it was given up, and what its name stood for: figures of others cannot stand beside it.
    params |= {f"attack_{name}": value for name, value in (result.get("rule") or {}).items()}
    if "suite_version" in result:
        params["suite_version"] = result["suite_version"]
    return params


STRENGTH = ("data", "extra", "budget", "capacity", "architecture")
"""Settings of an attacker that are steps of the strength ladder."""


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
    metrics["saturated"] = float(
        all(f.saturated for f in figures if f.attacker not in IN_LOOP_NAMES)
    )
    return numbers(metrics)


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers among some values; a figure that could not be taken is left out."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
