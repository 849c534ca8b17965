"""Which encoders need no more attackers: those that are beaten whatever the rest would find.

Utility is known once an encoder is trained, and each attacker more can only raise what it is known
to leak (further seeds of the same attacker may take back a standard error of it). An encoder that
leaks more already than a verified one of no less utility is on no frontier. The rule needs no model
and no in-loop figure: an in-loop adversary is one attacker among the others, and a weak one; a
promise about those to come would be built on it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from study.jobs import Job
from study.records import UNCOUNTED, EncoderRecord
from study.verification import Verdict


@dataclass(frozen=True)
class Dominance:
    """Why an encoder is attacked no further.

    Attributes:
        by: Label of the verified encoder that beats it.
        leakage: That one's worst leakage on selection.
        at_least: What the attackers so far surely get out of this one, on selection.
    """

    by: str
    leakage: float
    at_least: float

    def __str__(self) -> str:
        return (
            f"leaks at least {self.at_least:.3f} on selection, where {self.by}, no less useful, "
            f"leaks {self.leakage:.3f}"
        )


def strongest_first(jobs: Sequence[Job], others: Iterable[EncoderRecord]) -> list[Job]:
    """An encoder's attack jobs, those first whose attackers were most often the worst so far.

    The sooner the worst attacker has ended, the more of the others can be spared. What each finds
    does not depend on the order.
    """
    worst = Counter(other.verdict.worst_attacker for other in others if other.verdict is not None)
    return sorted(jobs, key=lambda job: -sum(worst[name] for name in job.attackers))


def dominance(
    utility: float,
    so_far: Verdict,
    others: Iterable[EncoderRecord],
    margin: float,
) -> Dominance | None:
    """Finds the encoder that beats one whatever the attackers still to come would find.

    Args:
        utility: Its mean MCC on the selection split.
        so_far: The verdict of the attackers that have ended.
        others: The encoders of the study.
        margin: How much less another one must leak, at least 0.

    Returns:
        What the least leaking of those that beat it leaks; None if there is none. One with an
        unsaturated attacker beats none: its leakage is a lower bound.
    """
    at_least = max(f.surely for f in so_far.figures if f.counts)
    better = [
        (other.objectives[1], other.label)
        for other in others
        if other.status == "verified"
        and other.role not in UNCOUNTED  # what is on no frontier beats no encoder
        and other.verdict is not None
        and other.verdict.saturated
        and other.objectives is not None
        and other.objectives[0] >= utility
        and other.objectives[1] + margin < at_least
    ]
    if not better:
        return None
    leakage, label = min(better)
    return Dominance(label, leakage, at_least)
