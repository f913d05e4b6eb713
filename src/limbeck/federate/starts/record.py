"""The shape of a start: a function that asks clients for what it needs and returns the starting models."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, get_args

from limbeck.core.errors import require, require_known
from limbeck.engine import Training, check_transfer
from limbeck.federate.federation import AskFn, Federation, Party
from limbeck.federate.messages import Message, State
from limbeck.techniques import AnySettings, FrozenTechnique, Technique, get_technique, make_settings

Order = Literal["size", "reverse-size", "index"]
Origin = Literal["client", "average"]


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """How a start distils.

    Attributes:
        training: The budget of each distillation.
        technique: A technique of the library; `chain`, `hub` take any with a frozen teacher.
        temperature: T > 0.
        weight: w in [0, 1].
        coefficients: Further settings of the technique by name.
        visits: How often `chain` visits every client, and how many passes `mesh` makes, at least 1.
        order: In which order `chain` visits clients: by `size` from the largest, `reverse-size` or `index`.
        origin: Whether `chain` begins with the first `client`'s model or the weight `average`.

    Raises:
        InputError: When built with values that do not fit each other.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    training: Training
    technique: str = "kd"
    temperature: float = 2.0
    weight: float = 0.5
    coefficients: Mapping[str, float] = field(default_factory=dict)
    visits: int = 1
    order: Order = "size"
    origin: Origin = "client"

    def __post_init__(self) -> None:
        technique = self.get_technique()
        require(
            isinstance(technique, FrozenTechnique) and technique.target_fn is not None,
            "a start distils by a technique with a frozen teacher",
            f"technique={self.technique}",
            "Use `kd`, `dkd` or `dp-kd`; `limbeck transfer --help` lists more.",
        )
        check_transfer(technique, self.settings, has_labels=True)
        require(self.visits >= 1, "visits >= 1", f"visits={self.visits}", "3 is usual.")
        require_known("order", self.order, get_args(Order))
        require_known("origin", self.origin, get_args(Origin))

    def get_technique(self) -> Technique:
        """The technique."""
        return get_technique(self.technique)

    @property
    def settings(self) -> AnySettings | None:
        """Temperature, weight and coefficients as a record of the technique's own."""
        changes = {"temperature": self.temperature, "weight": self.weight, **self.coefficients}
        return make_settings(self.get_technique(), changes)

    def to_dict(self) -> dict[str, Any]:
        """Every setting by name, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Consolidation:
    """What a start is made with.

    Attributes:
        federation: What the server has.
        ask: Asks clients.
        distillation: How it distils; None for starts that do not.
    """

    federation: Federation
    ask: AskFn
    distillation: Distillation | None = None

    @property
    def parties(self) -> Sequence[Party]:
        """The clients, by index."""
        return self.federation.parties

    def require_distillation(self) -> Distillation:
        """How the start distils.

        Raises:
            InputError: When nothing says so.
        """
        require(
            self.distillation is not None, "a distilled start knows how to distil", "nothing", "Add `distil`."
        )
        assert self.distillation is not None
        return self.distillation

    def ask_one(
        self, index: int, task: str, *, tensors: State | None = None, facts: Mapping[str, Any] | None = None
    ) -> Message:
        """The reply of one client."""
        request = Message(task=task, round=0, tensors=tensors or {}, facts=facts or {})
        return self.ask({index: request})[index]


@dataclass(frozen=True, kw_only=True)
class Start:
    """A way to make the starting model.

    Attributes:
        name: Name in a spec and in results.
        summary: What it does, in one line.
        make_fn: From a consolidation to the weights of each architecture.
        is_distilled: Whether knowledge is distilled to make it.
        needs_models: Whether it uses the clients' pre-trained models, whose cost then counts too.
        mixes_architectures: Whether clients may have different architectures.
        needs_proxy: Whether the server needs the unlabelled proxy set.
        takes_aggregation: Whether `median` and `trimmed-mean` can stand for the mean.
        only_technique: The one technique that it can distil by, None for any.
        check_fn: Raises `InputError` when a federation lacks something else that it needs.
    """

    name: str
    summary: str
    make_fn: Callable[[Consolidation], dict[str, State]]
    is_distilled: bool = False
    needs_models: bool = True
    mixes_architectures: bool = False
    needs_proxy: bool = False
    takes_aggregation: bool = True
    only_technique: str | None = None
    check_fn: Callable[[Federation], None] = lambda _federation: None

    def check_distillation(self, distillation: Distillation | None) -> None:
        """Check that the start can distil in a way.

        Raises:
            InputError: When it cannot, or needs one and there is none.
        """
        require(
            not self.is_distilled or distillation is not None,
            f"the start `{self.name}` knows how to distil",
            "nothing",
            "Add `distil`.",
        )
        wanted = self.only_technique
        require(
            wanted is None or distillation is None or distillation.technique == wanted,
            f"the start `{self.name}` distils by `{wanted}`",
            f"technique={'' if distillation is None else distillation.technique}",
            "Leave `technique` out, or use `mesh`.",
        )

    def check(self, federation: Federation) -> None:
        """Check that a federation has what the start needs, but for architectures.

        Raises:
            InputError: When it has not.
        """
        require(
            not self.is_distilled or len(federation.parties) >= 2,
            "num_clients >= 2 where a start distils",
            f"num_clients={len(federation.parties)}",
            "Add clients, or use another start.",
        )
        require(
            federation.plan.privacy is None or not self.needs_models,
            "`privacy` protects what clients send in rounds",
            f"the start `{self.name}`, for which they send their models as they are",
            "Use `scratch`, or leave `privacy` out.",
        )
        require(
            not self.needs_proxy or federation.proxy is not None,
            f"the start `{self.name}` needs an unlabelled proxy set",
            "none",
            "Set `data.proxy_samples`.",
        )
        require(
            self.takes_aggregation or federation.plan.aggregation == "mean",
            f"the start `{self.name}` adds up statistics, so `aggregation` is `mean`",
            f"aggregation={federation.plan.aggregation}",
            "Leave `aggregation` out, or use `weight-average` or `mesh`.",
        )
        self.check_fn(federation)
