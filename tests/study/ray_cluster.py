"""A Ray cluster of two nodes on 127.0.0.1 alone, in a process of its own.

Prints the address of its head once both nodes are there. A line on stdin kills the second node; the end of
the input ends the cluster.
"""

import os
import sys

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # lets nodes keep to the address 127.0.0.1

from ray.cluster_utils import Cluster

NODE = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": 80_000_000}


def main() -> None:
    """Keep a cluster until the input ends."""
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    second = cluster.add_node(**NODE)
    _say(cluster.address)
    for _ in sys.stdin:
        cluster.remove_node(second, allow_graceful=False)
        _say("removed")
    cluster.shutdown()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
