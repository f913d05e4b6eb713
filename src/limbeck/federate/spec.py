"""The spec of a federation and the file of a site: YAML, validated whole before anything is computed."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, model_validator

from limbeck import partition
from limbeck.core.errors import require, require_known
from limbeck.core.fingerprint import hash_config
from limbeck.core.spec_files import Part, read_part
from limbeck.engine import Training
from limbeck.federate.plan import Aggregation, LogitFormat, Plan, Privacy, Weighting
from limbeck.federate.run import Recipe
from limbeck.federate.starts import Distillation, get_start
from limbeck.federate.strategies import get_strategy
from limbeck.models import ARCHITECTURES

EXAMPLE_FILE = Path(__file__).parent / "example.yaml"
REMEDY = "`limbeck federate --print-spec` shows one."
Share = Annotated[float, Field(ge=0, lt=1)]


class ServerDataPart(Part):
    """What the server holds.

    Attributes:
        source: A name (`digits`, `fashion-mnist`, ...) or a path; see `limbeck.data.load`.
        data_dir: Folder with a copy of a named data set.
        validation_samples: Training samples set aside at the server, to choose on and to stop by.
        proxy_samples: Training samples set aside as the unlabelled proxy set.
        proxy: Source of a public, unlabelled proxy set, which sites with their own data can have too.
        seed: Seed of what is set aside.
    """

    source: str
    data_dir: Path | None = None
    validation_samples: int = Field(ge=1)
    proxy_samples: int = Field(default=0, ge=0)
    proxy: str | None = None
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check_proxy(self) -> Self:
        require(
            self.proxy is None or self.proxy_samples == 0,
            "the proxy set is either `proxy` or `proxy_samples` of the training samples",
            "both",
            "Leave one out.",
        )
        return self


class SplitPart(Part):
    """Clients that share the server's data set: for trials on one machine.

    Attributes:
        strategy: A partition strategy.
        num_clients: Number of clients.
        parameters: The strategy's parameters.
        train_samples: Samples divided between the clients, None for all that are left.
        seed: Seed of the split.
    """

    strategy: str
    num_clients: int = Field(ge=1)
    parameters: dict[str, Any] = Field(default_factory=dict)
    train_samples: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check_strategy(self) -> Self:
        partition.check_parameters(self.strategy, self.parameters)
        return self


class TunePart(Part):
    """Settings of the start's distillation of which clients choose the best on their own held-out samples.

    Attributes:
        temperatures: Values of T, each above 0.
        weights: Values of w, each in [0, 1].
    """

    temperatures: tuple[float, ...] = Field(min_length=1)
    weights: tuple[float, ...] = Field(min_length=1)


class FederateSpec(Part):
    """A federation: who takes part, how it starts, how rounds are run and when it ends.

    Attributes:
        name: Name of the run.
        description: One or two sentences.
        data: What the server holds.
        split: Clients that share the server's data set, None when sites bring their own.
        num_sites: How many sites take part when there is no split.
        held_out: Share of a client's samples of the split that it measures on and does not train on.
        arch: Architecture, a name in the zoo; or one per client.
        pretrain: How clients without a model of their own train one, None when all bring one.
        start: How the starting model is made.
        distil: How a distilled start distils.
        tune: Temperatures and weights to choose from for it, None to take those of `distil`.
        strategy: How a round goes.
        settings: Settings of the strategy that are not its defaults.
        rounds: Communication rounds.
        local: What a client does in a round.
        lr_decay: The clients' learning rate of round r is that of `local` times this to the power r - 1.
        participation: Share of the clients asked in a round.
        min_replies: A round with fewer good replies ends the run.
        weighting: Whether a client counts by its `samples` or all are `equal`.
        aggregation: `mean`, `median` or `trimmed-mean`.
        trim: Share cut off at each end by `trimmed-mean`.
        change_limit: A reply further from what was sent than this many times its norm is rejected.
        logit_format: How logits travel: `float32`, `float16` or `int8`.
        privacy: Clipping and noise on what leaves a client.
        target: Stop once the validation accuracy is this high, None to run all rounds.
        reply_seconds: How long the server waits for replies on Flower.
        seed: Seed of everything random.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=60)]
    description: str = ""
    data: ServerDataPart
    split: SplitPart | None = None
    num_sites: int | None = Field(default=None, ge=1)
    held_out: Share = 0.0
    arch: str | tuple[str, ...]
    pretrain: Training | None = None
    start: str = "scratch"
    distil: Distillation | None = None
    tune: TunePart | None = None
    strategy: str = "fedavg"
    settings: dict[str, Any] = Field(default_factory=dict)
    rounds: int = Field(ge=0)
    local: Training
    lr_decay: float = Plan.lr_decay
    participation: float = Plan.participation
    min_replies: int = Plan.min_replies
    weighting: Weighting = Plan.weighting
    aggregation: Aggregation = Plan.aggregation
    trim: float = Plan.trim
    change_limit: float = Plan.change_limit
    logit_format: LogitFormat = Plan.logit_format
    privacy: Privacy | None = Plan.privacy
    target: Annotated[float, Field(gt=0, lt=1)] | None = None
    reply_seconds: float = Field(default=600.0, gt=0)
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Plan.seed

    @model_validator(mode="after")
    def _check_consistent(self) -> Self:
        require(
            (self.split is None) != (self.num_sites is None),
            "a spec has either `split` or `num_sites`",
            "both" if self.split else "neither",
            "Use `split` to divide one data set, `num_sites` for sites with data of their own.",
        )
        for arch in self.archs:
            require_known("architecture", arch, ARCHITECTURES)
        require(
            self.recipe.plan.min_replies <= self.num_clients,
            "min_replies <= number of clients",
            f"min_replies={self.min_replies}, {self.num_clients} clients",
            "Lower it.",
        )
        self._check_start()
        return self

    def _check_start(self) -> None:
        """What `Recipe` does not check."""
        start = get_start(self.start)
        require(
            get_strategy(self.strategy).has_global_model or self.split is None or self.held_out > 0,
            f"`{self.strategy}`, which shares no model, is measured by clients: held_out > 0",
            f"held_out={self.held_out:g}",
            "Set `held_out`, such as 0.2.",
        )
        require(
            self.tune is None or start.is_distilled,
            "`tune` is for a start that distils",
            f"start={self.start}",
            "Leave `tune` out.",
        )
        require(
            not start.needs_models or self.pretrain is not None or self.split is None,
            f"clients of a split have a model for the start `{self.start}`",
            "no `pretrain`",
            "Add `pretrain`.",
        )
        require(
            not self.recipe.needs_models or self.pretrain is not None or self.split is None,
            f"clients of a split have a model for the strategy `{self.strategy}`",
            "no `pretrain`",
            "Add `pretrain`.",
        )

    @property
    def num_clients(self) -> int:
        """How many clients take part."""
        return self.split.num_clients if self.split is not None else self.num_sites or 0

    @property
    def archs(self) -> tuple[str, ...]:
        """The architecture of each client.

        Raises:
            InputError: When there is not one per client.
        """
        if isinstance(self.arch, str):
            return (self.arch,) * self.num_clients
        require(
            len(self.arch) == self.num_clients,
            "one architecture, or one per client",
            f"{len(self.arch)} for {self.num_clients} clients",
            "Give as many as there are clients.",
        )
        return self.arch

    @property
    def recipe(self) -> Recipe:
        """What the federation does."""
        plan = Plan(**{name: getattr(self, name) for name in (entry.name for entry in fields(Plan))})
        return Recipe(
            plan=plan,
            start=self.start,
            distillation=self.distil,
            candidates=self._list_candidates(),
            strategy=self.strategy,
            settings=self.settings,
            pretrain=self.pretrain,
        )

    def _list_candidates(self) -> tuple[Distillation, ...]:
        if self.tune is None or self.distil is None:
            return ()
        return tuple(
            replace(self.distil, temperature=temperature, weight=weight)
            for temperature in self.tune.temperatures
            for weight in self.tune.weights
        )

    @property
    def hash(self) -> str:
        """The 16 hexadecimal digits of everything a round depends on.

        A run goes on under a spec with more rounds, another target or fewer replies to wait for.
        """
        ends = {"rounds", "target", "min_replies"}
        content = self.model_dump(mode="json", exclude={"description", "reply_seconds", *ends})
        return hash_config(content | {"data": self.data.model_dump(mode="json", exclude={"data_dir"})})

    def to_yaml(self) -> str:
        """The spec as YAML text that reads back to an equal spec."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_none=True), sort_keys=False, width=110)


class SitePart(Part):
    """What one site is: its samples, its model and where it keeps what stays with it.

    Attributes:
        name: Name of the site.
        folder: Folder for private models and caches; nothing in it leaves the site as it is.
        client: Which client of the spec's split the site is, for trials; None for data of its own.
        source: The site's own data: a name or a path; see `limbeck.data.load`.
        data_dir: Folder with a copy of a named data set.
        proxy: Source of the public, unlabelled proxy set, for strategies whose clients need it.
        held_out: Share of its samples the site measures on and does not train on; None for the test samples
            of its own data, or of a client of the split for what the spec says.
        arch: Architecture of its models, None for the spec's.
        model: Folder of its own trained model as limbeck saves it, None to pre-train as the spec says.
        noise_seed: Seed of the noise that protects updates; None to draw a secret one once.
        device: `auto`, `cpu` or `cuda`.
    """

    name: str
    folder: Path
    client: int | None = Field(default=None, ge=0)
    source: str | None = None
    data_dir: Path | None = None
    proxy: str | None = None
    held_out: Share | None = None
    arch: str | None = None
    model: Path | None = None
    noise_seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _check_data(self) -> Self:
        require(
            (self.client is None) != (self.source is None),
            "a site has either `client` or `source`",
            "both" if self.source else "neither",
            "Use `source` for the site's own data, `client` for a part of the spec's split.",
        )
        return self


def load_example() -> FederateSpec:
    """A small federation of three clients on the embedded digits, which runs anywhere."""
    return load_federate_spec(EXAMPLE_FILE)


def load_federate_spec(path: Path) -> FederateSpec:
    """The spec in a YAML file.

    Raises:
        InputError: When it cannot be read or is not valid.
    """
    return read_part(path, FederateSpec, remedy=REMEDY)


def load_site(path: Path) -> SitePart:
    """The file of a site; paths in it count from its own folder, but for `source`.

    Raises:
        InputError: When it cannot be read or is not valid.
    """
    site = read_part(path, SitePart, remedy="`limbeck federate --new-site FOLDER` writes one.")
    found = {name: getattr(site, name) for name in ("folder", "data_dir", "model")}
    return site.model_copy(
        update={name: path.parent.absolute() / value for name, value in found.items() if value is not None}
    )
