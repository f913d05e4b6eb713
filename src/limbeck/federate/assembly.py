"""From a spec and a site's file to a server and its clients, the same in both engines.

The server tells clients its terms: the spec, the shape of inputs, class names and the normalisation
measured on its own validation samples. A client needs nothing else to join.
"""

import copy
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from limbeck import data, models
from limbeck.core.device import pick_device
from limbeck.core.errors import require
from limbeck.core.files import write_text
from limbeck.core.seeds import derive_seed
from limbeck.data import DataSet, Inputs, Normalization, Samples
from limbeck.data.hold_out import hold_out
from limbeck.data.inputs import input_shape, move_inputs
from limbeck.engine import accuracy, predict
from limbeck.federate.client import OWN_MODEL, BuildFn, Client, state_of
from limbeck.federate.memory import FolderMemory, RamMemory
from limbeck.federate.run import Server
from limbeck.federate.spec import FederateSpec, SitePart
from limbeck.partition import Partition, Reserved, reserve, split_between_clients

NOISE_FILE = "noise-seed"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a client has to know to join; see the head of this file.

    Attributes:
        input_shape: Shape of one sample.
        class_names: Name of each class, in order.
        mean: Per channel, subtracted from inputs scaled to [0, 1]; empty for no normalization.
        std: Per channel, divided by afterwards.
        seed: Seed of the common untrained model.
    """

    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    seed: int

    def make_build_fn(self, device: torch.device) -> BuildFn:
        """Makes the common untrained model of an architecture, on a device."""

        @lru_cache(None)
        def build_once(arch: str) -> nn.Module:
            model = models.build(
                arch,
                input_shape=self.input_shape,
                num_classes=len(self.class_names),
                seed=derive_seed(self.seed, "initial"),
            )
            return model.to(device)

        return lambda arch: copy.deepcopy(build_once(arch))

    def prepare(self, samples: Samples, device: torch.device) -> tuple[Inputs, Tensor]:
        """Samples as models take them, and their labels, on a device."""
        return self.prepare_inputs(samples.inputs, device), samples.labels.to(device)

    def prepare_inputs(self, inputs: Inputs, device: torch.device) -> Inputs:
        """Inputs as models take them, on a device."""
        normalization = Normalization(mean=tuple(self.mean), std=tuple(self.std))
        return data.normalize(move_inputs(inputs, device), normalization)


@dataclass(frozen=True)
class Assembly:
    """A spec with its data set: what the server and clients of a split are made of.

    Attributes:
        spec: The spec.
        data_set: The server's data set.
    """

    spec: FederateSpec
    data_set: DataSet

    @property
    def reserved(self) -> Reserved:
        """Which training samples serve what."""
        part = self.spec.data
        return reserve(
            self.data_set.labels,
            validation_samples=part.validation_samples,
            proxy_samples=part.proxy_samples,
            seed=part.seed,
        )

    @property
    def terms(self) -> Terms:
        """What clients have to know."""
        validation = self.data_set.subset(self.reserved.validation)
        normalization = data.measure_normalization(validation)
        return Terms(
            input_shape=tuple(self.data_set.input_shape),
            class_names=self.data_set.class_names,
            mean=normalization.mean,
            std=normalization.std,
            seed=self.spec.seed,
        )

    def make_server(self, device: torch.device) -> Server:
        """What the server has of its own."""
        terms = self.terms
        return Server(
            build_fn=terms.make_build_fn(device),
            validation_fn=_measure_on(terms.prepare(self.data_set.subset(self.reserved.validation), device)),
            test_fn=_measure_on(terms.prepare(self.data_set.test, device)),
            proxy=self.find_proxy(terms, device),
            terms=vars(terms) | {"spec": self.spec.model_dump(mode="json", exclude={"data": {"data_dir"}})},
        )

    def find_proxy(self, terms: Terms, device: torch.device) -> Inputs | None:
        """The unlabelled proxy set, None without one."""
        if self.spec.data.proxy is not None:
            return _read_proxy(self.spec.data.proxy, terms, device)
        ids = self.reserved.proxy
        return terms.prepare(self.data_set.subset(ids), device)[0] if len(ids) else None

    def split(self) -> Partition:
        """The samples of each client of the spec's split.

        Raises:
            InputError: When the spec has none, or it cannot be made.
        """
        part = self.spec.split
        require(part is not None, "the spec has a `split`", "none", "Give sites a `source` of their own.")
        assert part is not None
        return split_between_clients(
            self.reserved,
            self.data_set.labels,
            part.strategy,
            num_clients=part.num_clients,
            parameters=part.parameters,
            train_samples=part.train_samples,
            seed=part.seed,
        )

    def make_clients(self, device: torch.device, *, folder: Path | None = None) -> dict[int, Client]:
        """The clients of the split, for a simulation.

        Args:
            device: Where they compute.
            folder: Where they keep what stays with them, None for memory alone.
        """
        terms, indices = self.terms, self.split().indices
        build_fn, proxy = terms.make_build_fn(device), self.find_proxy(terms, device)
        clients = {}
        for index, ids in enumerate(indices):
            train, held_out = _hold_out(self.data_set.subset(ids), self.spec.held_out)
            clients[index] = _make_client(
                terms,
                train,
                held_out,
                device=device,
                index=index,
                arch=self.spec.archs[index],
                build_fn=build_fn,
                proxy=proxy,
                memory=RamMemory() if folder is None else FolderMemory(folder / f"client-{index}"),
                noise_seed=derive_seed(self.spec.seed, "client-noise", index),
            )
        return clients


def assemble(spec: FederateSpec) -> Assembly:
    """Load the server's data set.

    Raises:
        InputError: When it cannot be loaded.
    """
    return Assembly(spec, data.load(spec.data.source, data_dir=spec.data.data_dir))


def make_site_client(site: SitePart, index: int, terms: Terms, spec: FederateSpec) -> Client:
    """The client that a site is.

    Args:
        site: The site's file.
        index: Its place among the clients.
        terms: What the server says.
        spec: The server's spec.

    Raises:
        InputError: When the site's data do not fit, or have classes the federation does not know.
    """
    device = pick_device(site.device)
    if site.client is not None:
        assembly = assemble(
            spec.model_copy(update={"data": spec.data.model_copy(update={"data_dir": site.data_dir})})
        )
        samples = assembly.data_set.subset(assembly.split().indices[site.client])
        train, held_out = _hold_out(samples, spec.held_out if site.held_out is None else site.held_out)
        proxy = assembly.find_proxy(terms, device)
    else:
        train, held_out = _read_own(site, terms)
        proxy = None if site.proxy is None else _read_proxy(site.proxy, terms, device)
    memory = FolderMemory(site.folder / "memory" / spec.hash)
    client = _make_client(
        terms,
        train,
        held_out,
        device=device,
        index=index,
        arch=site.arch or spec.archs[index],
        build_fn=terms.make_build_fn(device),
        proxy=proxy,
        memory=memory,
        noise_seed=_find_noise_seed(site),
    )
    _bring_model(client, site, terms)
    return client


def _read_proxy(source: str, terms: Terms, device: torch.device) -> Inputs:
    """A public, unlabelled proxy set."""
    inputs = data.load_inputs(source)
    require(
        input_shape(inputs) == tuple(terms.input_shape),
        "proxy samples have the federation's shape",
        f"{input_shape(inputs)} in `{source}` for {tuple(terms.input_shape)}",
        "Bring them to that size and number of channels.",
    )
    return terms.prepare_inputs(inputs, device)


def _read_own(site: SitePart, terms: Terms) -> tuple[Samples, Samples | None]:
    """The site's own samples with labels in the federation's order, and those it measures on."""
    assert site.source is not None
    own = data.load(site.source, data_dir=site.data_dir)
    unknown = [name for name in own.class_names if name not in terms.class_names]
    require(
        not unknown,
        "the federation knows every class of the site",
        f"`{unknown[0] if unknown else ''}` at `{site.name}`",
        f"The classes are {', '.join(terms.class_names)}; rename it, or leave its samples out.",
    )
    require(
        tuple(own.input_shape) == tuple(terms.input_shape),
        "samples have the federation's shape",
        f"{tuple(own.input_shape)} at `{site.name}` for {tuple(terms.input_shape)}",
        "Bring them to that size and number of channels.",
    )
    place = torch.tensor([terms.class_names.index(name) for name in own.class_names])
    train, test = (Samples(inputs=part.inputs, labels=place[part.labels]) for part in (own.train, own.test))
    return (train, test) if site.held_out is None else _hold_out(train, site.held_out)


def _bring_model(client: Client, site: SitePart, terms: Terms) -> None:
    """Make the site's own trained model the client's, once."""
    if site.model is None or client.memory.read(OWN_MODEL, before=1) is not None:
        return
    model, card = models.load(site.model)
    require(
        card.arch == client.arch,
        "the site's model has the client's architecture",
        f"`{card.arch}` for `{client.arch}`",
        "Set `arch` in the site's file to that of the model.",
    )
    require(
        card.class_names == tuple(terms.class_names) and tuple(card.input_shape) == tuple(terms.input_shape),
        "the site's model has the federation's classes, in their order, and its input shape",
        f"{', '.join(card.class_names)} and {tuple(card.input_shape)}",
        f"The federation has {', '.join(terms.class_names)} and {tuple(terms.input_shape)}.",
    )
    client.memory.write(OWN_MODEL, state_of(client.make_model(state_of(model))), round_number=0)


def _find_noise_seed(site: SitePart) -> int:
    """The seed of the site's noise: named in its file, or a secret drawn once and kept in its folder."""
    if site.noise_seed is not None:
        return site.noise_seed
    path = site.folder / NOISE_FILE
    if not path.exists():
        write_text(path, str(secrets.randbits(256)))
        path.chmod(0o600)
    text = path.read_text()
    require(
        text.isdecimal(),
        "the seed of the noise is a whole number",
        f"{text!r} in `{path}`",
        "Remove that file to draw another.",
    )
    return int(text)


def _hold_out(samples: Samples, share: float) -> tuple[Samples, Samples | None]:
    num_held_out = int(np.floor(share * len(samples)))
    return hold_out(samples, num_test=num_held_out) if num_held_out else (samples, None)


def _make_client(
    terms: Terms, train: Samples, held_out: Samples | None, *, device: torch.device, **facts: Any
) -> Client:
    inputs, labels = terms.prepare(train, device)
    return Client(
        inputs=inputs,
        labels=labels,
        num_classes=len(terms.class_names),
        held_out=None if held_out is None else terms.prepare(held_out, device),
        **facts,
    )


def _measure_on(samples: tuple[Inputs, Tensor]) -> Callable[[nn.Module], float]:
    inputs, labels = samples[0], samples[1].cpu().numpy()
    return lambda model: accuracy(predict(model, inputs), labels)
