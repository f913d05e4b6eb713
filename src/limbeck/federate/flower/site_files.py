"""The files that a deployment needs: keys, certificates, a site's commented configuration, next commands.

A site's folder stands beside the folder `server`, which all sites of a deployment share. What exists is never
overwritten, so the same command again only prints the commands.
"""

import datetime
import ipaddress
import os
import shlex
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from limbeck.core.errors import InputError, require
from limbeck.core.files import explain_disk_errors, write_text

SERVER_FOLDER = "server"
CA_CERTIFICATE, CA_KEY = "ca.crt", "ca.key"
SERVER_CERTIFICATE, SERVER_KEY = "server.pem", "server.key"
SITE_FILE, SITE_KEY, SITE_PUBLIC_KEY = "site.yaml", "site.key", "site.key.pub"
CONNECTION_FOLDER, CONNECTION_NAME = "flower", "limbeck"
SERVER_PORT, FIRST_SITE_PORT = 8443, 9094
QUIET = "FLWR_TELEMETRY_ENABLED=0 FLWR_DISABLE_UPDATE_CHECK=1"
CURVE = ec.SECP384R1()
VALID_DAYS = 825
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")

SITE_TEMPLATE = """\
# A site of a federation. Paths count from the folder of this file; `source` is a name or a whole path.

# What the site is called; all sites of a federation have different names, and are numbered in their order.
name: {name}

# Where private models and caches are kept. Nothing in it leaves the site as it is.
folder: private

# The site's own samples: a table, a folder with one folder of images per class, or a name such as `digits`.
source: {source}

# For a trial, instead of `source`: which client of the spec's `split` the site is.
# client: 0

# Share of its samples that the site measures on and does not train on; left out, its test samples.
# held_out: 0.2

# The public, unlabelled proxy set, for strategies whose clients need it: a name or a path.
# proxy: digits

# Architecture of the site's models; left out, that of the spec.
# arch: resnet20

# Folder of the site's own trained model as limbeck saves it; left out, one is trained if the spec says so.
# model: my-model

# Where the site computes: auto, cpu or cuda.
# device: auto
"""

CONNECTION_TEMPLATE = """\
[superlink]
default = "{name}"

[superlink.{name}]
address = "{host}:{port}"
root-certificates = "{certificate}"
"""


def write_site_files(folder: Path, *, hosts: Sequence[str] = ()) -> str:
    """Write what a site needs, and what its server needs unless the site has its server's certificate.

    Args:
        folder: The site's; the server's folder is made beside it. Its name is the site's name. Where it holds
            `ca.crt` already, that of a server elsewhere, nothing is made for a server.
        hosts: Names and addresses under which sites reach the server, beside those of this machine.

    Returns:
        The commands that come next, for a shell.

    Raises:
        InputError: When the folder cannot be a site's.
        RunError: When the disk refuses a file.
    """
    folder = folder.absolute()
    server = folder.parent / SERVER_FOLDER
    require(
        folder != server,
        f"a site is not called `{SERVER_FOLDER}`",
        f"`{folder}`",
        "Name another folder: the server's is made beside it.",
    )
    is_elsewhere = (folder / CA_CERTIFICATE).exists() and not (server / CA_KEY).exists()
    _make_private_folder(folder)
    if not is_elsewhere:
        _write_server_files(server, hosts)
        _write_missing(folder / CA_CERTIFICATE, (server / CA_CERTIFICATE).read_text())
    if not (folder / SITE_KEY).exists():
        _write_key_pair(folder)
    site = SITE_TEMPLATE.format(name=folder.name, source=folder / "data")
    _write_missing(folder / SITE_FILE, site)
    return describe_commands(folder, server, is_elsewhere=is_elsewhere)


def describe_commands(folder: Path, server: Path, *, is_elsewhere: bool) -> str:
    """The commands that start what was written, in their order, for a shell."""
    connection = shlex.quote(str(server / CONNECTION_FOLDER))
    register = f"flwr supernode register {shlex.quote(str(folder / SITE_PUBLIC_KEY))} {CONNECTION_NAME}"
    at_server = f"""\
# At the server, once for all sites:
export FLWR_HOME={connection} {QUIET}
{make_superlink_command(server)}
# At the server, in another shell with the same FLWR_HOME, once per site:
{register} --name {shlex.quote(folder.name)}
"""
    elsewhere = f"""\
# Take `{folder / SITE_PUBLIC_KEY}` to the server and register it there:
flwr supernode register {SITE_PUBLIC_KEY} {CONNECTION_NAME} --name {shlex.quote(folder.name)}
"""
    superlink = f"{'SERVER' if is_elsewhere else LOCAL_HOSTS[1]}:{SERVER_PORT}"
    at_site = f"""\
# At the site, once `{folder / SITE_FILE}` says where its samples are;
# where several sites share a machine, each needs a --port of its own:
export FLWR_HOME={shlex.quote(str(folder / CONNECTION_FOLDER))} {QUIET}
{make_supernode_command(folder, superlink=superlink)}
"""
    start = f"""\
# At the server, once all sites are up:
limbeck federate SPEC --engine flower --superlink {CONNECTION_NAME}
"""
    return elsewhere + at_site if is_elsewhere else at_server + at_site + start


def make_superlink_command(server: Path, *, host: str = "0.0.0.0", port: int = SERVER_PORT) -> str:
    """The command that starts the server's SuperLink: encrypted, and open to registered keys alone."""
    options = {
        "ssl-ca-certfile": server / CA_CERTIFICATE,
        "ssl-certfile": server / SERVER_CERTIFICATE,
        "ssl-keyfile": server / SERVER_KEY,
        "database": server / "state.db",
        "host": host,
        "port": port,
    }
    flags = "--enable-supernode-auth --disable-runtime-dependency-installation"
    return f"flower-superlink {flags} {_join_options(options)}"


def make_supernode_command(folder: Path, *, superlink: str, port: int = FIRST_SITE_PORT) -> str:
    """The command that starts a site's SuperNode.

    Args:
        folder: The site's.
        superlink: Address of the server, `HOST:PORT`.
        port: A free port of the site's machine; nothing outside it connects there.
    """
    options = {
        "superlink": superlink,
        "root-certificates": folder / CA_CERTIFICATE,
        "auth-supernode-private-key": folder / SITE_KEY,
        "port": port,
        "node-config": f'site="{folder / SITE_FILE}"',
    }
    return f"flower-supernode {_join_options(options)}"


def _join_options(options: dict[str, object]) -> str:
    return " ".join(f"--{name} {shlex.quote(str(value))}" for name, value in options.items())


def _write_server_files(server: Path, hosts: Sequence[str]) -> None:
    _make_private_folder(server)
    if not (server / CA_CERTIFICATE).exists():
        _write_authority(server)
    certificate = server / SERVER_CERTIFICATE
    if not certificate.exists() or not _names_hosts(certificate, hosts):
        _write_server_certificate(server, hosts)
    connection = CONNECTION_TEMPLATE.format(
        name=CONNECTION_NAME, host=LOCAL_HOSTS[1], port=SERVER_PORT, certificate=server / CA_CERTIFICATE
    )
    _write_missing(server / CONNECTION_FOLDER / "config.toml", connection)


def _names_hosts(path: Path, hosts: Sequence[str]) -> bool:
    """Whether a certificate holds for all of these hosts."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return all(name in names for name in map(_name_host, hosts))


def _write_authority(server: Path) -> None:
    """The deployment's own certificate authority, which signs the server's certificate."""
    key = ec.generate_private_key(CURVE)
    name = _name("limbeck federation authority")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _begin_certificate(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA384())
    )
    _write_private_key(server / CA_KEY, key)
    write_text(server / CA_CERTIFICATE, certificate.public_bytes(Encoding.PEM).decode())


def _write_server_certificate(server: Path, hosts: Sequence[str]) -> None:
    """The server's key, and its certificate with every host's name as a subjectAltName."""
    issuer_key = load_pem_private_key((server / CA_KEY).read_bytes(), password=None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate((server / CA_CERTIFICATE).read_bytes())
    key = ec.generate_private_key(CURVE)
    names = [_name_host(host) for host in dict.fromkeys((*LOCAL_HOSTS, socket.gethostname(), *hosts))]
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    certificate = (
        _begin_certificate(_name("limbeck federation server"), issuer.subject, key)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(issuer_key, hashes.SHA384())
    )
    _write_private_key(server / SERVER_KEY, key)
    write_text(server / SERVER_CERTIFICATE, certificate.public_bytes(Encoding.PEM).decode())


def _begin_certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _name_host(host: str) -> x509.GeneralName:
    """An address or a name as a certificate has it.

    Raises:
        InputError: When it is neither.
    """
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise InputError(
            f"a host is an address or a name in ASCII, but got `{host}`. Write it without a port."
        ) from error


def _write_key_pair(folder: Path) -> None:
    """A site's key as OpenSSH has it; the public half goes to the server."""
    key = ec.generate_private_key(CURVE)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    write_text(folder / SITE_PUBLIC_KEY, f"{public} {folder.name}\n")
    _write_private(folder / SITE_KEY, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))


def _write_private_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    _write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _write_private(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, that nobody but its owner could ever read."""
    with explain_disk_errors(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)


def _write_missing(path: Path, text: str) -> None:
    if not path.exists():
        write_text(path, text)


def _make_private_folder(folder: Path) -> None:
    with explain_disk_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
