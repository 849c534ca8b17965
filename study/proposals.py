"""Optuna's part of the search: asking for points, and telling what became of them."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from analysis.addresses import first_line, masked
from search_spaces import Value
from study.config import StudyConfig
from study.patience import Patience
from trainables.errors import ConfigError
from trainables.seeding import derive_seed

POINT = "point"
ENCODER_ID = "encoder_id"
REASON = "reason"


@dataclass(frozen=True)
class Proposal:
    """A point of the search space.

    Attributes:
        number: The Optuna trial's number.
        point: Every searched or fixed name with its value.
        open: Whether Optuna still waits for its outcome.
    """

    number: int
    point: Mapping[str, Value]
    open: bool = True


class Proposals:
    """A stored Optuna study that maximises `mean_mcc` and minimises worst leakage.

    Args:
        config: The study.
        storage: Address of Optuna's storage, or a storage object.
        warn: Is told when the storage is away, and when it is back.
        patience: What is done then; another one in tests.

    Raises:
        ConfigError: If the storage cannot be opened.
    """

    def __init__(
        self,
        config: StudyConfig,
        storage: str | optuna.storages.BaseStorage,
        warn: Callable[[str], None] = lambda text: None,
        patience: Patience | None = None,
    ) -> None:
        self._patiently = patience or Patience(str(storage), warn)
        self._space = config.joint
        self._floor = config.study.utility_floor
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            self._study = optuna.create_study(
                study_name=config.study.name,
                storage=_open(storage),
                directions=["maximize", "minimize"],
                load_if_exists=True,
            )
        except Exception as error:  # SQLAlchemy, a database driver or Optuna: all mean the same
            shown = masked(storage) if isinstance(storage, str) else repr(storage)
            raise ConfigError(
                f"study.storage: Optuna cannot open {shown}: {first_line(error, str(storage))}"
            ) from error
        # A resumed sampler must not draw the same random points again: the number of trials that
        # are there already is a part of its seed.
        seed = derive_seed(config.study.seed, config.study.sampler, len(self._study.trials))
        self._study.sampler = build_sampler(config, seed)
        for parameters in self._space.default_parameters():
            self._study.enqueue_trial(parameters, skip_if_exists=True)

    def restore(self) -> Iterator[Proposal]:
        """Goes through the stored trials; what was interrupted before it had a point has failed."""
        for trial in self._study.get_trials(deepcopy=False):
            point = trial.user_attrs.get(POINT)
            is_open = trial.state == TrialState.RUNNING
            if point is not None:
                yield Proposal(trial.number, point, is_open)
            elif is_open:
                self.fail(trial.number, "interrupted before it started")

    def propose(self) -> Proposal:
        """Asks for the next point: the enqueued defaults first, then the sampler's."""
        begun: list[optuna.Trial] = []

        def ask() -> Proposal:
            # Gone on with, where the storage went away in between: an enqueued point would be lost.
            trial = begun[0] if begun else self._study.ask()
            begun[:] = [trial]
            point = self._space.suggest(trial)
            trial.set_user_attr(POINT, point)
            return Proposal(trial.number, point)

        return self._patiently(ask)

    def verified(self, number: int, mean_mcc: float, worst_leakage: float, saturated: bool) -> None:
        """Tells the objectives of an encoder whose last attacker has ended.

        Args:
            number: The Optuna trial's number.
            mean_mcc: Its utility on the selection split.
            worst_leakage: Its leakage there.
            saturated: Whether every attacker saturated. If one did not, the leakage is a lower
                bound and must not make the encoder count as private: it is marked infeasible.

        Raises:
            ValueError: If a figure is not finite; such an encoder must be told as failed.
        """
        if not (math.isfinite(mean_mcc) and math.isfinite(worst_leakage)):
            raise ValueError(f"objectives must be finite, got {mean_mcc=}, {worst_leakage=}")
        self._patiently(lambda: self._tell(number, mean_mcc, worst_leakage, saturated))

    def fail(self, number: int, reason: str) -> None:
        """Tells that a point has no objectives, and why."""

        def tell() -> None:
            stored = self._stored(number)
            if stored.state.is_finished():  # by a try whose answer was lost
                return
            trial = optuna.trial.Trial(self._study, stored._trial_id)
            trial.set_user_attr(REASON, reason)
            self._study.tell(number, state=TrialState.FAIL)

        self._patiently(tell)

    def note_encoder(self, number: int, encoder_id: str) -> None:
        """Notes which encoder a point became."""
        self._patiently(
            lambda: optuna.trial.Trial(self._study, self._stored(number)._trial_id).set_user_attr(
                ENCODER_ID, encoder_id
            )
        )

    def trials(self) -> list[FrozenTrial]:
        """The stored trials, for tests and tables."""
        return self._study.get_trials()

    def _tell(self, number: int, mean_mcc: float, worst_leakage: float, saturated: bool) -> None:
        stored = self._stored(number)
        if stored.state.is_finished():  # by a try whose answer was lost
            return
        trial = optuna.trial.Trial(self._study, stored._trial_id)
        # Samplers want the same constraints on every trial; above 0 is infeasible.
        constraints = {"saturated": -1.0 if saturated else 1.0}
        if self._floor is not None:
            constraints["utility_floor"] = self._floor - mean_mcc
        for name in constraints.keys() - stored.constraints.keys():
            trial.set_constraint(name, constraints[name])
        self._study.tell(number, [mean_mcc, worst_leakage])

    def _stored(self, number: int) -> FrozenTrial:
        return self._study.get_trials(deepcopy=False)[number]


class StoredProposals(Proposals):
    """What Optuna's storage has of a study, to look at: it is told nothing.

    Args:
        name: The study's name; it must be there.
        storage: Address of Optuna's storage.
    """

    def __init__(self, name: str, storage: str) -> None:
        stored = optuna.storages.RDBStorage(
            storage, skip_compatibility_check=True, skip_table_creation=True
        )
        self._study = optuna.load_study(study_name=name, storage=stored)

    def verified(self, number: int, mean_mcc: float, worst_leakage: float, saturated: bool) -> None:
        """Tells nobody."""

    def fail(self, number: int, reason: str) -> None:
        """Tells nobody."""

    def note_encoder(self, number: int, encoder_id: str) -> None:
        """Notes nothing."""


def _open(storage: str | optuna.storages.BaseStorage) -> optuna.storages.BaseStorage:
    """Optuna's storage at an address; a connection that was lost meanwhile is opened again."""
    if not isinstance(storage, str):
        return storage
    return optuna.storages.RDBStorage(storage, engine_kwargs={"pool_pre_ping": True})


def build_sampler(config: StudyConfig, seed: int) -> optuna.samplers.BaseSampler:
    """Makes the sampler of `study.sampler`; a seed of 0 is a seed."""
    startup = config.study.num_startup
    table: dict[str, Any] = {
        # Grouped and multivariate: which values go together is what there is to learn, and each
        # protector's values are a group of their own. Trials that are still running count as bad
        # ones, so that workers do not crowd together.
        "tpe": lambda: optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=startup, multivariate=True, group=True, constant_liar=True
        ),
        # These two model what every trial has (with several protectors the name and the cut) and
        # draw the rest at random.
        "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed, population_size=startup),
        "gp": lambda: optuna.samplers.GPSampler(
            seed=seed, n_startup_trials=startup, warn_independent_sampling=False
        ),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: optuna.samplers.BaseSampler = table[config.study.sampler]()
    return sampler
