"""A paper's experiment: a fixed list of encoders, who attacks them, and over how many seeds.

Nothing is searched. A recipe is read from YAML in layers, the later ones laid over the earlier:
what its paper's recipes share (`base`), the recipe's own parts, the size (`tiny`, `small`,
`paper`), each encoder's, and the user's `part.field=value` words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError

from trainables.attackers.config import AttackConfig
from trainables.attackers.suite import Circumstances, named_attacker, why_not
from trainables.data.config import DataConfig
from trainables.errors import ConfigError, from_validation, unknown
from trainables.nets.config import ModelConfig
from trainables.precision import Precision
from trainables.protectors import PROTECTORS
from trainables.protectors.config import ProtectorConfig
from trainables.reading import UNREADABLE, read_yaml
from trainables.settings import Settings

RECIPES = Path(__file__).parent / "recipes"
Size = Literal["tiny", "small", "paper"]
SIZES: tuple[Size, ...] = ("tiny", "small", "paper")
PARTS = ("data", "model", "protector", "attack")
CONSTANT = "constant"
"""In the place of a protector: an encoder that sends nothing, and that nothing trains."""
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
        protector: Settings of the protector.
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


@dataclass(frozen=True)
class PlannedEncoder:
    """An encoder of an experiment with all its settings, checked.

    Attributes:
        name: Of its row.
        data: What it is trained and attacked on.
        model: The network and its cut.
        protector: How it is trained; None for `constant`, which nothing trains.
        attack: How its attackers are trained.
        attackers: Role → attacker.
        probed: As `data`, with the attributes that are probed as the private ones; None without.
        tasks: Name → attribute, of the recipe's own names.
        people: Whether it is measured how far its codes tell people apart.
        precision: Arithmetic of the networks while they are trained.
    """

    name: str
    data: DataConfig
    model: ModelConfig
    protector: Settings | None
    attack: AttackConfig
    attackers: Mapping[str, str]
    probed: DataConfig | None
    tasks: Mapping[str, str]
    people: bool
    precision: Precision

    @property
    def probes(self) -> dict[str, str]:
        """Role → attacker of every attribute that is probed; a task's role has the task's name."""
        attributes = () if self.probed is None else self.probed.private
        called = {attribute: name for name, attribute in self.tasks.items()}
        return {f"probe/{called.get(name, name)}": f"attribute-only-{name}" for name in attributes}


@dataclass(frozen=True)
class Experiment:
    """A recipe in one size, ready to run.

    Attributes:
        name: The recipe's.
        size: Which of its sizes.
        seeds: Times each encoder is trained.
        encoders: What is trained and attacked.
        left_out: Attackers that these data do not allow, each with the reason.
    """

    name: str
    size: Size
    seeds: int
    encoders: tuple[PlannedEncoder, ...]
    left_out: tuple[str, ...]


def list_experiments() -> dict[str, str]:
    """Names of the papers' experiments, with the first comment line of each."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(RECIPES.glob("*.yaml"))}
    return {
        name: text.splitlines()[0].lstrip("# ")
        for name, text in texts.items()
        if "\nencoders:" in text
    }


def load_experiment(name: str, size: str = "tiny", words: Sequence[str] = ()) -> Experiment:
    """Reads a recipe in one size and checks all of it before anything starts.

    Args:
        name: A recipe in `trainables/experiments/recipes/`.
        size: `tiny`, `small` or `paper`.
        words: `part.field=value`, laid over every encoder; also `seeds=N` and `precision=…`.

    Raises:
        ConfigError: Naming the field, its value and what is allowed.
    """
    known = list_experiments()
    if name not in known:
        raise unknown("recipe", name, known)
    if size not in SIZES:
        raise unknown("size", size, SIZES)
    recipe = _read(name, size)
    given = _words(words)
    plain = {key: value for key, value in given.items() if key in ("seeds", "precision")}
    try:
        recipe = Recipe(**{**recipe.model_dump(), **plain})
    except ValidationError as error:
        raise from_validation("recipe", error) from error
    encoders, left_out = [], []
    for own, plan in recipe.encoders.items():
        encoder, without = _plan(recipe, own, plan, given)
        encoders.append(encoder)
        left_out += [f"{own}: {reason}" for reason in without]
    trained = [type(one.protector).model_fields for one in encoders if one.protector is not None]
    for field in given.get("protector", {}):
        # What one method lacks another of the recipe's may have.
        if not any(field in fields for fields in trained):
            raise unknown("field of protector", field, {name for own in trained for name in own})
    return Experiment(name, size, recipe.seeds, tuple(encoders), tuple(dict.fromkeys(left_out)))


def _read(name: str, size: Size) -> Recipe:
    """A recipe in one size, over its base in the same size.

    What a recipe says of all its sizes stands above what its base says of one.
    """
    tree = read_yaml((RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))
    try:
        recipe = Recipe(**tree)
        below = {} if recipe.base is None else _read(recipe.base, size).model_dump()
        own = _over(recipe.model_dump(exclude_unset=True), recipe.sizes.get(size, {}))
        return Recipe(**_over(below, own))
    except ValidationError as error:
        raise from_validation(f"recipe {name}", error) from error


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Tree:
    """Lays one tree over another: mappings are merged, all else replaced."""
    merged = dict(below)
    for key, value in above.items():
        known = merged.get(key)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        merged[key] = _over(known, value) if both else value  # type: ignore[arg-type]
    return merged


def _plan(
    recipe: Recipe, name: str, plan: EncoderPlan, given: Mapping[str, Any]
) -> tuple[PlannedEncoder, list[str]]:
    """An encoder's settings, and the attackers that it cannot have."""
    trees = {
        part: _over(_over(getattr(recipe, part), getattr(plan, part)), given.get(part, {}))
        for part in PARTS
    }
    tasks = {**recipe.tasks, **{key: str(value) for key, value in given.get("tasks", {}).items()}}
    for field in ("utility", "private"):
        if isinstance(trees["data"].get(field), list | tuple):
            trees["data"][field] = _attributes(trees["data"][field], tasks)
    roles = {**recipe.attackers, **plan.attackers}
    wanted = {role: attacker for role, attacker in roles.items() if attacker is not None}
    trees["attack"]["suite"] = tuple(dict.fromkeys(wanted.values()))
    data = _settings(DataConfig, "data", trees, name)
    model = _settings(ModelConfig, "model", trees, name)
    attack = _settings(AttackConfig, "attack", trees, name)
    protector = _protector(trees, plan, name)
    try:
        for attacker in wanted.values():
            named_attacker(attacker)
        if isinstance(protector, ProtectorConfig):
            protector.check_fits(model, data.height, data.width, len(data.private))
    except ValueError as error:
        raise ConfigError(f"encoder {name!r}: {error}") from error
    circumstances = Circumstances.of(data, attack)
    reasons = {
        role: why_not(named_attacker(attacker), circumstances) for role, attacker in wanted.items()
    }
    able = {role: attacker for role, attacker in wanted.items() if not reasons[role]}
    without = [f"{wanted[role]} is left out: it {why}" for role, why in reasons.items() if why]
    attack = attack.model_copy(update={"suite": tuple(dict.fromkeys(able.values()))})
    probed, probes = None, _attributes(recipe.probes, tasks)
    if probes:
        judged = {**trees, "data": {**trees["data"], "private": probes, "utility": "all"}}
        probed = _settings(DataConfig, "data", judged, name)
    planned = PlannedEncoder(
        name, data, model, protector, attack, able, probed, tasks, recipe.people, recipe.precision
    )
    return planned, without


_S = TypeVar("_S", bound=Settings)


def _attributes(names: Sequence[str], tasks: Mapping[str, str]) -> tuple[str, ...]:
    """Attributes, with what `$name` stands for in the place of it."""
    for name in names:
        if name.startswith("$") and name[1:] not in tasks:
            raise unknown("task", name[1:], tasks)
    return tuple(tasks[name[1:]] if name.startswith("$") else name for name in names)


def _settings(model: type[_S], part: str, trees: Mapping[str, Tree], name: str) -> _S:
    try:
        return model(**trees[part])
    except ValidationError as error:
        raise from_validation(f"encoder {name!r}: {part}", error) from error


def _protector(trees: Mapping[str, Tree], plan: EncoderPlan, encoder: str) -> Settings | None:
    """The protector's settings; where an encoder names its own, of the recipe's what it has too."""
    tree = trees["protector"]
    name = str(tree.get("name"))
    if name == CONSTANT:
        return None
    if name not in PROTECTORS:
        raise unknown("protector.name", name, [*PROTECTORS, CONSTANT])
    config = PROTECTORS[name].config
    # Only what came with another method's name may be dropped; the rest is a slip.
    dropped = tree.keys() - config.model_fields.keys()
    for field in sorted(dropped & plan.protector.keys()):
        raise unknown(
            f"field of encoder {encoder!r}: protector ({name})", field, config.model_fields
        )
    kept = {**trees, "protector": {key: tree[key] for key in tree.keys() - dropped}}
    return _settings(config, "protector", kept, encoder)


def _words(words: Sequence[str]) -> Tree:
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
