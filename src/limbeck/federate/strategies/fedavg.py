"""fedavg: clients train the shared model on their own samples, and the server averages.

Reference: McMahan et al. 2017, https://arxiv.org/abs/1602.05629, algorithm 1.
Deviations from the paper: none.
Cost: the model down and up per client and round.
"""

from limbeck.federate.client import Answer, Client
from limbeck.federate.messages import Message
from limbeck.federate.strategies.averaging import combine_mean, send_model, train_received
from limbeck.federate.strategies.record import NoSettings, Strategy


def train_on_own_samples(client: Client, request: Message, settings: NoSettings) -> Answer:
    """Cross-entropy from the received model."""
    del settings
    return train_received(client, request)


FEDAVG = Strategy[NoSettings](
    name="fedavg",
    title="FedAvg",
    summary="clients train the shared model, the server averages",
    reference="McMahan et al. 2017, arXiv 1602.05629, algorithm 1",
    deviations="none",
    cost="the model down and up",
    defaults=NoSettings(),
    request_fn=send_model("fedavg"),
    local_fn=train_on_own_samples,
    combine_fn=combine_mean,
)
