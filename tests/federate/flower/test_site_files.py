"""Keys nobody else can read, a certificate that verifies, files never overwritten, commands that run."""

import shlex
import ssl
import stat

import pytest

from limbeck.core.errors import InputError
from limbeck.federate.spec import load_site

WHY = "Flower is not installed"
site_files = pytest.importorskip("limbeck.federate.flower.site_files", reason=WHY)
serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization", reason=WHY)
x509 = pytest.importorskip("cryptography.x509", reason=WHY)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "my sites" / "bonn"
    site_files.write_site_files(folder)
    return folder


def read_modes(folder):
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_keys_can_be_read_by_their_owner_alone(folder):
    assert read_modes(folder)["site.key"] == 0o600
    server = read_modes(folder.parent / "server")
    assert (server["ca.key"], server["server.key"]) == (0o600, 0o600)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_sites_key_is_an_openssh_key_of_384_bits_and_its_public_half_belongs_to_it(folder):
    private = serialization.load_ssh_private_key((folder / "site.key").read_bytes(), None)
    public = serialization.load_ssh_public_key((folder / "site.key.pub").read_bytes())
    assert private.curve.name == "secp384r1"
    assert private.public_key().public_numbers() == public.public_numbers()


def test_the_servers_certificate_names_its_hosts_and_belongs_to_its_key(tmp_path):
    site_files.write_site_files(tmp_path / "bonn", hosts=["fl.example.org", "192.0.2.7"])
    server = tmp_path / "server"
    certificate = x509.load_pem_x509_certificate((server / "server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "fl.example.org"} <= set(names.get_values_for_type(x509.DNSName))
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert {"127.0.0.1", "::1", "192.0.2.7"} <= addresses
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server / "server.pem", server / "server.key")


def test_all_sites_share_one_server_and_have_keys_of_their_own(folder):
    server = folder.parent / "server"
    before = {path.name: path.read_bytes() for path in server.iterdir() if path.is_file()}
    site_files.write_site_files(folder.parent / "lyon")
    assert {path.name: path.read_bytes() for path in server.iterdir() if path.is_file()} == before
    lyon = folder.parent / "lyon"
    assert (lyon / "ca.crt").read_bytes() == (folder / "ca.crt").read_bytes()
    assert (lyon / "site.key").read_bytes() != (folder / "site.key").read_bytes()


def test_the_same_command_again_changes_nothing(folder):
    before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    commands = site_files.write_site_files(folder)
    assert {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()} == before
    assert commands == site_files.write_site_files(folder)


def test_a_host_added_later_is_in_a_new_certificate_of_the_same_authority(folder):
    authority = (folder / "ca.crt").read_bytes()
    site_files.write_site_files(folder, hosts=["fl.example.org"])
    server = folder.parent / "server"
    assert (server / "ca.crt").read_bytes() == authority
    certificate = x509.load_pem_x509_certificate((server / "server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "fl.example.org" in names.get_values_for_type(x509.DNSName)


def test_a_site_with_the_certificate_of_a_server_elsewhere_gets_no_server(tmp_path):
    folder = tmp_path / "bonn"
    folder.mkdir()
    (folder / "ca.crt").write_text("of the server")
    commands = site_files.write_site_files(folder)
    assert not (tmp_path / "server").exists()
    assert (folder / "ca.crt").read_text() == "of the server"
    assert "flower-superlink" not in commands
    assert "--superlink SERVER:8443" in commands


def test_the_sites_file_is_valid_and_names_the_site_after_its_folder(folder):
    site = load_site(folder / "site.yaml")
    assert (site.name, site.folder, site.source) == ("bonn", folder / "private", str(folder / "data"))


def test_every_key_of_a_site_is_explained_in_its_file(folder):
    text = (folder / "site.yaml").read_text()
    explained = {"name", "folder", "source", "client", "held_out", "proxy", "arch", "model", "device"}
    assert all(f"\n{key}: " in text or f"\n# {key}: " in text for key in explained)


def test_the_commands_name_files_that_exist_also_where_a_folder_has_a_space(folder):
    command = shlex.split(site_files.make_supernode_command(folder, superlink="127.0.0.1:8443"))
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--auth-supernode-private-key"] == str(folder / "site.key")
    assert options["--node-config"] == f'site="{folder / "site.yaml"}"'


def test_a_site_called_server_is_refused(tmp_path):
    with pytest.raises(InputError, match="a site is not called `server`"):
        site_files.write_site_files(tmp_path / "server")


def test_a_host_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="`bücher`"):
        site_files.write_site_files(tmp_path / "bonn", hosts=["bücher"])
