"""Fixtures of the study's tests: a small configuration, its folder, and fast fake trials."""

from collections.abc import Callable
from pathlib import Path

import pytest

from study.config import StudyConfig
from study.folder import StudyFolder
from study.jobs import JobFactory
from study.loading import load_config
from study.proposals import Proposals
from study.search import VerifiedSearch
from tests.study.study_fakes import CONTENT, Notes

SMALL = Path(__file__).parent / "small.yaml"


@pytest.fixture
def make_config() -> Callable[..., StudyConfig]:
    """Builds the tests' recipe with overrides, under the name `small`."""

    def make(*overrides: str) -> StudyConfig:
        return load_config(str(SMALL), ["study.num_encoders=4", *overrides])

    return make


class Bench:
    """One study's search, to be driven by hand as Tune would."""

    def __init__(self, config: StudyConfig, results: Path) -> None:
        self.config = config
        self.folder = StudyFolder(results, config.study.name)
        self.jobs = JobFactory(config, self.folder, CONTENT)
        self.proposals = Proposals(config, f"sqlite:///{results / 'optuna.db'}")
        self.notes = Notes()
        self.search = VerifiedSearch(self.jobs, self.folder, self.proposals, self.notes)


@pytest.fixture
def make_bench(make_config: Callable[..., StudyConfig], tmp_path: Path) -> Callable[..., Bench]:
    """Builds a search over `tmp_path`; a second call resumes the first."""

    def make(*overrides: str) -> Bench:
        return Bench(make_config(*overrides), tmp_path)

    return make
