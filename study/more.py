"""`study.num_encoders=+N`: N more encoders than there were when the study last came to its end.

The same command can so be started every night. One that was killed is started again with the same
total: what it asks for does not grow by trying.
"""

from dataclasses import replace

from study.config import StudyConfig
from study.folder import StudyFolder, read_json
from study.since import NUM_ENCODERS
from trainables.errors import ConfigError


def with_total(config: StudyConfig, folder: StudyFolder) -> StudyConfig:
    """The configuration with a total in the place of `+N`; another one stays as it is.

    Raises:
        ConfigError: If the note of the last end is damaged: a wrong total would train too much.
    """
    if not config.adds:
        return config
    before = 0
    if folder.ended.exists():
        before = (read_json(folder.ended) or {}).get(NUM_ENCODERS, -1)
        if not isinstance(before, int) or before < 0:
            raise ConfigError(
                f"study.num_encoders: {folder.ended} is damaged, so that nobody can tell how many "
                f"+{config.study.num_encoders} makes; give a total"
            )
    total = before + config.study.num_encoders
    return replace(config, study=config.study.model_copy(update={NUM_ENCODERS: total}), adds=False)
