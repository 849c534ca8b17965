"""The encoders of a study: what became of each, and who is told of it.

An encoder is concluded once: verified when its last attacker has ended and the floors and ceilings
are known, or without a verdict, because it failed, diverged or collapsed, or because it is
dominated already and was attacked no further. Then Optuna is told.
"""

from collections.abc import Callable

from study.early_stopping import Dominance, dominance
from study.leakages import figures_of
from study.proposals import Proposals
from study.records import UNCOUNTED, EncoderRecord, Listener, Status
from study.references import ReferenceScores
from study.verification import Verdict, judge

UNFINISHED = "the study ended without its verdict"


class Ledger:
    """Keeps a record of every encoder and concludes it.

    Args:
        proposals: Optuna's side.
        references: Floors and ceilings.
        listener: Is told of every conclusion.
        margin: `study.early_stopping_margin`; None where every encoder meets the whole suite.

    Attributes:
        records: Every encoder so far, by identity.
    """

    def __init__(
        self,
        proposals: Proposals,
        references: ReferenceScores,
        listener: Listener,
        margin: float | None = None,
    ) -> None:
        self.records: dict[str, EncoderRecord] = {}
        self._proposals = proposals
        self._references = references
        self._listener = listener
        self._margin = margin
        self._references_told = False

    @property
    def num_started(self) -> int:
        """Encoders that count towards `study.num_encoders`: not `labels`, nor confirmations."""
        return sum(record.role not in UNCOUNTED for record in self.records.values())

    def failures(self, waits: Callable[[EncoderRecord], bool]) -> list[str]:
        """The encoders that did not end as they should, one line each.

        One that collapsed is no failure of the study: it is a finding about its protector. One that
        was never started, because the time was up, did not fail.

        Args:
            waits: Whether an encoder has not been started yet.
        """
        return [
            f"{record.label} ({record.encoder_id}): {record.status}: {record.reason or UNFINISHED}"
            for record in self.records.values()
            if record.status not in ("verified", "collapsed", "dominated") and not waits(record)
        ]

    @property
    def collapsed(self) -> list[str]:
        """The encoders whose output hardly depends on the image any more, one line each."""
        return [
            f"{record.label} ({record.encoder_id}): {record.reason}"
            for record in self.records.values()
            if record.status == "collapsed"
        ]

    def settle(self) -> None:
        """Judges every encoder whose last attacker has ended."""
        if self._references.missing:
            return
        if not self._references_told:
            self._references_told = True
            self._tell_references()
        for record in self.records.values():
            jobs = record.attacks
            if (
                record.status == "running"
                and jobs is not None
                and jobs.keys() <= record.attacked.keys()
            ):
                try:
                    record.verdict = self._judge(record)
                except ValueError as error:
                    self.conclude(record, "failed", str(error))
                    continue
                if record.spared:
                    self.conclude(record, "dominated", str(self.dominance(record)))
                else:
                    self.conclude(record, "verified", "; ".join(record.verdict.notes))

    def dominance(self, record: EncoderRecord) -> Dominance | None:
        """Why a searched encoder needs no more attackers; None while it does."""
        utility = (record.protected or {}).get("utility/mean_mcc_selection")
        if (
            self._margin is None
            or self._references.missing
            or record.role != "searched"
            or utility is None
            or not record.attacked
        ):
            return None
        try:
            so_far = self._judge(record)
        except ValueError:  # of those that ran, none can be measured
            return None
        return dominance(float(utility), so_far, self.records.values(), self._margin)

    def _judge(self, record: EncoderRecord) -> Verdict:
        return judge(figures_of(record.results(), self._references.known))

    def conclude(self, record: EncoderRecord, status: Status, reason: str) -> None:
        """Ends an encoder's story, once; Optuna and the listener are told."""
        if record.status != "running":
            return
        record.status, record.reason = status, reason
        self.tell(record)
        if status == "verified":
            self._listener.encoder_verified(record)
        elif status == "dominated":
            self._listener.encoder_dominated(record)
        else:
            self._listener.encoder_failed(record)

    def tell(self, record: EncoderRecord) -> None:
        """Tells Optuna of every trial that waits for this encoder, if it has ended."""
        if record.status == "running":
            return
        for number in record.numbers:
            if record.objectives is not None and record.verdict is not None:
                # More attackers could find more in a dominated one: a lower bound, and no verdict.
                saturated = record.verdict.saturated and not record.spared
                self._proposals.verified(number, *record.objectives, saturated)
            else:
                self._proposals.fail(number, f"{record.status}: {record.reason}")
        record.numbers.clear()

    def _tell_references(self) -> None:
        figures = self._references.figures()
        self._listener.references_measured(figures)
        for problem in dict.fromkeys(f.problem for f in figures["identity"] if f.problem):
            self._listener.warn(f"an attacker cannot be measured on this data: {problem}")
