"""The one Tune trainable: it runs whichever trial its configuration names, and keeps its state.

A trial writes its own checkpoint and its own final result, so that neither a killed driver nor a
killed worker loses more than the seconds since the last checkpoint.
"""

import errno
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import torch
from ray import tune

from study.folder import StudyFolder, read_json, write_json
from study.mirror import NODES_OWN, working_copy
from study.reports import EARLIER, Reports, numbers_of
from trainables.checkpoint import write_text

CHECKPOINT_SECONDS = 30.0
"""Time between a trial's own checkpoints."""
FULL_DISK = {errno.ENOSPC, errno.EDQUOT}
FULL_DISK_SECONDS = 600.0
"""Time that a finished trial waits for room to write its result."""
RETRY_SECONDS = 2.0


class Trial(Protocol):
    """What `ProtectTrial` and `AttackTrial` offer."""

    def step(self) -> dict[str, Any]:
        """Trains for a few seconds and reports; `done` is true at the end."""
        ...

    def save(self, path: Path) -> None:
        """Writes all state."""
        ...

    def load(self, path: Path) -> None:
        """Restores what `save` wrote."""
        ...


TrialFactory = Callable[[Mapping[str, Any]], Trial]


def make_trial(config: Mapping[str, Any]) -> Trial:
    """Builds the trial a configuration names."""
    # Imported here: a worker that never attacks need not load the attackers, and the reverse.
    if config["kind"] == "protect":
        from trainables.protect import ProtectTrial

        return ProtectTrial(config)
    from trainables.attack import AttackTrial

    return AttackTrial(config)


class Bundles:
    """Resources of a trial by its kind.

    It is sent to the workers, and so stands here: they need not load what the driver needs.

    Args:
        resources: `ResourcesConfig`, dumped.
    """

    def __init__(self, resources: Mapping[str, Any]) -> None:
        self._resources = dict(resources)

    def __call__(self, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Returns one bundle: the trial runs in it whole, device included."""
        kind = config["kind"]
        bundle = {"CPU": float(self._resources[f"cpus_per_{kind}"])}
        gpus = float(self._resources[f"gpus_per_{kind}"])
        if gpus:
            bundle["GPU"] = gpus
        return tune.PlacementGroupFactory([bundle])


class StudyTrial(tune.Trainable):
    """A Tune trainable around one trial; its actor is used again for the next."""

    def setup(
        self,
        config: dict[str, Any],
        factory: TrialFactory = make_trial,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
        full_disk_seconds: float = FULL_DISK_SECONDS,
    ) -> None:
        """Prepares the trial, going on from its checkpoint if it has one."""
        self._factory = factory
        self._checkpoint_seconds = checkpoint_seconds
        self._full_disk_seconds = full_disk_seconds
        self._trial: Trial | None = None
        self._finished: dict[str, Any] | None = None
        self._saved = 0.0
        self._note = ""
        self._start(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes up another trial in the same process."""
        self._start(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Runs the trial for a few seconds; writes what must outlive this process.

        Raises:
            Exception: Whatever the trial raised; its text is kept for the summary.
        """
        try:
            if self._finished is None and self._trial is None:
                self._trial = self._prepare()
            note, self._note = self._note, ""
            if self._finished is not None:
                return self._report(self._finished, note)
            assert self._trial is not None
            result = self._trial.step()
            self._reports.add(result)
            if result["done"]:
                self._finish(result)
            elif time.monotonic() - self._saved > self._checkpoint_seconds:
                note = self._try_to_save() or note
            return self._report(result, note)
        except Exception:
            self._note_error(traceback.format_exc())
            raise

    def cleanup(self) -> None:
        """Saves a trial that is stopped before its end."""
        if self._trial is not None and self._finished is None:
            self._try_to_save()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Tune's checkpoint: the trial's own, in Tune's folder."""
        if self._trial is not None:
            self._trial.save(Path(checkpoint_dir) / "trial.pt")

    def load_checkpoint(self, checkpoint: str) -> None:  # type: ignore[override]
        """Restores Tune's checkpoint."""
        path = Path(checkpoint) / "trial.pt"
        if path.is_file() and self._finished is None:
            self._trial = self._trial or self._factory(self._trial_config)
            self._trial.load(path)

    def _start(self, config: Mapping[str, Any]) -> None:
        results, address = Path(config["results"]), config.get("address")
        own = results if address is None else working_copy(address)
        self._folder = StudyFolder(own, config["study"], address)
        self._key = str(config["key"])
        self._trial_config: Mapping[str, Any] = _moved(config["trial"], results, own)
        self._trial = None
        self._note = ""
        self._reports = Reports()
        self._folder.mirror.pull(self._folder.trial(self._key))
        self._finished = read_json(self._folder.trial(self._key))
        self._saved = time.monotonic()

    def _prepare(self) -> Trial:
        """Builds the trial; done in the first step, where an error is kept like any other."""
        torch.set_num_threads(int(self._trial_config["threads"]))
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._fetch()
        checkpoints = self._folder.checkpoints(self._key)
        trial, damage = self._factory(self._trial_config), ""
        for path in checkpoints.all():
            try:
                if not checkpoints.is_intact(path):
                    raise ValueError("its content is not what was written")
                trial.load(path)
            except (MemoryError, torch.OutOfMemoryError):  # says nothing about the file
                raise
            except Exception as error:
                damage = (str(error).strip() or "no message").splitlines()[0]
                path.unlink(missing_ok=True)
                trial = self._factory(self._trial_config)  # the first may be half restored
            else:
                self._reports.restore((read_json(checkpoints.reports) or {}).get(EARLIER))
                if damage:
                    self._note = f"its checkpoint was damaged ({damage}): the one before was used"
                return trial
        if damage:
            self._note = f"its checkpoints were damaged ({damage}): it started over"
        return trial

    def _save(self) -> None:
        assert self._trial is not None
        checkpoints, mirror = self._folder.checkpoints(self._key), self._folder.mirror
        before = checkpoints.all()
        # First: reports that the checkpoint is behind are told twice, which does no harm.
        write_json({EARLIER: self._reports.recent}, checkpoints.reports)
        mirror.push(checkpoints.reports)
        mirror.push(checkpoints.save(self._trial.save))
        mirror.remove(*(path for path in before if not path.exists()))
        self._saved = time.monotonic()

    def _try_to_save(self) -> str:
        """As `_save`; what cannot be written (a full disk) ends no trial, and is said."""
        try:
            self._save()
        except OSError as error:
            self._saved = time.monotonic()
            return f"no checkpoint could be written ({error}); the trial goes on without"
        return ""

    def _insist(self, write: Callable[[], None]) -> None:
        """Writes a result, in spite of a disk that is full for a while: it took hours to get."""
        end = time.monotonic() + self._full_disk_seconds
        while True:
            try:
                write()
            except OSError as error:
                if error.errno not in FULL_DISK or time.monotonic() >= end:
                    raise
                time.sleep(RETRY_SECONDS)
            else:
                return

    def _finish(self, result: dict[str, Any]) -> None:
        """Keeps the final result: the last thing that other machines are to see of a trial."""
        folder, mirror = self._folder, self._folder.mirror
        # Attacks lay their pictures beside the encoder, which is there already.
        mirror.push_folder(Path(self._trial_config["output"]), missing_only=not self._has_curves)
        mirror.push_folder(folder.cache, but=NODES_OWN, missing_only=True)
        kept = {**result, EARLIER: self._reports.recent} if self._has_curves else result
        self._insist(lambda: write_json(kept, folder.trial(self._key)))
        mirror.push(folder.trial(self._key))
        checkpoints = folder.checkpoints(self._key)
        mirror.remove(checkpoints.reports, *checkpoints.all())
        checkpoints.clear()
        folder.forget_error(self._key)
        self._finished, self._trial = result, None

    def _fetch(self) -> None:
        """Takes what other machines made and this trial goes on from."""
        folder, mirror = self._folder, self._folder.mirror
        if mirror.address is None:
            return
        mirror.pull_folder(folder.cache, missing_only=True)
        checkpoints = folder.checkpoints(self._key)
        mirror.pull(checkpoints.reports, *checkpoints.among(mirror.names(checkpoints.folder)))
        encoder = Path(str(self._trial_config.get("encoder", "")))
        if encoder.is_absolute():
            mirror.pull_folder(encoder.parent)

    def _note_error(self, text: str) -> None:
        path = self._folder.error(self._key)
        # A full disk is itself what is to be told: the trial's own error is what must get out.
        with suppress(OSError):
            write_text(text, path)
            self._folder.mirror.push(path)

    @property
    def _has_curves(self) -> bool:
        """Whether what is reported is nowhere else; an attack's curves come with its result."""
        return self._trial_config.get("kind") == "protect"

    def _report(self, result: Mapping[str, Any], note: str) -> dict[str, Any]:
        """What goes to the driver: numbers. Curves and results are in the trial's file.

        Args:
            result: What the trial reported.
            note: Something a person should know, told once.
        """
        more: dict[str, Any] = {"note": note} if note else {}
        earlier = self._reports.take_restored() if self._has_curves else []
        if earlier:
            more[EARLIER] = earlier
        return {**numbers_of(result), **more, "done": bool(result.get("done", True))}


def _moved(config: Mapping[str, Any], there: Path, here: Path) -> Mapping[str, Any]:
    """A trial's configuration with paths of this machine in the place of the driver's."""
    if there == here:
        return config
    return {
        name: str(here / Path(value).relative_to(there))
        if isinstance(value, str) and Path(value).is_relative_to(there)
        else value
        for name, value in config.items()
    }
