"""The connection to a SuperLink as Flower's configuration names it, and whether anybody answers there."""

import os
import socket
import ssl
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.core.errors import InputError, RunError, describe_error, require, require_known

PROBE_SECONDS = 10.0
SECTION, DEFAULT = "superlink", "default"
REMEDY = (
    "Set FLWR_HOME to the folder `server/flower` that `limbeck federate --new-site` wrote, or add "
    '`[superlink.NAME]` with `address = "HOST:PORT"` and `root-certificates` to that file.'
)


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where a SuperLink is, and how its certificate is checked.

    Attributes:
        name: Name of the connection.
        address: `HOST:PORT`.
        root_certificates: The authority that signed its certificate, None for those of the system.
        insecure: Whether it is not encrypted.
    """

    name: str
    address: str
    root_certificates: Path | None
    insecure: bool

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The address in two.

        Raises:
            InputError: When it is not `HOST:PORT`.
        """
        host, _, port = self.address.rpartition(":")
        require(
            bool(host) and port.isdecimal(),
            "the address of a SuperLink is `HOST:PORT`",
            f"`{self.address}` in the connection `{self.name}`",
            "Correct it in Flower's configuration.",
        )
        return host.strip("[]"), int(port)


def read_connection(name: str | None) -> Connection:
    """The connection of that name in Flower's configuration, its default for None.

    Raises:
        InputError: When there is none, or it is Flower's own simulation.
    """
    path = Path(os.environ.get("FLWR_HOME", "") or Path.home() / ".flwr") / "config.toml"
    connections = _read_connections(path)
    name = connections.get(DEFAULT) if name is None else name
    require(
        name is not None,
        "`--superlink` or Flower's configuration names the connection to use",
        f"neither in `{path}`",
        REMEDY,
    )
    assert name is not None
    require_known("connection to a SuperLink", name, [key for key in connections if key != DEFAULT])
    content = connections[name]
    address = str(content.get("address", ":local:"))
    require(
        not address.startswith(":local"),
        "the engine `flower` has a SuperLink with sites",
        f"the connection `{name}` in `{path}`, which is Flower's simulation",
        f"{REMEDY} For a simulation leave `--engine` out.",
    )
    roots = content.get("root-certificates")
    return Connection(
        name=name,
        address=address,
        root_certificates=None if roots is None else path.parent / roots,
        insecure=bool(content.get("insecure", False)),
    )


def _read_connections(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file).get(SECTION, {})
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            f"Flower's configuration must be a readable TOML file, but: {describe_error(error)}. {REMEDY}"
        ) from error


def require_answer(connection: Connection) -> None:
    """Raise one sentence unless somebody answers at a SuperLink's address, with the right certificate.

    Raises:
        InputError: When the certificate cannot be trusted, or cannot be checked.
        RunError: When nobody answers.
    """
    host, port = connection.host_and_port
    context = None if connection.insecure else _make_context(connection)
    try:
        with socket.create_connection((host, port), timeout=PROBE_SECONDS) as plain:
            if context is not None:
                context.wrap_socket(plain, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        raise InputError(
            f"the SuperLink's certificate must be signed by `root-certificates`, but at {connection.address} "
            f"it is not valid: {error.verify_message}. Give the connection `{connection.name}` the `ca.crt` "
            f"that lies beside the SuperLink's key, or a certificate for `{host}` to the SuperLink."
        ) from error
    except OSError as error:
        raise RunError(
            f"a SuperLink must answer at {connection.address}, the address of the connection "
            f"`{connection.name}`, but: {describe_error(error)}. Start it, or correct the connection."
        ) from error


def _make_context(connection: Connection) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=connection.root_certificates)
    except (OSError, ssl.SSLError) as error:
        raise InputError(
            f"`root-certificates` of the connection `{connection.name}` must be a PEM file, but "
            f"`{connection.root_certificates}` is not: {describe_error(error)}. Name that `ca.crt`."
        ) from error
