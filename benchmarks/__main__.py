"""Run the small benchmarks and write their numbers to `benchmarks/results`; others have own commands."""

from pathlib import Path

from benchmarks import precision, target_cache, transfer
from benchmarks.measure import write_result

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run the benchmarks one after another."""
    # All are measured before one is written, which makes the tree differ from its commit.
    for result in [benchmark.measure() for benchmark in (transfer, target_cache, precision)]:
        write_result(result, RESULTS)


if __name__ == "__main__":
    main()
