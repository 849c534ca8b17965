"""The named attackers and the suites made of them.

A suite is a frozen list with fixed hyperparameters: figures from different suites or versions are
never compared, so its version is logged with every result. Beside the attackers of the tables below
there are names made of theirs, one change at a time: `decoder-data-0.1` has a tenth of the public
images, `decoder-capacity-2` twice the channels, `decoder-budget-300` that many steps,
`decoder-extra` the images of `data.extra_public` too, and `attribute-only-Male` infers that
attribute alone.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainables.attackers.attribute import AttributeAttacker, AttributeConfig
from trainables.attackers.base import Attacker, AttackerConfig, Target
from trainables.attackers.config import AttackConfig
from trainables.attackers.decoder import DecoderAttacker, DecoderConfig
from trainables.attackers.feature import FeatureAttacker, FeatureConfig
from trainables.attackers.generative import GenerativeAttacker, GenerativeConfig
from trainables.attackers.optimisation import OptimisationAttacker, OptimisationConfig
from trainables.attackers.reidentify import ReidentifyAttacker, ReidentifyConfig
from trainables.data.config import DataConfig

SUITE_VERSION = 5
WHITE_BOX_SCALE = "decoder"
"""The attacker whose floor and ceiling a white-box one has: a constant has no gradient to follow,
so that it has no floor of its own."""
WITH_PEOPLE = ("avatars", "celeba")
"""Sources whose images say who is on them."""
EACH = "attribute_each"
"""In a suite: each private attribute alone, where there are several."""

_BUILDERS: Mapping[type[AttackerConfig], Callable[[Any, Target], Attacker]] = {
    DecoderConfig: DecoderAttacker,
    AttributeConfig: AttributeAttacker,
    FeatureConfig: FeatureAttacker,
    ReidentifyConfig: ReidentifyAttacker,
    GenerativeConfig: GenerativeAttacker,
    OptimisationConfig: OptimisationAttacker,
}
_STRONG: dict[str, Any] = {"mu1": 1e-4, "mu2": 3e-3, "saturating": False}

ATTACKERS: Mapping[str, AttackerConfig] = {
    config.name: config
    for config in (
        DecoderConfig(name="decoder"),
        DecoderConfig(name="decoder_strong", **_STRONG),
        DecoderConfig(name="decoder_perceptual", mu2=_STRONG["mu2"]),
        # The strong attacker of Xiao's Table 1, where μ2 = 0; in no suite.
        DecoderConfig(name="decoder_gan", mu1=_STRONG["mu1"], saturating=_STRONG["saturating"]),
        DecoderConfig(name="decoder_ms_ssim", loss="ms_ssim"),
        # DeepObfuscator's Table 2 with its own loss; in no suite.
        DecoderConfig(name="decoder_unet_deep_ms_ssim", architecture="unet_deep", loss="ms_ssim"),
        DecoderConfig(
            name="decoder_unet_shallow_ms_ssim", architecture="unet_shallow", loss="ms_ssim"
        ),
        DecoderConfig(name="decoder_residual_ms_ssim", architecture="residual", loss="ms_ssim"),
        DecoderConfig(name="decoder_unet_deep", architecture="unet_deep"),
        DecoderConfig(name="decoder_unet_shallow", architecture="unet_shallow"),
        DecoderConfig(name="decoder_residual", architecture="residual"),
        GenerativeConfig(name="generative"),
        OptimisationConfig(name="optimisation"),
        AttributeConfig(name="attribute"),
        AttributeConfig(name="attribute_other", architecture="other"),
        AttributeConfig(name="attribute_linear", architecture="linear"),
        AttributeConfig(name="attribute_mlp", architecture="mlp"),
        FeatureConfig(name="feature"),
        ReidentifyConfig(name="reidentify"),
    )
}
"""Every attacker by name. `decoder` is Xiao's weak one, `decoder_strong` has both his terms."""

HELD_OUT = (
    "decoder_unet_deep",
    "decoder_unet_shallow",
    "decoder_residual",
    "attribute_other",
    "attribute_linear",
    "attribute_mlp",
)
"""Attackers whose networks no protector is trained against."""

_QUICK = ("decoder", "decoder_strong", "attribute")
_STANDARD = (
    *_QUICK,
    "decoder_unet_deep",
    "decoder_residual",
    "attribute_other",
    "attribute_linear",
    "attribute_mlp",
    EACH,
    "feature",
    "reidentify",
)
SUITES: Mapping[str, tuple[str, ...]] = {
    "quick": _QUICK,
    "standard": _STANDARD,
    "full": (
        *_STANDARD,
        "decoder_unet_shallow",
        "decoder_ms_ssim",
        "decoder-extra",
        "decoder_strong-extra",
        "feature-extra",
        "generative",
        "optimisation",
    ),
    # One change at a time against `decoder` and `attribute`, from the weakest to the strongest.
    "strength": (
        "decoder",
        "decoder-data-0.01",
        "decoder-data-0.03",
        "decoder-data-0.1",
        "decoder-data-0.3",
        "decoder-extra",
        "decoder-capacity-0.5",
        "decoder-capacity-2",
        "decoder_unet_deep",
        "decoder_unet_shallow",
        "decoder_residual",
        "decoder_perceptual",
        "decoder_strong",
        "decoder_ms_ssim",
        "decoder-budget-100",
        "decoder-budget-300",
        "decoder-budget-1000",
        "attribute",
        "attribute-data-0.03",
        "attribute-data-0.1",
        "attribute-data-0.3",
        "attribute_linear",
        "attribute_mlp",
        "attribute_other",
        "attribute-budget-100",
        "attribute-budget-300",
        "attribute-budget-1000",
    ),
}
"""Suites by name, each attacker in the order in which it is trained."""


@dataclass(frozen=True)
class Circumstances:
    """What decides which attackers a study can have.

    Attributes:
        private: The private attributes.
        height: Image height in pixels.
        width: Image width in pixels.
        has_identity: Whether there is an identity model Φ.
        has_people: Whether the data have several images of a person.
        has_extra: Whether there are extra public images.
    """

    private: tuple[str, ...]
    height: int
    width: int
    has_identity: bool = False
    has_people: bool = False
    has_extra: bool = False

    @classmethod
    def of(cls, data: DataConfig, attack: AttackConfig) -> "Circumstances":
        """Those of a study with these settings."""
        return cls(
            data.private,
            data.height,
            data.width,
            has_identity=attack.identity_model != "none",
            has_people=data.source in WITH_PEOPLE,
            has_extra=data.extra_public is not None,
        )


_DERIVED = re.compile(
    r"(?P<base>[a-z_]+?)-(?:extra|(?P<field>data|capacity|budget|only)-(?P<value>.+))"
)


def named_attacker(name: str) -> AttackerConfig:
    """Returns the settings that a name stands for.

    Raises:
        ValueError: If no attacker has that name, or it cannot be changed in that way.
    """
    if name in ATTACKERS:
        return ATTACKERS[name]
    match = _DERIVED.fullmatch(name)
    base = ATTACKERS.get(match["base"]) if match else None
    if match is None or base is None:
        raise ValueError(_unknown("attacker", name, list(ATTACKERS)))
    field = match["field"] or "extra"
    if field not in type(base).model_fields or (field == "extra" and base.kind == "attribute"):
        raise ValueError(f"attack.suite: {name!r}: {base.name!r} has no {field!r} to change")
    value: object = True
    if field != "extra":
        value = match["value"] if field == "only" else _number(name, match["value"])
    try:
        return type(base)(**{**base.model_dump(), "name": name, field: value})
    except ValueError as error:
        raise ValueError(f"attack.suite: {name!r}: {error}") from error


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"attack.suite: {name!r} ends in {text!r}, not in a number") from error


def resolve_attackers(
    suite: str | tuple[str, ...], circumstances: Circumstances
) -> list[AttackerConfig]:
    """Returns the attackers of a suite; those that the study cannot have are left out.

    Raises:
        ValueError: If a name is unknown or given twice, or an attacker that was listed by name
            cannot be had.
    """
    if isinstance(suite, str) and suite in SUITES:
        configs = _expand(SUITES[suite], circumstances)
        return [config for config in configs if not why_not(config, circumstances)]
    names = (suite,) if isinstance(suite, str) else suite
    if not names:
        raise ValueError("attack.suite: the list is empty; name at least one attacker")
    if isinstance(suite, str) and suite != EACH:
        try:
            named_attacker(suite)
        except ValueError as error:
            if _DERIVED.fullmatch(suite):
                raise
            known = [*SUITES, *ATTACKERS]
            raise ValueError(_unknown("suite", suite, known)) from error
    configs = _expand(names, circumstances)
    listed = [config.name for config in configs]
    for index, config in enumerate(configs):
        if config.name in listed[:index]:
            raise ValueError(f"attack.suite: attacker {config.name!r} is given twice")
        reason = why_not(config, circumstances)
        if reason:
            raise ValueError(f"attack.suite: {config.name!r} {reason}")
    return configs


def left_out(suite: str | tuple[str, ...], circumstances: Circumstances) -> dict[str, str]:
    """Returns the attackers of a named suite that the study cannot have, each with the reason."""
    if not isinstance(suite, str) or suite not in SUITES:
        return {}
    reasons = {c.name: why_not(c, circumstances) for c in _expand(SUITES[suite], circumstances)}
    return {name: reason for name, reason in reasons.items() if reason}


def why_not(config: AttackerConfig, circumstances: Circumstances) -> str:
    """Says what a study lacks for an attacker; empty if nothing."""
    if config.kind == "attribute" and not circumstances.private:
        return "needs data.private, which names nothing"
    only = config.only if isinstance(config, AttributeConfig) else None
    if only is not None and only not in circumstances.private:
        known = ", ".join(circumstances.private)
        return f"infers {only!r}, which is not private; data.private: {known}"
    if config.needs_identity and not circumstances.has_identity:
        return "needs an identity model; give attack.identity_model"
    if config.kind == "identity" and not circumstances.has_people:
        return f"needs several images of a person, as in data.source={', '.join(WITH_PEOPLE)}"
    if config.extra and not circumstances.has_extra:
        return "needs data.extra_public, which is not given"
    if isinstance(config, DecoderConfig):
        return config.why_not(circumstances.height, circumstances.width)
    return ""


def _expand(names: Sequence[str], circumstances: Circumstances) -> list[AttackerConfig]:
    configs = []
    for name in names:
        if name != EACH:
            configs.append(named_attacker(name))
        elif len(circumstances.private) > 1:
            configs += [named_attacker(f"attribute-only-{one}") for one in circumstances.private]
    return configs


def _unknown(what: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"attack.suite: unknown {what} {name!r}{hint} Known: {', '.join(known)}"


def scale_of(name: str) -> str:
    """Returns the attacker whose floor and ceiling a score is set against.

    A rung of the strength ladder has its base's: on a scale of its own, whose ceiling is as weak
    as it is, a weak attacker would seem as strong as any.
    """
    config = named_attacker(name)
    if config.white_box:
        return WHITE_BOX_SCALE
    match = _DERIVED.fullmatch(name)
    return match["base"] if match and not config.counts else name


def build_attacker(settings: dict[str, Any], target: Target) -> Attacker:
    """Builds a named attacker from its settings, as a trial receives them.

    Raises:
        ValueError: If the settings are not those of the attacker of that name: results of
            different hyperparameters must never share a name.
    """
    config = named_attacker(str(settings["name"]))
    if config.model_dump(mode="json") != settings:
        raise ValueError(f"attacker settings {settings} are not those of suite v{SUITE_VERSION}")
    return _BUILDERS[type(config)](config, target)
