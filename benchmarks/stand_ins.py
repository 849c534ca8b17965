"""Lets the nets and protectors be imported where only PyTorch and NumPy are installed.

A bare GPU machine has no torchvision and no pydantic. Training steps need little of them: two
residual blocks and settings without checks. That little is here; whatever else is asked of a
missing library fails when it is called. Benchmarks alone use it, and only for what is missing; a
test holds a round with stand-ins to a round with the libraries.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

LIBRARIES = (
    "PIL", "filelock", "pyarrow", "pydantic", "pytorch_msssim", "scipy", "torchmetrics",
    "torchvision",
)  # fmt: skip
"""What the imports of the nets and protectors name besides PyTorch and NumPy."""


def install() -> list[str]:
    """Puts stand-ins in the place of missing libraries; returns which are missing."""
    missing = [name for name in LIBRARIES if not _is_installed(name)]
    if missing:
        sys.meta_path.append(_Finder(missing))
    return missing


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


class Missing:
    """Anything of a library that is not there: may be named and passed on, not used."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> "Missing":
        if name.startswith("__"):
            raise AttributeError(name)
        return Missing(f"{self.name}.{name}")

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Says what would be needed."""
        raise ModuleNotFoundError(f"{self.name} is needed here and not installed")

    def __or__(self, other: Any) -> Any:
        return self

    __ror__ = __or__


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers for missing libraries and all their modules."""

    def __init__(self, missing: Sequence[str]) -> None:
        self.missing = missing

    def find_spec(
        self, name: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.split(".")[0] not in self.missing:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        vars(module).update(_KNOWN.get(module.__name__, {}))


class _StandIn(types.ModuleType):
    def __getattr__(self, name: str) -> Missing:
        if name.startswith("__"):
            raise AttributeError(name)
        return Missing(f"{self.__name__}.{name}")


class _Default:
    def __init__(self, default: Any = None, **_: Any) -> None:
        self.value = default


class _Check:
    """A method that changes settings before they are made, or looks at them afterwards."""

    def __init__(self, mode: str, method: Any) -> None:
        self.mode = mode
        self.method: Callable[..., Any] = getattr(method, "__func__", method)


class Model:
    """Pydantic's `BaseModel`, with defaults and its model's own checks but none of the types."""

    def __init__(self, **given: Any) -> None:
        kind = type(self)
        inherited = reversed(kind.__mro__)
        checks = [c for base in inherited for c in vars(base).values() if isinstance(c, _Check)]
        for check in checks:
            if check.mode == "before":
                given = check.method(kind, given)
        for base in reversed(kind.__mro__):
            for name in vars(base).get("__annotations__", {}):
                value = getattr(kind, name, None)
                vars(self)[name] = value.value if isinstance(value, _Default) else value
        vars(self).update(given)
        for check in checks:
            if check.mode == "after":
                check.method(self)


def _checking(mode: str) -> Callable[[Any], _Check]:
    return lambda method: _Check(mode, method)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2015, Figure 5 left)."""

    expansion = 1

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: Any = None) -> None:
        super().__init__()
        self.conv1 = _conv(inplanes, planes, 3, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _conv(planes, planes, 3)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        total: Tensor = self.relu(out.add_(x if self.downsample is None else self.downsample(x)))
        return total


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride, as torchvision), 1x1 beside a shortcut (Figure 5 right)."""

    expansion = 4

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: Any = None) -> None:
        super().__init__()
        self.conv1 = _conv(inplanes, planes, 1)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = _conv(planes, planes, 3, stride)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = _conv(planes, planes * self.expansion, 1)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        total: Tensor = self.relu(out.add_(x if self.downsample is None else self.downsample(x)))
        return total


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


_KNOWN: dict[str, dict[str, Any]] = {
    "pydantic": {
        "BaseModel": Model,
        "ConfigDict": dict,
        "Field": _Default,
        "AfterValidator": _Default,
        "BeforeValidator": _Default,
        "model_validator": _checking,
    },
    "torchvision.models.resnet": {"BasicBlock": BasicBlock, "Bottleneck": Bottleneck},
}
