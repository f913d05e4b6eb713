"""fedlc: the local loss knows how often the client has each class: none is pushed down for being absent.

Reference: Menon et al. 2021, https://arxiv.org/abs/2007.07314, equation 10 with tau = 1 (logit adjustment);
    at the clients of a federation Zhang et al. 2022, https://arxiv.org/abs/2209.00189, equation 9 (FedLC).
Deviations from the papers: log pi_c is added with the share pi_c of class c among the client's samples, as
    Menon et al. do, where Zhang et al. subtract tau n_c^(-1/4); both favour frequent classes in training, and
    ours is the one that is consistent for equal classes.
Cost: that of FedAvg.
"""

from torch import Tensor, nn

from limbeck.federate.client import Answer, Client
from limbeck.federate.local_training import LocalLossFn
from limbeck.federate.messages import Message
from limbeck.federate.strategies.averaging import combine_mean, send_model, train_received
from limbeck.federate.strategies.record import NoSettings, Strategy
from limbeck.losses import calibrated_cross_entropy


def make_calibrated_loss(client: Client) -> LocalLossFn:
    """Cross-entropy calibrated to the client's mix of classes."""
    shares = client.labels.new_tensor(client.class_counts).float()

    def loss(logits: list[Tensor], ids: Tensor) -> list[Tensor]:
        return [calibrated_cross_entropy(own, client.labels[ids], shares) for own in logits]

    return loss


def train_calibrated(client: Client, request: Message, settings: NoSettings) -> Answer:
    """Calibrated cross-entropy from the received model."""
    del settings

    def make_loss(received: nn.Module) -> LocalLossFn:
        del received
        return make_calibrated_loss(client)

    return train_received(client, request, make_loss_fn=make_loss)


FEDLC = Strategy[NoSettings](
    name="fedlc",
    title="FedLC",
    summary="FedAvg whose local loss is calibrated to the client's mix of classes",
    reference="Menon et al. 2021, arXiv 2007.07314, equation 10; "
    "at clients Zhang et al. 2022, arXiv 2209.00189",
    deviations="shares are the client's own; Zhang et al. subtract tau n^(-1/4) instead of adding their log",
    cost="the model down and up",
    defaults=NoSettings(),
    request_fn=send_model("fedlc"),
    local_fn=train_calibrated,
    combine_fn=combine_mean,
)
