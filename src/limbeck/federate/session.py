"""One run of a spec in a folder of its own, in either engine: resumed, kept every round, stopped in time."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import polars as pl

from limbeck import models
from limbeck.core.errors import RunError
from limbeck.core.files import write_atomically, write_text
from limbeck.federate.assembly import Assembly
from limbeck.federate.client import fill
from limbeck.federate.keeping import keep, recall
from limbeck.federate.messages import Ledger
from limbeck.federate.plan import Privacy
from limbeck.federate.privacy import spent_budget
from limbeck.federate.run import Server, federate
from limbeck.federate.server import Courier, Standing
from limbeck.federate.spec import FederateSpec
from limbeck.federate.strategies import get_strategy

SPEC_FILE, ROUNDS_FILE, LEDGER_FILE, MODELS_FOLDER = "spec.yaml", "rounds.parquet", "ledger.parquet", "models"
ROUND_SCHEMA = {
    "round": pl.Int64,
    "accuracy": pl.Float64,
    "validation_accuracy": pl.Float64,
    "client_accuracy": pl.Float64,
    "client_spread": pl.Float64,
    "bytes_sent": pl.Int64,
    "seconds": pl.Float64,
    "participants": pl.List(pl.Int64),
    "rejected": pl.List(pl.Int64),
    "missing": pl.List(pl.Int64),
    "start_seconds": pl.Float64,
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run came to.

    Attributes:
        standing: Where it stands.
        ledger: Every message.
        reached_target: Whether the target was reached, None without one.
        epsilon: For which the updates of the client that sent most are (epsilon, delta)-differentially
            private, None where nothing is clipped.
        folder: Where everything is kept.
    """

    standing: Standing
    ledger: Ledger
    reached_target: bool | None
    epsilon: float | None
    folder: Path


def run_session(
    assembly: Assembly,
    server: Server,
    courier: Courier,
    *,
    folder: Path,
    after_round: Callable[[Standing], None] = lambda _: None,
) -> Outcome:
    """Run a spec to its target or its last round, or go on with what the folder holds of it.

    Args:
        assembly: The spec and its data set.
        server: What the server has.
        courier: Carries the messages.
        folder: The run's own.
        after_round: Told where the run stands, before the first round and after each.

    Raises:
        InputError: When the folder holds another run, or start or strategy lack something.
        RunError: When a round cannot be completed; the rounds before it are kept.
    """
    spec = assembly.spec
    if spec.privacy is not None:
        spent_budget(spec.privacy, num_messages=1)  # refuses early where it cannot be accounted for
    kept = recall(folder, spec_hash=spec.hash)
    standing, ledger = (None, Ledger()) if kept is None else (kept.standing, kept.ledger)
    write_text(folder / SPEC_FILE, spec.to_yaml())
    if standing is not None:
        after_round(standing)
    try:
        if standing is None or not _is_over(standing, spec.target):
            steps = federate(
                spec.recipe, server, courier, num_clients=spec.num_clients, ledger=ledger, standing=standing
            )
            for step in steps:
                keep(folder, step, ledger, spec_hash=spec.hash)
                standing = step
                after_round(standing)
                if _is_over(standing, spec.target):
                    break
    except (RunError, KeyboardInterrupt):
        if standing is not None:
            with suppress(RunError):  # the disk may be what failed
                _write_results(assembly, server, standing, ledger, folder)
        raise
    assert standing is not None
    _write_results(assembly, server, standing, ledger, folder)
    return _sum_up(spec, standing, ledger, folder)


def read_outcome(spec: FederateSpec, folder: Path) -> Outcome | None:
    """What the run that a folder holds has come to, None when it holds none.

    Raises:
        InputError: When the folder holds another run.
    """
    kept = recall(folder, spec_hash=spec.hash)
    return None if kept is None else _sum_up(spec, kept.standing, kept.ledger, folder)


def _sum_up(spec: FederateSpec, standing: Standing, ledger: Ledger, folder: Path) -> Outcome:
    return Outcome(
        standing=standing,
        ledger=ledger,
        reached_target=None if spec.target is None else _is_over(standing, spec.target),
        epsilon=None if spec.privacy is None else _spend(spec.privacy, ledger),
        folder=folder,
    )


def _spend(privacy: Privacy, ledger: Ledger) -> float:
    """The privacy budget of the client that was asked most often, whether or not its update came in time."""
    updates = Counter(
        entry.client for entry in ledger.entries if entry.round > 0 and entry.direction == "down"
    )
    return spent_budget(privacy, num_messages=max(updates.values(), default=0))


def _is_over(standing: Standing, target: float | None) -> bool:
    return target is not None and standing.history[-1].validation_accuracy >= target


def _write_results(
    assembly: Assembly, server: Server, standing: Standing, ledger: Ledger, folder: Path
) -> None:
    """The curves, the account of messages and, where the strategy shares one, the best models."""
    _write_tables(standing, ledger, folder)
    if get_strategy(assembly.spec.strategy).has_global_model:
        _save_models(assembly, server, standing, folder)


def _write_tables(standing: Standing, ledger: Ledger, folder: Path) -> None:
    rows = [
        {
            "round": this.number,
            "accuracy": this.accuracy,
            "validation_accuracy": this.validation_accuracy,
            "client_accuracy": this.client_accuracy,
            "client_spread": this.client_spread,
            "bytes_sent": this.bytes_sent,
            "seconds": this.seconds,
            "participants": list(this.participants),
            "rejected": sorted(this.rejected),
            "missing": list(this.missing),
            "start_seconds": standing.start_seconds,
        }
        for this in standing.history
    ]
    _write_table(folder / ROUNDS_FILE, pl.DataFrame(rows, schema=ROUND_SCHEMA))
    _write_table(folder / LEDGER_FILE, pl.DataFrame([asdict(entry) for entry in ledger.entries]))


def _write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a table by way of memory: what polars raises when a disk is full is no `OSError`."""
    content = BytesIO()
    table.write_parquet(content)
    with write_atomically(path) as temporary:
        temporary.write_bytes(content.getvalue())


def _save_models(assembly: Assembly, server: Server, standing: Standing, folder: Path) -> None:
    terms, spec, best = assembly.terms, assembly.spec, standing.history[standing.best_round]
    for arch, state in standing.best_models.items():
        card = models.Card(
            arch=arch,
            input_shape=terms.input_shape,
            class_names=terms.class_names,
            mean=terms.mean,
            std=terms.std,
            data_fingerprint=assembly.data_set.fingerprint,
            training={
                "spec": spec.hash,
                "round": best.number,
                "strategy": spec.strategy,
                "start": spec.start,
            },
            accuracies={"test": best.accuracy, "validation": best.validation_accuracy},
        )
        models.save(fill(server.build_fn(arch), state), card, folder / MODELS_FOLDER / arch)
