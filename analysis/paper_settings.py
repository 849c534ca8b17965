"""What differs between a paper's experiments and ours: data, size, networks, Φ, g, schedule.

Ours is read from the settings that every table of rows carries. Where encoders or recipes differ in
one, all its values stand there.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.rows import ExperimentRows

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """One setting.

    Attributes:
        what: Its name.
        paper: What the paper has; `not given` where it says nothing.
        ours: What an encoder's settings say; empty where they say nothing of it.
    """

    what: str
    paper: str
    ours: Callable[[Settings], str]


@dataclass(frozen=True)
class Paper:
    """The settings of one paper.

    Attributes:
        name: As the project calls it.
        prefix: What the names of its recipes begin with.
        attackers_images: How many images its attackers learn from.
        differences: What else is compared.
    """

    name: str
    prefix: str
    attackers_images: str
    differences: tuple[Difference, ...]


def _of(part: str, *fields: str) -> Callable[[Settings], str]:
    """The values of some fields of a part, `field value` where there are several."""

    def read(settings: Settings) -> str:
        own = settings.get(part, {})
        found = [(name, own[name]) for name in fields if own.get(name) is not None]
        if len(fields) == 1:
            return _text(found[0][1]) if found else ""
        return ", ".join(f"{name} {_text(value)}" for name, value in found)

    return read


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " × ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _network(settings: Settings) -> str:
    model = settings["model"]
    return f"{model['backbone']}, {model['width']:g} of its channels"


def _images(settings: Settings) -> str:
    source = str(settings["data"]["source"])
    return {"celeba": "CelebA's files", "folder": "photographs, a folder per category"}.get(
        source, source
    )


def _split(settings: Settings) -> str:
    names = ("private", "public", "selection", "test")
    fractions = settings["data"].get("fractions")
    if not fractions:
        return ""
    return ", ".join(f"{n} {100 * part:g}%" for n, part in zip(names, fractions, strict=True))


def _precision(settings: Settings) -> str:
    return str(settings["precision"])


_SCHEDULE = ("rounds", "batch_size", "encoder_lr", "encoder_lr_decay", "adversary_lr")
_ATTACK = ("batch_size", "lr", "min_steps", "max_steps", "min_delta", "patience", "evaluate_every")
_ATTACKERS = Difference("attackers", "not given", _of("attack", *_ATTACK))
_PRECISION = Difference("arithmetic of training", "not given", _precision)

SETTINGS_HEADS = ("setting", "paper", "ours")

PAPERS = (
    Paper(
        "Xiao",
        "xiao-",
        "40,000; rows 5 to 8 of Table 1: 10,000 more",
        (
            Difference("images", "CelebA", _images),
            Difference("split", "private 160,000, public 40,000, test the rest", _split),
            Difference("image size", "not given", _of("data", "image_size")),
            Difference("network", "resnet50", _network),
            Difference("g", "VGG-16, conv1 to conv5, ImageNet", _of("model", "perceptual")),
            Difference("Φ", "OpenFace", _of("attack", "identity_model")),
            Difference("weights", "not given", _of("protector", "lambda1", "mu1", "mu2")),
            Difference("training", "not given", _of("protector", *_SCHEDULE)),
            _ATTACKERS,
            _PRECISION,
        ),
    ),
    Paper(
        "Pittaluga",
        "pittaluga-",
        "not given",
        (
            Difference("images", "Places-365, ten categories", _images),
            Difference("split", "training, validation, test; sizes not given", _split),
            Difference("image size", "224 × 224", _of("data", "image_size")),
            Difference("network", "a code of 28 × 28 × 3", _network),
            Difference("α", "0.0625; 0 in section 4.2", _of("protector", "alpha")),
            Difference(
                "training",
                "rounds 860,000, batch_size 128, encoder_lr 0.0001, encoder_lr_decay 0.1, "
                "adversary_lr 0.0001",
                _of("protector", *_SCHEDULE),
            ),
            Difference(
                "attackers",
                "batch_size 128, lr 0.00001 on codes, 1 to 4.5 million steps",
                _of("attack", *_ATTACK),
            ),
            _PRECISION,
        ),
    ),
    Paper(
        "DeepObfuscator",
        "deepobfuscator-",
        "not given",
        (
            Difference("images", "CelebA", _images),
            Difference("split", "160,000 to train, 40,000 to test", _split),
            Difference("image size", "216 × 176", _of("data", "image_size")),
            Difference("network", "vgg16, two blocks, 4,096 in the head", _network),
            Difference("weights", "λ1 = λ2 = 1", _of("protector", "lambda1", "lambda2")),
            Difference(
                "training",
                "batch_size 64; the rest not given",
                _of("protector", *_SCHEDULE, "joint_rounds", "adversary_rounds"),
            ),
            _ATTACKERS,
            _PRECISION,
        ),
    ),
)  # fmt: skip


def paper_of(recipe: str) -> str:
    """The name of the paper that a recipe is of; the recipe's own if it is of none."""
    return next((p.name for p in PAPERS if recipe.startswith(p.prefix)), recipe)


def settings_by_paper(rows: ExperimentRows) -> dict[str, list[tuple[str, str, str]]]:
    """Paper → each setting's name, the paper's value and ours; papers that were run alone."""
    found = {}
    for paper in PAPERS:
        encoders = [
            settings
            for recipe, own in rows.settings.items()
            if recipe.startswith(paper.prefix)
            for settings in own.values()
        ]
        if encoders:
            lines = [
                (row.what, row.paper, "; ".join(_distinct(map(row.ours, encoders))))
                for row in paper.differences
            ]
            images = ("images that attackers learn from", paper.attackers_images)
            found[paper.name] = [*lines, (*images, _learned_from(rows, paper))]
    return found


def _learned_from(rows: ExperimentRows, paper: Paper) -> str:
    own = rows.table[rows.table["recipe"].str.startswith(paper.prefix)]
    if "num_train" not in own:
        return ""
    return "; ".join(f"{number:,.0f}" for number in sorted(own["num_train"].dropna().unique()))


def _distinct(values: Iterable[str]) -> list[str]:
    return [value for value in dict.fromkeys(values) if value]
