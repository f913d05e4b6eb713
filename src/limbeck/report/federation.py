"""One federation in words and tables: its start, its best round, its target, and what was sent each way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from limbeck.core.errors import InputError
from limbeck.report.headline import Tile
from limbeck.report.inputs import STUDY_FILE
from limbeck.report.tables import Table
from limbeck.report.wording import (
    ABSENT,
    label_start,
    text_bytes,
    text_count,
    text_percent,
    text_plain,
    text_points,
    text_seconds,
)

if TYPE_CHECKING:
    from limbeck.federate.spec import FederateSpec
    from limbeck.federate.strategies import Strategy

LEDGER_SCHEMA = {
    "round": pl.Int64(),
    "client": pl.Int64(),
    "direction": pl.String(),
    "message_bytes": pl.Int64(),
}
MOST_RANGES = 4
REMEDY = "Run `limbeck federate` again with this folder: rounds that were kept are not run twice."


@dataclass(frozen=True, kw_only=True)
class FederationRun:
    """Everything the page of a federation is made from.

    Attributes:
        spec: What was to be done.
        spec_text: The same as YAML, as it lies in the folder.
        rounds: One row per round, from round 0, which is the starting model; see `read_federation`.
        ledger: One row per message.
    """

    spec: "FederateSpec"
    spec_text: str
    rounds: pl.DataFrame
    ledger: pl.DataFrame

    @property
    def strategy(self) -> "Strategy[Any]":
        """How a round went."""
        from limbeck.federate.strategies import get_strategy

        return get_strategy(self.spec.strategy)

    @property
    def title(self) -> str:
        """The strategy with its settings, such as ``FedProx, mu = 0.1``."""
        settings = (f"{name.replace('_', ' ')} = {value}" for name, value in self.spec.settings.items())
        return ", ".join([self.strategy.title, *settings])

    @property
    def best_round(self) -> int:
        """The round with the highest validation accuracy, the first of equals."""
        place = self.rounds["validation_accuracy"].arg_max()
        assert place is not None
        return int(self.rounds["round"][place])

    @property
    def round_of_target(self) -> int | None:
        """The first round whose validation accuracy is at least the target, None for none."""
        if self.spec.target is None:
            return None
        reached = self.rounds.filter(pl.col("validation_accuracy") >= self.spec.target)["round"]
        return int(reached[0]) if reached.len() else None

    @property
    def judged_on(self) -> str:
        """On which samples rounds are compared."""
        return "the validation samples" if self.strategy.has_global_model else "clients' held-out samples"

    def get_round(self, number: int) -> Mapping[str, Any]:
        """A row of `rounds` by column."""
        return self.rounds.row(by_predicate=pl.col("round") == number, named=True)

    @property
    def first(self) -> Mapping[str, Any]:
        """The row of the starting model."""
        return self.rounds.row(0, named=True)

    @property
    def last(self) -> Mapping[str, Any]:
        """The row of the last round."""
        return self.rounds.row(-1, named=True)


def holds_federation(folder: Path) -> bool:
    """Whether `limbeck federate` has written into a folder, also where it did not finish."""
    if (Path(folder) / STUDY_FILE).is_file():
        return False
    from limbeck.federate.keeping import CHECKPOINT_FILE
    from limbeck.federate.session import LEDGER_FILE, ROUNDS_FILE

    return any((Path(folder) / name).is_file() for name in (ROUNDS_FILE, LEDGER_FILE, CHECKPOINT_FILE))


def read_federation(folder: Path) -> FederationRun:
    """The federation that a folder holds, with the bytes of its ledger added to each round.

    Args:
        folder: Holds ``spec.yaml``, ``rounds.parquet`` and ``ledger.parquet``.

    Returns:
        The run. Its `rounds` have the columns of ``rounds.parquet`` and those of `add_bytes`.

    Raises:
        InputError: When a file is missing or damaged; the message names it.
    """
    from limbeck.federate.session import LEDGER_FILE, ROUND_SCHEMA, ROUNDS_FILE, SPEC_FILE
    from limbeck.federate.spec import load_federate_spec

    rounds = _read_table(folder / ROUNDS_FILE, ROUND_SCHEMA).sort("round")
    ledger = _read_table(folder / LEDGER_FILE, LEDGER_SCHEMA)
    if not rounds.height:
        raise _damaged(folder / ROUNDS_FILE, "it has no rows")
    return FederationRun(
        spec=load_federate_spec(folder / SPEC_FILE),
        spec_text=(folder / SPEC_FILE).read_text(encoding="utf-8"),
        rounds=add_bytes(rounds, ledger),
        ledger=ledger,
    )


def add_bytes(rounds: pl.DataFrame, ledger: pl.DataFrame) -> pl.DataFrame:
    """`rounds` with the bytes each one sent ``down`` to clients and ``up``, and ``bytes_with_start``.

    Law: ``bytes_with_start`` of the last round is the sum over the whole ledger up to that round.

    Args:
        rounds: Has the columns ``round`` and ``bytes_sent``, which counts from the first round on.
        ledger: One row per message; those of round 0 made the start.
    """
    sent = pl.col("message_bytes")
    by_round = ledger.group_by("round").agg(
        sent.filter(pl.col("direction") == direction).sum().alias(direction) for direction in ("down", "up")
    )
    start = ledger.filter(pl.col("round") == 0)["message_bytes"].sum()
    return rounds.join(by_round, on="round", how="left", maintain_order="left").with_columns(
        pl.col("down", "up").fill_null(0), (pl.col("bytes_sent") + start).alias("bytes_with_start")
    )


def describe_federation(run: FederationRun) -> list[str]:
    """What the federation came to, most important first; good news and bad news by the same rules."""
    return [
        describe_result(run),
        *_describe_best(run),
        *_describe_target(run),
        describe_start(run),
        *_describe_clients(run),
        describe_messages(run),
        *_describe_lost(run),
    ]


def describe_result(run: FederationRun) -> str:
    """The accuracy after the last round, beside that of the starting model where there is one."""
    first, last = run.first, run.last
    if last["round"] == 0:
        return (
            f"No round was run: the starting model has {text_percent(last['accuracy'])} test accuracy and "
            f"{text_percent(last['validation_accuracy'])} on the validation samples."
        )
    rounds = f"After {text_count(last['round'], 'round')} of {run.title}"
    if run.strategy.has_global_model:
        difference = text_points(last["accuracy"] - first["accuracy"])
        return (
            f"{rounds} the global model has {text_percent(last['accuracy'])} test accuracy, {difference} "
            f"points against the {text_percent(first['accuracy'])} of the starting model."
        )
    if last["client_accuracy"] is None:
        return f"{rounds} nobody has measured the clients' own models: no held-out sample was measured on."
    return (
        f"{rounds} the clients' own models have {text_percent(last['client_accuracy'])} mean accuracy on "
        "their held-out samples; there is no global model."
    )


def _describe_best(run: FederationRun) -> list[str]:
    """Which round's model is kept."""
    if not run.strategy.has_global_model or run.last["round"] == 0:
        return []
    best = run.get_round(run.best_round)
    validation, test = text_percent(best["validation_accuracy"]), text_percent(best["accuracy"])
    if run.best_round == 0:
        return [
            f"No round did better on the validation samples than the starting model ({validation}), so that "
            "is the model that is kept."
        ]
    return [
        f"The best on the validation samples is round {run.best_round} with {validation}; its model, with "
        f"{test} test accuracy, is the one that is kept."
    ]


def _describe_target(run: FederationRun) -> list[str]:
    """Whether, when and at what cost the target was reached."""
    if run.spec.target is None:
        return []
    target = f"The target of {text_percent(run.spec.target)} on {run.judged_on}"
    number = run.round_of_target
    if number is None:
        best = text_percent(run.get_round(run.best_round)["validation_accuracy"])
        rounds = text_count(run.last["round"], "round")
        return [f"{target} was not reached in {rounds}; the highest was {best}."]
    if number == 0:
        return [f"{target} was reached by the starting model, before the first round."]
    row = run.get_round(number)
    return [
        f"{target} was reached in round {number}, after {text_bytes(row['bytes_with_start'])} in all and "
        f"{text_seconds(row['seconds'])} of rounds."
    ]


def describe_start(run: FederationRun) -> str:
    """How the starting model was made, what that took and sent, and how many rounds' worth of bytes it is."""
    from limbeck.federate.starts import get_start

    start_bytes = run.first["bytes_with_start"]
    messages = text_count(run.ledger.filter(pl.col("round") == 0).height, "message")
    sentence = (
        f"The start, {label_start(run.spec.start)} ({get_start(run.spec.start).summary}), took "
        f"{text_seconds(run.first['start_seconds'])} and, introductions included, {text_bytes(start_bytes)} "
        f"in {messages}"
    )
    if not run.last["bytes_sent"]:
        return f"{sentence}."
    rounds = start_bytes / (run.last["bytes_sent"] / run.last["round"])
    return f"{sentence}: as many bytes as {rounds:.1f} of its rounds."


def _describe_clients(run: FederationRun) -> list[str]:
    """How the clients fare on samples of their own, and how much they differ."""
    measured = run.rounds.filter(pl.col("client_accuracy").is_not_null())
    if not measured.height or not run.strategy.has_global_model:
        return []
    row = measured.row(-1, named=True)
    spread = ""
    if row["client_spread"] is not None:
        spread = f", with a standard deviation of {_text_unsigned(row['client_spread'])} points between them"
    return [
        f"On their own held-out samples the clients of round {row['round']} measured "
        f"{text_percent(row['client_accuracy'])} on average{spread}."
    ]


def describe_messages(run: FederationRun) -> str:
    """The bytes of all messages, and each way."""
    totals = [text_bytes(sum(run.rounds[way].to_list())) for way in ("down", "up")]
    return (
        f"All {run.ledger.height:,} messages together are {text_bytes(run.last['bytes_with_start'])}: "
        f"{totals[0]} to the clients and {totals[1]} from them."
    )


def _describe_lost(run: FederationRun) -> list[str]:
    """How many replies did not count."""
    if run.last["round"] == 0:
        return []
    rejected, missing = (run.rounds[name].list.len().sum() for name in ("rejected", "missing"))
    if not rejected and not missing:
        return ["Every reply came and counted."]
    has_lost = pl.col("rejected").list.len() + pl.col("missing").list.len() > 0
    rounds = f"{run.rounds.filter(has_lost).height:,} of {text_count(run.last['round'], 'round')}"
    return [f"Replies that did not count: {rejected:,} rejected and {missing:,} missing, in {rounds}."]


def tile_federation(run: FederationRun) -> list[Tile]:
    """The accuracy that was reached, and the rounds, bytes and seconds it took."""
    return [*_tile_accuracy(run), _tile_rounds(run), _tile_bytes(run), _tile_seconds(run)]


def _tile_accuracy(run: FederationRun) -> list[Tile]:
    if run.strategy.has_global_model:
        best = run.get_round(run.best_round)
        of = "the starting model" if run.best_round == 0 else f"round {run.best_round}"
        meaning = f"test accuracy of {of}, chosen on validation samples"
        return [Tile(value=f"{100 * best['accuracy']:.1f}", unit="%", meaning=meaning)]
    mean = run.last["client_accuracy"]
    if mean is None:
        return []
    return [
        Tile(value=f"{100 * mean:.1f}", unit="%", meaning="mean accuracy of clients on their own samples")
    ]


def _tile_rounds(run: FederationRun) -> Tile:
    number, target = run.round_of_target, run.spec.target
    meaning = "run" if target is None else f"run, target of {text_percent(target)} not reached"
    if number is not None:
        meaning = f"to the target of {text_percent(target)}"
    rounds = run.last["round"] if number is None else number
    return Tile(value=f"{rounds:,}", unit="round" if rounds == 1 else "rounds", meaning=meaning)


def _tile_bytes(run: FederationRun) -> Tile:
    value, unit = text_bytes(run.last["bytes_with_start"]).split()
    meaning = f"sent in all, {text_bytes(run.first['bytes_with_start'])} of it for the start"
    return Tile(value=value, unit=unit, meaning=meaning)


def _tile_seconds(run: FederationRun) -> Tile:
    value, unit = text_seconds(run.last["seconds"]).split(maxsplit=1)
    meaning = f"in the rounds, after {text_seconds(run.first['start_seconds'])} for the start"
    return Tile(value=value, unit=unit, meaning=f"{meaning}; without measuring")


def tabulate_federation(run: FederationRun) -> Table:
    """Every round: accuracies, bytes each way, time, and whose replies counted or did not."""
    has_model = run.strategy.has_global_model
    measures = ("Test", "Validation") if has_model else ()
    rows = list(run.rounds.iter_rows(named=True))
    best = frozenset({(run.best_round, 1 + measures.index("Validation"))}) if has_model else frozenset()
    return Table(
        name="rounds",
        caption="Every round; the start stands for round 0. Bytes are of this round, time is of all so far."
        + (" The validation accuracy that decides which model is kept is emphasised." if has_model else ""),
        columns=(
            *("Round", *measures, "Clients' own", "Counted", "Rejected", "Missing"),
            *("To clients", "From clients", "Time so far"),
        ),
        rows=tuple(_row_of_round(row, has_model=has_model) for row in rows),
        strong=best,
    )


def _row_of_round(row: Mapping[str, Any], *, has_model: bool) -> tuple[str, ...]:
    measures = (text_percent(row["accuracy"]), text_percent(row["validation_accuracy"])) if has_model else ()
    return (
        "start" if row["round"] == 0 else str(row["round"]),
        *measures,
        text_own_accuracy(row),
        *(text_clients(row[name]) for name in ("participants", "rejected", "missing")),
        text_bytes(row["down"]),
        text_bytes(row["up"]),
        text_seconds(row["seconds"]),
    )


def text_own_accuracy(row: Mapping[str, Any]) -> str:
    """The clients' mean accuracy on samples of their own with its spread, such as ``91.2 % ± 3.0``."""
    mean, spread = row["client_accuracy"], row["client_spread"]
    if mean is None or spread is None:
        return text_percent(mean)
    return f"{text_percent(mean)} ± {_text_unsigned(spread)}"


def text_clients(clients: Sequence[int]) -> str:
    """The numbers of clients, such as ``0 to 4, 7``; only how many where that would be long."""
    ranges: list[list[int]] = []
    for client in sorted(clients):
        if ranges and client == ranges[-1][-1] + 1:
            ranges[-1].append(client)
        else:
            ranges.append([client])
    if len(ranges) > MOST_RANGES:
        return text_count(len(clients), "client")
    return ", ".join(map(_text_range, ranges)) or ABSENT


def _text_range(clients: Sequence[int]) -> str:
    if len(clients) > 2:
        return f"{clients[0]} to {clients[-1]}"
    return ", ".join(map(str, clients))


def list_federation_facts(run: FederationRun) -> list[tuple[str, str]]:
    """How it was run, as pairs of a name and its value."""
    spec = run.spec
    training = {name: value for name, value in vars(spec.local).items() if value is not None}
    facts = [
        ("About", spec.description),
        ("Data", spec.data.source),
        ("Clients", _describe_split(spec)),
        ("Architecture", ", ".join(dict.fromkeys(spec.archs))),
        ("Start", label_start(spec.start)),
        ("Distillation", _describe_distillation(spec)),
        ("Strategy", f"{run.title}: {run.strategy.summary}"),
        ("Rounds", f"{run.last['round']:,} of {spec.rounds:,}"),
        ("Asked in a round", f"{text_percent(spec.participation, 0)} of the clients"),
        ("Local training", _describe_settings(training)),
        ("Aggregation", f"{spec.aggregation}, clients count by {_describe_weighting(spec)}"),
        ("Privacy", _describe_settings(vars(spec.privacy)) if spec.privacy is not None else ""),
        ("Seed", str(spec.seed)),
        ("Spec hash", spec.hash),
    ]
    return [(name, value) for name, value in facts if value]


def _describe_split(spec: "FederateSpec") -> str:
    from limbeck.partition import title

    clients = text_count(spec.num_clients, "client" if spec.split is not None else "site")
    if spec.split is None:
        return f"{clients} with data of their own"
    return f"{clients}, {title(spec.split.strategy, spec.split.parameters)}, seed {spec.split.seed}"


def _describe_distillation(spec: "FederateSpec") -> str:
    """How the start distilled; a start that does not has nothing to say, whatever the spec holds."""
    from limbeck.federate.starts import get_start

    if spec.distil is None or not get_start(spec.start).is_distilled:
        return ""
    if spec.tune is not None:
        return f"{spec.distil.technique}, temperature and weight chosen by clients"
    settings = {"temperature": spec.distil.temperature, "weight": spec.distil.weight}
    return f"{spec.distil.technique}, {_describe_settings({**settings, **spec.distil.coefficients})}"


def _describe_weighting(spec: "FederateSpec") -> str:
    return "their samples" if spec.weighting == "samples" else "one each"


def _describe_settings(settings: Mapping[str, Any]) -> str:
    parts = (
        f"{name.replace('_', ' ')} {text_plain(value) if isinstance(value, float) else value}"
        for name, value in settings.items()
    )
    return ", ".join(parts)


def _text_unsigned(fraction: float) -> str:
    return text_points(fraction).removeprefix("+")


def _read_table(path: Path, schema: Mapping[str, Any]) -> pl.DataFrame:
    """The columns of `schema` from a parquet file, cast to its types."""
    try:
        frame = pl.read_parquet(path)
        return frame.select(pl.col(column).cast(dtype) for column, dtype in schema.items())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(path, str(error).strip().splitlines()[0]) from error


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"`{path}` must be a whole table of `limbeck federate`, but: {reason}. {REMEDY}")
