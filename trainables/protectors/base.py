"""What every protector is to the trial that trains it."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from trainables.data.batches import Batch
from trainables.losses import balanced_attribute_loss, utility_loss
from trainables.nets.backbones import (
    CodeSpec,
    build_adversary,
    build_classifier,
    build_encoder,
    code_spec,
)
from trainables.nets.config import ModelConfig
from trainables.protectors.config import ProtectorConfig, staged_rate


class NextBatch(Protocol):
    """Hands over the next batch of one split; called as often as an update needs."""

    def __call__(self, balanced: tuple[int, ...] = ()) -> Batch:
        """Returns a batch, of equal parts of the attributes in `balanced` and of none of them."""
        ...


@dataclass(frozen=True)
class Setting:
    """What a protector must know about the study around it.

    Attributes:
        model: The network and its cut.
        height: Image height in pixels.
        width: Image width in pixels.
        utility_columns: Columns of the labels that the service predicts.
        device: Where the nets live.
        perceptual: The frozen network `g`, or None where no term needs it.
        private_columns: Columns of the labels that are to stay private.
        exclusive: Whether no image has two of the utility attributes.
        num_categories: Number of categories where the attributes are such, one per image; else 0.
            Every task is then one category against the rest on a balanced set (Pittaluga, section
            4.1).
    """

    model: ModelConfig
    height: int
    width: int
    utility_columns: tuple[int, ...]
    device: torch.device
    perceptual: nn.Module | None = None
    private_columns: tuple[int, ...] = ()
    exclusive: bool = False
    num_categories: int = 0

    @property
    def categorical(self) -> bool:
        """Whether the attributes are categories."""
        return self.num_categories > 0

    @functools.cached_property
    def utility_index(self) -> Tensor:
        """`utility_columns` on the device: a list of them would be copied there at every step."""
        return torch.tensor(self.utility_columns, dtype=torch.int64, device=self.device)

    @functools.cached_property
    def private_index(self) -> Tensor:
        """`private_columns`, likewise."""
        return torch.tensor(self.private_columns, dtype=torch.int64, device=self.device)

    @property
    def utility_task(self) -> tuple[int, ...]:
        """What a batch for `L_u` is balanced by: the categories that are predicted."""
        return self._task(self.utility_columns)

    @property
    def private_task(self) -> tuple[int, ...]:
        """What a batch for the private attributes is balanced by: those that are categories."""
        return self._task(self.private_columns)

    def num_parts(self, task: tuple[int, ...]) -> int:
        """Parts of a batch that count the same: each category of a task, and the rest.

        Of a batch that is not balanced, because all categories are predicted, these; where the
        attributes are no categories, 0.
        """
        return len(task) + 1 if task else self.num_categories

    def _task(self, columns: tuple[int, ...]) -> tuple[int, ...]:
        # Where they are all the categories there is no rest, and little to balance.
        return columns if len(columns) < self.num_categories else ()


class Protector(ABC):
    """An encoder and `f` in training, with whatever adversaries the method trains against.

    Attributes:
        config: The method's settings.
        setting: The study around it.
        encoder: `Enc`, images to z.
        head: `f` after the cut, z to utility logits.
        optimiser: Of the nets whose rate follows the encoder's schedule.
        rounds: Rounds done.
        measuring: Whether the present round also reports shares and gradient norms.
    """

    needs_public: ClassVar[bool] = True

    def __init__(self, config: ProtectorConfig, setting: Setting) -> None:
        self.config = config
        self.setting = setting
        self.rounds = 0
        self.measuring = False
        self.encoder = self._build_encoder().to(setting.device)
        self.head = self.classifier(self.num_outputs)
        weights = [weight for net in self.scheduled() for weight in net.parameters()]
        self.optimiser = torch.optim.Adam(weights, lr=config.encoder_lr, fused=True)

    def _build_encoder(self) -> nn.Module:
        setting = self.setting
        return build_encoder(setting.model, setting.height, setting.width, self.config.style)

    def classifier(self, num_outputs: int) -> nn.Module:
        """Builds a classifier of codes, with the architecture that `f` has behind the cut."""
        return build_classifier(self.setting.model, self.code, num_outputs).to(self.setting.device)

    def adversary(self) -> nn.Module:
        """Builds a classifier of the private attributes from codes."""
        num_private = len(self.setting.private_columns)
        net = build_adversary(self.setting.model, self.code, num_private)
        return net.to(self.setting.device)

    def scheduled(self) -> list[nn.Module]:
        """The nets whose rate follows the encoder's schedule: the encoder and `f`."""
        return [self.encoder, self.head]

    @property
    def code(self) -> CodeSpec:
        """The shape of z."""
        return code_spec(self.setting.model, self.setting.height, self.setting.width)

    @property
    def num_outputs(self) -> int:
        """Logits of `f`: one per utility attribute."""
        return len(self.setting.utility_columns)

    def round(
        self, private: NextBatch, public: NextBatch, measure: bool = False
    ) -> dict[str, Tensor]:
        """Runs one round and returns its loss terms, detached and still on the device.

        Nothing here waits for the device: the trial reads the terms when it reports.

        Args:
            private: Hands over batches of the private split.
            public: Hands over batches of the public split.
            measure: Whether to add `share/TERM`, the part of each term in the sum of the weighted
                terms' magnitudes, and `gradient_norm/NET`, of the net's last update.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = staged_rate(self.config, self.rounds)
        self.measuring = measure
        if measure:
            for net in self.nets().values():
                # What a net was given in an earlier round is no gradient of this one.
                net.zero_grad(set_to_none=True)
        terms = self.update(private, public)
        if measure:
            terms |= self._gradient_norms()
        self.rounds += 1
        return terms

    @abstractmethod
    def update(self, private: NextBatch, public: NextBatch) -> dict[str, Tensor]:
        """The method's updates of one round."""

    def objective(
        self, weighted: Mapping[str, tuple[float, Tensor]]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Adds up a loss.

        Args:
            weighted: Each term's name with its weight and value; weights may be negative.

        Returns:
            The loss, and what to report: each term without its weight and, in a round that
            measures, its share.
        """
        parts = {name: weight * value for name, (weight, value) in weighted.items()}
        loss = torch.stack(list(parts.values())).sum()
        report = {name: value.detach() for name, (_, value) in weighted.items()}
        if self.measuring:
            sizes = {name: part.detach().abs() for name, part in parts.items()}
            total = torch.stack(list(sizes.values())).sum().clamp_min(1e-12)
            report |= {f"share/{name}": size / total for name, size in sizes.items()}
        return loss, report

    def _gradient_norms(self) -> dict[str, Tensor]:
        """Norm of each net's last gradient; a net without one is left out."""
        norms = {}
        for name, net in self.nets().items():
            gradients = [weight.grad for weight in net.parameters() if weight.grad is not None]
            if gradients:
                norms[f"gradient_norm/{name}"] = torch.nn.utils.get_total_norm(gradients)
        return norms

    @classmethod
    def tasks(cls, config: ProtectorConfig, setting: Setting) -> set[tuple[int, ...]]:
        """Every way in which the method's batches of the private split are balanced.

        Known before training, so that a task which cannot be drawn is refused before anything
        starts.

        Raises:
            ValueError: If the settings do not fit the attributes.
        """
        return {setting.utility_task}

    def utility_batch(self, private: NextBatch) -> Batch:
        """Draws a batch for `L_u`: of categories all that are predicted, and the rest, equally."""
        return private(self.setting.utility_task)

    def utility_labels(self, batch: Batch) -> Tensor:
        """Returns the labels that `f` predicts, [B, U]."""
        return batch.labels.index_select(1, self.setting.utility_index)

    def private_labels(self, batch: Batch) -> Tensor:
        """Returns the labels that are to stay private, [B, P]."""
        return batch.labels.index_select(1, self.setting.private_index)

    def utility_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """`L_u` of logits [B, U]; of categories both answers count the same for each."""
        return _task_loss(logits, labels, self.setting.num_parts(self.setting.utility_task))

    def private_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the private attributes' logits [B, P], likewise."""
        return _task_loss(logits, labels, self.setting.num_parts(self.setting.private_task))

    @torch.no_grad()
    def utility_logits(self, images: Tensor) -> Tensor:
        """Returns `f(Enc(x))` with both nets in evaluation mode, [B, U]."""
        self.encoder.eval()
        self.head.eval()
        logits: Tensor = self.head(self.encoder(images))
        return logits

    def constants(self) -> dict[str, float]:
        """Figures of the method that are not settings and decide what its losses mean."""
        return {}

    def in_loop_decoder(self) -> nn.Module | None:
        """Returns the in-loop reconstruction adversary, or None where the method has none."""
        return None

    def in_loop_classifier(self) -> nn.Module | None:
        """Returns the in-loop classifier of the private attributes, or None where there is none."""
        return None

    def nets(self) -> dict[str, nn.Module]:
        """Every net of the method by name; all of them are checkpointed."""
        return {"encoder": self.encoder, "head": self.head}

    def computed(self) -> list[nn.Module]:
        """Every net that a round runs: those of the method, and `g`."""
        perceptual = self.setting.perceptual
        return [*self.nets().values(), *([] if perceptual is None else [perceptual])]

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Every optimiser of the method by name."""
        return {"protector": self.optimiser}

    def state_dict(self) -> dict[str, Any]:
        """All state: nets, optimisers, completed rounds."""
        return {
            "rounds": self.rounds,
            "nets": {name: net.state_dict() for name, net in self.nets().items()},
            "optimisers": {name: part.state_dict() for name, part in self.optimisers().items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self.rounds = state["rounds"]
        for name, net in self.nets().items():
            net.load_state_dict(state["nets"][name])
        for name, part in self.optimisers().items():
            part.load_state_dict(state["optimisers"][name])


def _task_loss(logits: Tensor, labels: Tensor, num_parts: int) -> Tensor:
    """Cross-entropy in which having and lacking an attribute count the same in sum."""
    if num_parts <= 2:
        return utility_loss(logits, labels)
    rate = torch.full((labels.shape[1],), 1 / num_parts, device=labels.device)
    return balanced_attribute_loss(logits, labels, rate)


def take_step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """Moves the optimiser's weights by one step down the loss."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
