"""The files of the papers' experiments: what stands in one, and the layers it is read in.

What its paper's recipes share (`base`), the recipe's own parts, the size (`tiny`, `small`,
`paper`), what these say of one protector's method alone, each encoder's, and the user's
`part.field=value` words: the later ones are laid over the earlier.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from trainables.errors import ConfigError, from_validation
from trainables.precision import Precision
from trainables.reading import UNREADABLE, read_yaml
from trainables.settings import Settings

RECIPES = Path(__file__).parent / "recipes"
Size = Literal["tiny", "small", "paper"]
SIZES: tuple[Size, ...] = ("tiny", "small", "paper")
PARTS = ("data", "model", "protector", "attack")
Tree = dict[str, Any]


class EncoderPlan(Settings):
    """One encoder of an experiment.

    Attributes:
        data: What differs from the recipe's data.
        model: What differs from its network.
        protector: What differs from its protector; another `name` keeps what both have.
        attack: What differs from its attack.
        attackers: Role → name of an attacker; `null` takes a role of the recipe's away.
    """

    data: Tree = Field(default_factory=dict)
    model: Tree = Field(default_factory=dict)
    protector: Tree = Field(default_factory=dict)
    attack: Tree = Field(default_factory=dict)
    attackers: dict[str, str | None] = Field(default_factory=dict)


class Recipe(Settings):
    """A recipe as it stands in its file, or the base of several.

    Attributes:
        base: Recipe whose parts this one's are laid over.
        seeds: Times each encoder is trained and attacked, from seeds 0, 1, …
        precision: Arithmetic of the networks while they are trained.
        data: Settings of the data.
        model: Settings of the network.
        protector: Settings of the protector; those under a method's name are for that method alone.
        attack: Settings of the attack, without a suite.
        attackers: Role → name of an attacker; a role is what a table calls an attacker.
        tasks: Name → attribute: what `$name` in lists of attributes stands for.
        probes: Attributes that are each learned again on every frozen encoder by an attacker of
            their own, whatever the encoder was trained to keep or to hide. Their roles are
            `probe/ATTRIBUTE`.
        people: Whether it is measured how far codes tell people apart.
        encoders: The encoders by the name their row has.
        sizes: What each size lays over this.
    """

    base: str | None = None
    seeds: int = Field(default=3, ge=1, le=1000)
    precision: Precision = "fp32"
    data: Tree = Field(default_factory=dict)
    model: Tree = Field(default_factory=dict)
    protector: Tree = Field(default_factory=dict)
    attack: Tree = Field(default_factory=dict)
    attackers: dict[str, str | None] = Field(default_factory=dict)
    tasks: dict[str, str] = Field(default_factory=dict)
    probes: tuple[str, ...] = ()
    people: bool = False
    encoders: dict[str, EncoderPlan] = Field(default_factory=dict)
    sizes: dict[Size, Tree] = Field(default_factory=dict)


def list_experiments() -> dict[str, str]:
    """Names of the papers' experiments, with the first comment line of each."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(RECIPES.glob("*.yaml"))}
    return {
        name: text.splitlines()[0].lstrip("# ")
        for name, text in texts.items()
        if "\nencoders:" in text
    }


def read_recipe(name: str, size: Size) -> Recipe:
    """A recipe in one size, over its base in the same size.

    What a recipe says of all its sizes stands above what its base says of one.
    """
    tree = read_yaml((RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))
    try:
        recipe = Recipe(**tree)
        below = {} if recipe.base is None else read_recipe(recipe.base, size).model_dump()
        own = lay_over(recipe.model_dump(exclude_unset=True), recipe.sizes.get(size, {}))
        return Recipe(**lay_over(below, own))
    except ValidationError as error:
        raise from_validation(f"recipe {name}", error) from error


def lay_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Tree:
    """Lays one tree over another: mappings are merged, all else replaced."""
    merged = dict(below)
    for key, value in above.items():
        known = merged.get(key)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        merged[key] = lay_over(known, value) if both else value  # type: ignore[arg-type]
    return merged


def read_words(words: Sequence[str]) -> Tree:
    """`part.field=value` words as a tree; `seeds` and `precision` have no part."""
    tree: Tree = {}
    for word in words:
        key, equals, text = word.partition("=")
        part, dot, field = key.partition(".")
        known = bool(dot and field) if part in (*PARTS, "tasks") else key in ("seeds", "precision")
        if not (equals and known):
            raise ConfigError(
                f"{word!r}: give part.field=value with a part of {', '.join(PARTS)}, "
                "tasks.NAME=ATTRIBUTE, seeds=N or precision=fp32"
            )
        try:
            value = read_yaml(text)
        except UNREADABLE as error:
            raise ConfigError(f"{key}: {text[:200]!r} is not readable as YAML") from error
        if dot:
            tree.setdefault(part, {})[field] = value
        else:
            tree[key] = value
    return tree
