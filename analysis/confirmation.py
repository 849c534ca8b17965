"""What fresh trainings of the frontier's encoders say: how good it is, and how it was flattered.

An encoder came to the frontier by looking good. Its confirmations are trainings of the same
settings from fresh seeds, attacked by fresh attackers; nothing chose them.
"""

import math
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.pareto import non_dominated
from analysis.tables import LEAKAGE, UTILITY, is_saturated
from analysis.uncertainty import DRAWS, LEVEL, Interval

ROLE = "confirmation"


@dataclass(frozen=True)
class Confirmed:
    """One encoder and its fresh trainings.

    Attributes:
        encoder_id: The encoder that was searched.
        num_asked: Fresh trainings that were started.
        num_verified: Those of them that were attacked to the end.
        searched: (mean MCC, worst leakage) that the search found, on test.
        utility: Mean of the fresh trainings, with its interval; NaN bounds for fewer than two.
        leakage: Likewise.
        is_bound: Whether an attacker of a fresh training did not saturate: then the leakage is a
            lower bound.
        probability: That no other confirmed encoder beats it, of those resampled; None where one of
            its trainings is a lower bound or none is verified, and where there is no other.
    """

    encoder_id: str
    num_asked: int
    num_verified: int
    searched: tuple[float, float]
    utility: Interval | None
    leakage: Interval | None
    is_bound: bool
    probability: float | None


@dataclass(frozen=True)
class Confirmation:
    """All that was confirmed.

    Attributes:
        encoders: Each confirmed encoder, by falling utility of the search.
        utility_flattery: Utility of the search less that of the fresh trainings, averaged over
            encoders, with its interval; None where no encoder has a verified fresh training.
        leakage_flattery: Leakage of the fresh trainings less that of the search; likewise.
    """

    encoders: tuple[Confirmed, ...]
    utility_flattery: Interval | None
    leakage_flattery: Interval | None


def confirmation(encoders: pd.DataFrame, seed: int = 0) -> Confirmation | None:
    """Collects what was confirmed; None where nothing was.

    Args:
        encoders: The table of encoders.
        seed: Of the resampling: the same table gives the same answer.
    """
    again = encoders[encoders["role"] == ROLE]
    if again.empty:
        return None
    originals = encoders[encoders["encoder_id"].isin(again["confirms"])]
    originals = originals.sort_values(UTILITY, ascending=False)
    fresh = {str(row["encoder_id"]): _verified(again, row["encoder_id"])
             for _, row in originals.iterrows()}  # fmt: skip
    shares = _probabilities(fresh, seed)
    found = tuple(
        Confirmed(
            encoder_id=str(row["encoder_id"]),
            num_asked=int((again["confirms"] == row["encoder_id"]).sum()),
            num_verified=len(own := fresh[str(row["encoder_id"])]),
            searched=(float(row[UTILITY]), float(row[LEAKAGE])),
            utility=mean_interval(own[UTILITY].to_numpy(float), seed),
            leakage=mean_interval(own[LEAKAGE].to_numpy(float), seed),
            is_bound=not is_saturated(own).all(),
            probability=shares.get(str(row["encoder_id"])),
        )
        for _, row in originals.iterrows()
    )
    known = [one for one in found if one.utility is not None and one.leakage is not None]
    lost = [one.searched[0] - one.utility.value for one in known if one.utility]
    leaked = [one.leakage.value - one.searched[1] for one in known if one.leakage]
    return Confirmation(
        found, mean_interval(np.array(lost), seed), mean_interval(np.array(leaked), seed)
    )


def mean_interval(values: NDArray[np.float64], seed: int = 0) -> Interval | None:
    """Mean with its bootstrap interval (scipy, BCa; percentile where that is not defined).

    Of a single value the bounds are NaN; of none there is nothing.
    """
    if not len(values):
        return None
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, math.nan, math.nan)
    if np.ptp(values) == 0:
        return Interval(mean, mean, mean)
    with warnings.catch_warnings():  # scipy says so where BCa is not defined
        warnings.simplefilter("ignore")
        for method in ("BCa", "percentile"):
            bounds = stats.bootstrap(
                (values,), np.mean, confidence_level=LEVEL, method=method, n_resamples=DRAWS * 9,
                rng=np.random.default_rng(seed),
            ).confidence_interval  # fmt: skip
            if math.isfinite(bounds.low) and math.isfinite(bounds.high):
                break
    return Interval(mean, float(bounds.low), float(bounds.high))


def _verified(again: pd.DataFrame, encoder_id: str) -> pd.DataFrame:
    own = again[(again["confirms"] == encoder_id) & (again["status"] == "verified")]
    return own[own[[UTILITY, LEAKAGE]].map(math.isfinite).all(axis=1)]


def _probabilities(fresh: dict[str, pd.DataFrame], seed: int) -> dict[str, float]:
    """How often each encoder's mean of resampled trainings is beaten by no other one's."""
    usable = {name: own for name, own in fresh.items() if len(own) and is_saturated(own).all()}
    if len(usable) < 2:
        return {}
    generator = np.random.default_rng(seed)
    means = []
    for own in usable.values():
        points = own[[UTILITY, LEAKAGE]].to_numpy(float)
        picked = generator.integers(len(points), size=(DRAWS, len(points)))
        means.append(points[picked].mean(axis=1))
    stacked = np.stack(means, axis=1)  # draw, encoder, (utility, leakage)
    on = np.mean([non_dominated(draw[:, 0], draw[:, 1]) for draw in stacked], axis=0)
    return dict(zip(usable, on.tolist(), strict=True))
