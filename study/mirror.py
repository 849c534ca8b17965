"""A results folder whose files are kept at an address that every node reaches: in a bucket.

Trials and driver work on a folder of their own machine and pass on what others need. Without an
address the folder itself is what all share, and nothing is to be done here.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from trainables.checkpoint import write_bytes
from trainables.errors import ConfigError

SCHEME = "s3://"
NODES_OWN = (".arrow", ".lock", ".jsonl")
"""Suffixes of what every node makes for itself: image stores, locks, points not yet told."""
Answer = TypeVar("Answer")
WAITS = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between tries of what a storage on the network did not do."""


class Mirror:
    """The copies of a results folder's files at its address.

    Args:
        results: The folder on this machine.
        address: `s3://bucket/folder`, or None. Credentials and endpoint are the environment's, as
            in every AWS client.

    Raises:
        OSError: If the address cannot be made sense of.
    """

    def __init__(self, results: Path, address: str | None) -> None:
        self.address = address
        self.results = results
        self._files: Any = None
        self._base = ""
        if address is not None:
            from pyarrow import fs  # half a second that most studies do not need

            self._files, base = fs.FileSystem.from_uri(address)
            self._base = base.rstrip("/")

    def push(self, *paths: Path) -> None:
        """Copies files from here to the address; one that is not here is left out."""
        if self._files is None:
            return
        for path in paths:
            if path.is_file():
                content = path.read_bytes()
                self._write(self._remote(path), content)

    def push_folder(
        self, folder: Path, but: tuple[str, ...] = (), missing_only: bool = False
    ) -> None:
        """Copies the files directly in a folder.

        Args:
            folder: The folder.
            but: Suffixes of files that stay here.
            missing_only: Whether what is there already is as it will stay.
        """
        if self._files is None:
            return
        there = self.names(folder) if missing_only else []
        self.push(*(p for p in folder.glob("*") if p.suffix not in but and p.name not in there))

    def pull(self, *paths: Path) -> None:
        """Copies files from the address, each whole or not at all; one that is not there is not."""
        if self._files is None:
            return
        for path in paths:
            content = self._read(self._remote(path))
            if content is not None:
                write_bytes(content, path)

    def pull_folder(self, folder: Path, missing_only: bool = False) -> None:
        """Copies the files directly in a folder.

        Args:
            folder: The folder.
            missing_only: Whether what is here already is as it will stay.
        """
        for name in self.names(folder):
            path = folder / name
            if not (missing_only and path.exists()):
                self.pull(path)

    def names(self, folder: Path) -> list[str]:
        """Names of the files directly in a folder at the address."""
        if self._files is None:
            return []
        from pyarrow import fs

        chosen = fs.FileSelector(self._remote(folder), allow_not_found=True)
        found = _patiently(lambda: self._files.get_file_info(chosen))
        return [info.base_name for info in found if info.type == fs.FileType.File]

    def remove(self, *paths: Path) -> None:
        """Removes files at the address, if they are there."""
        if self._files is None:
            return
        for path in paths:
            remote = self._remote(path)

            def delete(remote: str = remote) -> None:
                with suppress(FileNotFoundError):
                    self._files.delete_file(remote)

            _patiently(delete)

    def write_text(self, text: str, name: str) -> None:
        """Writes a file where every node is to see it.

        Raises:
            OSError: If that cannot be.
        """
        if self._files is None:
            (self.results / name).parent.mkdir(parents=True, exist_ok=True)
            (self.results / name).write_text(text, encoding="utf-8")
        else:
            self._write(self._remote(self.results / name), text.encode(), tries=1)

    def read_text(self, name: str) -> str:
        """Reads a file that another node wrote.

        Raises:
            OSError: If it is not there.
        """
        if self._files is None:
            return (self.results / name).read_text(encoding="utf-8")
        content = self._read(self._remote(self.results / name), tries=1)
        if content is None:
            raise FileNotFoundError(f"there is no {name} at {self.address}")
        return content.decode()

    def discard(self, place: str, names: Sequence[str]) -> None:
        """Removes a folder of the results and the files in it, as far as that can be."""
        with suppress(OSError):
            self.remove(*(self.results / name for name in names))
        shutil.rmtree(self.results / place, ignore_errors=True)

    def __str__(self) -> str:
        return str(self.results) if self.address is None else self.address

    def _remote(self, path: Path) -> str:
        parts = path.relative_to(self.results).as_posix()
        return self._base if parts == "." else f"{self._base}/{parts}"

    def _write(self, remote: str, content: bytes, tries: int = len(WAITS) + 1) -> None:
        def write() -> None:
            # In one piece: what breaks off half-way is not there at all.
            with self._files.open_output_stream(remote) as stream:
                stream.write(content)

        _patiently(write, tries)

    def _read(self, remote: str, tries: int = len(WAITS) + 1) -> bytes | None:
        def read() -> bytes | None:
            try:
                with self._files.open_input_stream(remote) as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

        return _patiently(read, tries)


def working_copy(address: str) -> Path:
    """Where a machine keeps its copy of what is at an address: below $CUTPOINT_SCRATCH or /tmp."""
    top = os.environ.get("CUTPOINT_SCRATCH")
    name = hashlib.sha256(address.encode()).hexdigest()[:12]
    base = Path(top) if top else Path(tempfile.gettempdir()) / f"cutpoint-{os.getuid()}"
    return base.expanduser().absolute() / name


def check_address(address: str) -> None:
    """Refuses an address that results cannot be kept at; asks nobody.

    Raises:
        ConfigError: With what is allowed.
    """
    if not address.startswith(SCHEME):
        raise ConfigError(f"--results: a folder or s3://bucket/folder, got {address!r}")
    parts = urlsplit(address)
    if parts.username or parts.password or "secret" in parts.query:
        raise ConfigError(
            "--results: credentials belong into the environment or ~/.aws, not into the address"
        )
    if not parts.hostname:
        raise ConfigError(f"--results: the bucket is missing in {address!r}")


def _patiently(call: Callable[[], Answer], tries: int = len(WAITS) + 1) -> Answer:
    for wait in WAITS[: tries - 1]:
        try:
            return call()
        except OSError:
            time.sleep(wait)
    return call()
