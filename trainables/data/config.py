"""Settings of the data: which images, at what size, and who gets which of them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from trainables.settings import Settings

SourceName = Literal["avatars", "celeba", "folder"]
SplitScheme = Literal["image", "identity", "official"]


def _positive_pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """Turns one number into a square and refuses sizes below 16 pixels."""
    pair = (value, value) if isinstance(value, int) else value
    if min(pair) < 16:
        raise ValueError(f"every side must be at least 16 pixels, got {list(pair)}")
    return pair


def _names(value: object) -> object:
    """Lets one attribute, or several with commas, be given as plain text."""
    if not isinstance(value, str) or value == "all":
        return value
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _absolute(path: Path) -> Path:
    """Trials run in other folders than the command did: a relative path must not reach them."""
    return path.expanduser().absolute()


def _predictable(source: object) -> object:
    """Says why LFW, which is a data set of faces too, is not among the sources."""
    if source == "lfw":
        raise ValueError(
            "'lfw' has no attributes that a service could predict; its images can be given to the "
            "attacker, with data.extra_public=FOLDER"
        )
    return source


Folder = Annotated[Path, AfterValidator(_absolute)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
ImageSize = Annotated[int | tuple[int, int], AfterValidator(_positive_pair)]


class DataConfig(Settings):
    """What the study is measured on.

    Attributes:
        source: Where the images come from: `avatars` (drawn here), `celeba` (CelebA's files) or
            `folder` (a folder per category, such as Places-365; each category is an attribute).
        root: Folder of the source's files; required by every source but `avatars`. A relative
            one is made absolute from where the configuration is read.
        image_size: Pixels, one number for a square or `[height, width]`.
        num_images: How many images to use, the first ones of the source (of `folder`, as many of
            each category as there are); None means all of them (for `avatars`, 4,000).
        categories: For `folder`: the categories to use, the images of others being left out; none
            means all. A list, or text with commas.
        split: `image` (as in the papers), `identity` (no person in two splits), or `official`
            (CelebA's partition file, or the train, val and test of `folder`: the training part
            becomes private and public, the validation part selection, the test part test; where
            there is no validation part, training becomes selection too, all three in the
            proportion of their fractions).
        fractions: Shares of (private, public, selection, test), summing to 1. The default keeps
            CelebA's 160k : 40k of Xiao for private : public and leaves a fifth to measure on.
        seed: Seed of the split and, for `avatars`, of the drawings.
        utility: Names of the attributes the service predicts, or `all`: those that are not private.
        private: Names of the attributes that are to stay private; like `utility` a list, or text
            with commas.
        extra_public: Folder of images that the attacker holds beside the public split, without
            attributes: LFW's layout (a folder per person), or all images in one folder. Only
            attackers with `extra` set use them. Made absolute as `root` is.
        extra_images: How many of them to use, the first ones (in LFW's layout of different people,
            as far as there are enough); None means all.
    """

    source: Annotated[SourceName, BeforeValidator(_predictable)] = "avatars"
    root: Folder | None = None
    image_size: ImageSize = 32
    num_images: int | None = Field(default=None, ge=40)
    categories: Names = ()
    split: SplitScheme = "image"
    fractions: tuple[float, float, float, float] = (0.64, 0.16, 0.08, 0.12)
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    utility: Annotated[Literal["all"] | tuple[str, ...], BeforeValidator(_names)] = "all"
    private: Names = ()
    extra_public: Folder | None = None
    extra_images: int | None = Field(default=None, ge=1)

    @property
    def height(self) -> int:
        """Height of the images in pixels."""
        return self.image_size[0] if isinstance(self.image_size, tuple) else self.image_size

    @property
    def width(self) -> int:
        """Width of the images in pixels."""
        return self.image_size[1] if isinstance(self.image_size, tuple) else self.image_size

    @model_validator(mode="after")
    def _consistent(self) -> "DataConfig":
        if min(self.fractions) <= 0 or abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError(
                "fractions: (private, public, selection, test) must each be above 0 and sum to 1, "
                f"got {list(self.fractions)}"
            )
        if self.source != "avatars" and self.root is None:
            raise ValueError(f"root: source {self.source!r} reads files; give data.root=FOLDER")
        if self.source == "avatars" and self.root is not None:
            raise ValueError(f"root: avatars are drawn, they read no folder; got {self.root}")
        if self.split == "official" and self.source == "avatars":
            raise ValueError(
                "split: 'official' needs a source that comes with a split, 'celeba' or 'folder'; "
                "got 'avatars'"
            )
        if self.categories and self.source != "folder":
            raise ValueError(
                f"categories: source {self.source!r} has none, only 'folder' has; "
                f"got {list(self.categories)}"
            )
        if self.extra_images is not None and self.extra_public is None:
            raise ValueError(
                f"extra_images: got {self.extra_images}, but there are no extra images; give their "
                "folder with data.extra_public=FOLDER"
            )
        if self.utility != "all":
            both = sorted(set(self.utility) & set(self.private))
            if both:
                raise ValueError(f"utility: {', '.join(both)} cannot be both utility and private")
            if not self.utility:
                raise ValueError("utility: name at least one attribute, or 'all'")
        return self
