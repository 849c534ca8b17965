"""What `--dry-run --confirm N` prints: who would be trained again, what is done and what is left.

It is read from the study's files and from Optuna's storage by the search that would go on with
them; nothing is written and nobody is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from study.checks import check_same_data, stored_data
from study.config import StudyConfig
from study.confirmation import Confirmations
from study.jobs import JobFactory
from study.places import Places, has_proposals
from study.precision import settled_precision
from study.proposals import StoredProposals
from study.records import UNCOUNTED, EncoderRecord, Listeners
from study.references import ReferenceScores
from study.search import VerifiedSearch
from study.tracking import Client
from trainables.attackers.suite import SUITE_VERSION


@dataclass(frozen=True)
class Planned:
    """The fresh trainings of one encoder, and the attacks on them.

    Attributes:
        first: The encoder.
        trainings: (done, to do).
        attacks: (done, to do) of attack trials; what collapsed or diverged meets none.
        seconds: Work of what is to do, if it takes as long as the first time.
    """

    first: EncoderRecord
    trainings: tuple[int, int]
    attacks: tuple[int, int]
    seconds: float


def planned(
    confirmations: Confirmations, records: Mapping[str, EncoderRecord]
) -> tuple[Planned, ...]:
    """What would be confirmed, the encoders of earlier demands first.

    Args:
        confirmations: Say which encoders, and how often.
        records: Every encoder by its identity, fresh trainings that were begun among them.
    """
    found = []
    for name, number in confirmations.chosen(records).items():
        first = records.get(name)
        if first is None:
            continue
        again = [records.get(one.encoder_id, one) for one in confirmations.fresh(first, number)]
        trained = sum(one.protected is not None for one in again)
        attacked = sum(len(one.attacked) for one in again)
        expected = sum(_num_attacks(one, first) for one in again)
        left = (number - trained, expected - attacked)
        found.append(Planned(first, (trained, left[0]), (attacked, left[1]), _seconds(first, left)))
    return tuple(found)


def _num_attacks(again: EncoderRecord, first: EncoderRecord) -> int:
    """Attack trials of a fresh training; as many as the first one had, until it is trained."""
    return len((again if again.protected is not None else first).attacks or {})


def _seconds(first: EncoderRecord, left: tuple[int, int]) -> float:
    attacks = [float(result.get("seconds") or 0.0) for result in first.attacked.values()]
    training = float((first.protected or {}).get("seconds") or 0.0)
    return left[0] * training + left[1] * sum(attacks) / max(1, len(attacks))


def print_confirmation(
    config: StudyConfig,
    places: Places,
    client: Client | None,
    number: int,
    slots: int,
    console: Console,
) -> None:
    """Prints what `--confirm` would have done, or why there is nothing to confirm yet.

    Args:
        config: The study.
        places: Where it is.
        client: MLflow, if it has anything.
        number: Fresh trainings of each encoder worth it.
        slots: Trials at a time.
        console: Where to print.

    Raises:
        ConfigError: The study was attacked by another version of the suites.
    """

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    stored = _as_stored(config, places, client)
    if isinstance(stored, str):
        say(f"--confirm {number}: nothing to confirm yet: {stored}")
        return
    jobs, records = stored
    found = planned(Confirmations(jobs, places.folder, number), records)
    left = _num_unfinished(config, records)
    if found:
        console.print(_table(found, number))
        say(_time(found, slots))
    else:
        say(
            f"--confirm {number}: nothing to confirm yet: of no encoder that is verified all "
            "attackers saturated"
        )
    if left:
        say(
            f"the search goes first: {left} of {config.study.num_encoders} encoders are not done, "
            "and what comes of them may change who is confirmed"
        )


def _as_stored(
    config: StudyConfig, places: Places, client: Client | None
) -> tuple[JobFactory, Mapping[str, EncoderRecord]] | str:
    """The study's jobs, and every encoder as it is stored; or why there is none yet."""
    data = stored_data(places, client)
    settled = settled_precision(config, places.folder)
    if data is None or settled is None or not has_proposals(places):
        return f"no study {config.study.name!r} has trained anything here"
    check_same_data(places, client, {**data, "suite_version": SUITE_VERSION}, resume=True)
    jobs = JobFactory(settled, places.folder, data)
    if ReferenceScores(jobs, places.folder).missing:
        return "floors and ceilings are not all measured, so that no encoder is verified"
    proposals = StoredProposals(places.folder.name, places.storage)
    return jobs, VerifiedSearch(jobs, places.folder, proposals, Listeners()).records


def _num_unfinished(config: StudyConfig, records: Mapping[str, EncoderRecord]) -> int:
    """Encoders of the search that are asked for and have no outcome."""
    counted = [record for record in records.values() if record.role not in UNCOUNTED]
    begun = sum(record.status == "running" for record in counted)
    return begun + max(0, config.study.num_encoders - len(counted))


def _table(found: tuple[Planned, ...], number: int) -> Table:
    title = f"--confirm {number}: trained and attacked again with fresh seeds (done / to do)"
    table = Table(title=title, title_justify="left")
    table.add_column("encoder", overflow="fold")
    for name in ("mean MCC\n(test)", "worst leak-\nage (test)", "trainings", "attacks"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        verdict = one.first.verdict
        table.add_row(
            f"{one.first.label} ({one.first.encoder_id})",
            "–" if one.first.mean_mcc is None else f"{one.first.mean_mcc:.3f}",
            "–" if verdict is None else f"{verdict.worst_leakage:.3f}",
            _counts(one.trainings),
            _counts(one.attacks),
        )
    table.add_section()
    totals = [
        (sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs))
        for pairs in ([one.trainings for one in found], [one.attacks for one in found])
    ]
    encoders = f"{len(found)} encoder{'' if len(found) == 1 else 's'}"
    table.add_row(encoders, "", "", _counts(totals[0]), _counts(totals[1]))
    return table


def _counts(pair: tuple[int, int]) -> str:
    return f"{pair[0]} / {pair[1]}"


def _time(found: tuple[Planned, ...], slots: int) -> str:
    if not any(one.trainings[1] or one.attacks[1] for one in found):
        return "all of it is done; a larger N adds to it"
    seconds = sum(one.seconds for one in found) / slots
    told = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
    if seconds >= 5400:
        told = f"{seconds / 3600:.1f} h"
    return f"time: about {told}, {slots} trials at a time, if they take as long as the first ones"
