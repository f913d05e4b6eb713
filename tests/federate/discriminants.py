"""Linear discriminants by scikit-learn, to check layers against that are solved from class statistics."""

import numpy as np
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from tests.federate.digits_world import build

HEAD = ("5.weight", "5.bias")


def load(state):
    """The model of these weights, in evaluation mode."""
    model = build("mlp")
    model.load_state_dict(state)
    return model.eval()


def features_of(state, inputs):
    """What the last layer of a model sees, in float64."""
    model, seen = load(state), []
    model[-1].register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    with torch.no_grad():
        model(inputs)
    return seen[0].double().numpy()


def pool(clients):
    """The samples of all clients."""
    return (
        torch.cat([client.inputs for client in clients]),
        torch.cat([client.labels for client in clients]),
    )


def solve_pooled(state, clients, *, shrinkage):
    """Weights and biases of scikit-learn's discriminants without priors, on the clients' pooled features."""
    inputs, labels = pool(clients)
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)
    lda.fit(features_of(state, inputs), labels.numpy())
    return lda.coef_, lda.intercept_ - np.log(lda.priors_)


def predict_pooled(state, clients, inputs, *, shrinkage):
    """The classes that scikit-learn predicts for inputs."""
    weight, bias = solve_pooled(state, clients, shrinkage=shrinkage)
    return (features_of(state, inputs) @ weight.T + bias).argmax(axis=1)


def without_head(state):
    """The weights of all layers but the last."""
    return {name: value for name, value in state.items() if name not in HEAD}
