"""The base of every component's settings: frozen, and strict about names.

A misspelt hyperparameter must fail when the study is read, not after a night of training, so
unknown keys are refused and nothing can be changed once built.
"""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Settings of one component; refuses unknown keys and cannot be changed."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )
