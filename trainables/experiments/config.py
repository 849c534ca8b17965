"""A paper's experiment: a fixed list of encoders, who attacks them, and over how many seeds.

Nothing is searched. All that a recipe says is checked, encoder by encoder, before anything starts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from trainables.attackers.config import AttackConfig
from trainables.attackers.suite import Circumstances, named_attacker, why_not
from trainables.data.config import DataConfig
from trainables.errors import ConfigError, from_validation, unknown
from trainables.experiments.recipe import (
    PARTS,
    SIZES,
    EncoderPlan,
    Recipe,
    Size,
    Tree,
    lay_over,
    list_experiments,
    read_recipe,
    read_words,
)
from trainables.nets.config import ModelConfig
from trainables.precision import Precision
from trainables.protectors import PROTECTORS
from trainables.protectors.config import ProtectorConfig
from trainables.settings import Settings

CONSTANT = "constant"
"""In the place of a protector: an encoder that sends nothing, and that nothing trains."""


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
    recipe = read_recipe(name, size)
    given = read_words(words)
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
    _refuse_two_names(encoders)
    return Experiment(name, size, recipe.seeds, tuple(encoders), tuple(dict.fromkeys(left_out)))


def _refuse_two_names(encoders: Sequence[PlannedEncoder]) -> None:
    """A word for what tells encoders apart gives one several names, and claims would compare it."""
    for place, one in enumerate(encoders):
        for other in encoders[:place]:
            if (one.data, one.model, one.protector) == (other.data, other.model, other.protector):
                raise ConfigError(
                    f"{other.name} and {one.name} would be the same encoder: what tells them apart "
                    "in the recipe was given one value; leave it out"
                )


def _plan(
    recipe: Recipe, name: str, plan: EncoderPlan, given: Mapping[str, Any]
) -> tuple[PlannedEncoder, list[str]]:
    """An encoder's settings, and the attackers that it cannot have."""
    shared = {part: getattr(recipe, part) for part in PARTS}
    shared["protector"] = _for_method(recipe.protector, plan, given)
    trees = {
        part: lay_over(lay_over(shared[part], getattr(plan, part)), given.get(part, {}))
        for part in PARTS
    }
    renamed = {key: str(value) for key, value in given.get("tasks", {}).items()}
    for key in renamed.keys() - recipe.tasks.keys():
        raise unknown("task", key, recipe.tasks)
    tasks = {**recipe.tasks, **renamed}
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


def _for_method(shared: Tree, plan: EncoderPlan, given: Mapping[str, Any]) -> Tree:
    """What a recipe says of every protector, and over it what it says of this one's method."""
    plain = {key: value for key, value in shared.items() if key not in PROTECTORS}
    method = lay_over(lay_over(plain, plan.protector), given.get("protector", {})).get("name")
    return lay_over(plain, shared.get(str(method), {}))


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
