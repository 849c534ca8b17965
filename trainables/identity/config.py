"""Settings of the identity model Φ: which network tells who is on an image, and what it is fed."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from trainables.settings import Settings

IdentityName = Literal["none", "mobilefacenet", "torchscript", "exported", "public"]
FROM_FILE: tuple[IdentityName, ...] = ("mobilefacenet", "torchscript", "exported")
"""The models that are read from `identity_weights`."""

MOBILEFACENET_SIZE = (112, 96)
"""Height and width of MobileFaceNet's input: the 7×6 kernel of its last map fits no other."""

MOBILEFACENET_RANGE = (-0.99609375, 0.99609375)
"""(x − 127.5)/128 for x = 0 and x = 255."""

_Side = Annotated[int, Field(ge=8, le=1024)]
_Share = Annotated[float, Field(gt=0, le=1)]


def _absolute(path: Path) -> Path:
    """Trials run in other folders than the command did: a relative path must not reach them."""
    return path.expanduser().absolute()


class IdentityConfig(Settings):
    """The identity model Φ and how stored images become its input (methods, section 4).

    Attributes:
        identity_model: `none`; `mobilefacenet`, built in, its weights read from a file;
            `torchscript`, a program that `torch.jit.save` wrote; `exported`, one that
            `torch.export.save` wrote; `public`, a small network trained on people of the public
            split whom no attacker sees (weak on small data).
        identity_weights: File of the weights (safetensors, or a state dict saved by torch) or of
            the program. A relative path is made absolute from where the configuration is read.
        identity_size: Height and width of the model's input in pixels.
        identity_range: What black (0) and white (1) become at its input; the default is
            MobileFaceNet's (x − 127.5)/128 of 0…255.
        identity_crop: Shares of the stored image's height and width that the model sees, cut from
            its middle. None for the source's own: the face, 0.65 of the original's width, on
            `celeba`; the largest crop of the input's aspect elsewhere; for `public` all of it.
    """

    identity_model: IdentityName = "none"
    identity_weights: Annotated[Path, AfterValidator(_absolute)] | None = None
    identity_size: tuple[_Side, _Side] = MOBILEFACENET_SIZE
    identity_range: tuple[float, float] = MOBILEFACENET_RANGE
    identity_crop: tuple[_Share, _Share] | None = None

    @model_validator(mode="after")
    def _identity_weights_fit(self) -> "IdentityConfig":
        if (self.identity_model in FROM_FILE) != (self.identity_weights is not None):
            raise ValueError(
                f"identity_weights: a file is needed with identity_model {' or '.join(FROM_FILE)} "
                f"and only there, got identity_model={self.identity_model!r}, "
                f"identity_weights={self.identity_weights}"
            )
        return self

    @model_validator(mode="after")
    def _identity_input_fits(self) -> "IdentityConfig":
        low, high = self.identity_range
        if low >= high:
            raise ValueError(
                "identity_range: (low, high) are what black and white become, low below high; "
                f"got {[low, high]}"
            )
        own = MOBILEFACENET_SIZE, MOBILEFACENET_RANGE
        given = self.identity_size, self.identity_range
        if self.identity_model not in ("torchscript", "exported") and given != own:
            raise ValueError(
                "identity_size, identity_range: only identity_model torchscript or exported may "
                f"have others than {list(own[0])} and {list(own[1])}; got {list(given[0])} and "
                f"{list(given[1])} with {self.identity_model!r}"
            )
        return self
