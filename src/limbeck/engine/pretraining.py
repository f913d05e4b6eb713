"""Pre-training: a client's own model, from its own labelled samples."""

from torch import Tensor, nn

from limbeck.data import Inputs
from limbeck.engine.training import Trained, Training, train
from limbeck.losses import cross_entropy


def pretrain(model: nn.Module, inputs: Inputs, labels: Tensor, *, training: Training, seed: int) -> Trained:
    """Train a classifier in place on labelled samples with cross-entropy.

    Args:
        model: On its device.
        inputs: What the model takes.
        labels: [samples] int64, on the model's device.
        training: The settings.
        seed: Seed of the batch order.

    Raises:
        InputError: When there is no sample.
        DivergedError: When the loss stops being finite.
    """

    def loss_fn(logits: list[Tensor], ids: Tensor, epoch: int) -> list[Tensor]:
        del epoch
        return [cross_entropy(logits[0], labels[ids])]

    return train([model], inputs, loss_fn, training=training, seed=seed)
