"""From a spec and a site's file to clients: a site that is a client of the split is the simulation's."""

import stat
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.federate.small_spec import make_spec

from limbeck import data, models
from limbeck.core.errors import InputError
from limbeck.engine import predict
from limbeck.federate.assembly import NOISE_FILE, assemble, make_site_client
from limbeck.federate.client import OWN_MODEL, state_of
from limbeck.federate.memory import FolderMemory
from limbeck.federate.spec import FederateSpec, SitePart

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def assembly():
    return assemble(make_spec())


@pytest.fixture(scope="module")
def terms(assembly):
    return assembly.terms


@pytest.fixture
def digits():
    return data.load("digits")


def join(site, terms, spec=None, index=0):
    return make_site_client(site, index, terms, make_spec() if spec is None else spec)


def make_site(folder, **changes):
    return SitePart(**{"name": "north", "folder": folder, **changes})


def save_npz(path, digits, ids, *, side=8):
    """Training samples of the digits in a file of their own, whose classes are `0`, `1` and so on."""
    images = digits.train.inputs[ids].numpy()[..., :side, :side]
    np.savez(path, x=images, y=digits.labels[ids])
    return str(path)


def test_server_and_clients_share_no_sample(assembly):
    reserved, split = assembly.reserved, assembly.split()
    parts = [reserved.validation, reserved.proxy, *split.indices]
    ids = np.concatenate(parts)
    assert len(ids) == len(set(ids.tolist())) == 150 + 60 + 300


def test_terms_are_measured_on_the_servers_validation_samples(assembly, terms, digits):
    images = digits.train.inputs[assembly.reserved.validation].double() / 255
    np.testing.assert_allclose(terms.mean, [images.mean()], rtol=1e-5)
    np.testing.assert_allclose(terms.std, [images.std(correction=0)], rtol=1e-3)
    assert (terms.input_shape, terms.class_names) == ((1, 8, 8), digits.class_names)


def test_all_parties_build_the_same_untrained_model_and_own_their_copy(assembly, terms):
    build, other = terms.make_build_fn(CPU), assembly.terms.make_build_fn(CPU)
    first, second = build("mlp"), build("mlp")
    assert first is not second
    for name, value in state_of(first).items():
        assert torch.equal(value, state_of(other("mlp"))[name])
    with torch.no_grad():
        first[1].weight.zero_()
    assert bool(second[1].weight.any())


def test_the_server_tells_the_spec_but_no_path_of_its_own():
    spec = make_spec(data__data_dir="/secret/folder")
    told = replace(assemble(make_spec()), spec=spec).make_server(CPU).terms
    assert "secret" not in str(told)
    assert FederateSpec.model_validate(told["spec"]).hash == spec.hash


def test_a_client_holds_out_the_share_the_spec_says(assembly):
    sizes = [len(ids) for ids in assembly.split().indices]
    for client, size in zip(assembly.make_clients(CPU).values(), sizes, strict=True):
        assert len(client.held_out[1]) == size // 5
        assert len(client) == size - size // 5
    whole = assemble(make_spec(held_out=0.0)).make_clients(CPU)
    assert [len(client) for client in whole.values()] == sizes
    assert all(client.held_out is None for client in whole.values())


def test_clients_of_a_simulation_have_noise_seeds_and_folders_of_their_own(assembly, tmp_path):
    clients = assembly.make_clients(CPU, folder=tmp_path)
    assert len({client.noise_seed for client in clients.values()}) == 3
    assert len({client.memory.folder for client in clients.values()}) == 3


def test_a_site_that_is_a_client_of_the_split_is_the_simulations(assembly, terms, tmp_path):
    for index, client in assembly.make_clients(CPU).items():
        site = join(make_site(tmp_path / str(index), client=index), terms, index=index)
        assert (site.index, site.arch, site.num_classes) == (client.index, client.arch, client.num_classes)
        assert torch.equal(site.inputs, client.inputs)
        assert torch.equal(site.labels, client.labels)
        assert torch.equal(site.held_out[0], client.held_out[0])
        assert torch.equal(site.held_out[1], client.held_out[1])
        assert torch.equal(site.proxy, client.proxy)
        assert isinstance(site.memory, FolderMemory)


def test_a_site_says_itself_how_much_it_holds_out_and_which_architecture_it_has(assembly, terms, tmp_path):
    site = join(make_site(tmp_path, client=1, held_out=0.0, arch="cnn"), terms, index=1)
    assert (len(site), site.held_out, site.arch) == (len(assembly.split().indices[1]), None, "cnn")


def test_a_site_that_is_a_client_of_no_split_is_refused(terms, tmp_path):
    spec = make_spec(split=None, num_sites=3)
    with pytest.raises(InputError, match=r"the spec has a `split`.*Give sites a `source` of their own"):
        join(make_site(tmp_path, client=0), terms, spec)


def test_labels_of_a_site_are_brought_into_the_federations_order(terms, digits, tmp_path):
    ids, names = np.arange(40), tuple("7310245689")
    site = make_site(tmp_path, source=save_npz(tmp_path / "own.npz", digits, ids), held_out=0.0)
    client = join(site, replace(terms, class_names=names))
    own = data.load(site.source)
    assert [names[label] for label in client.labels] == [str(label) for label in own.labels]
    assert torch.equal(client.inputs, terms.prepare(own.train, CPU)[0])


def test_a_site_with_some_of_the_classes_has_all_of_the_federations_outputs(terms, digits, tmp_path):
    ids, names = np.flatnonzero(np.isin(digits.labels, [3, 5])), tuple("9876543210ab")
    site = make_site(tmp_path, source=save_npz(tmp_path / "own.npz", digits, ids), held_out=0.0)
    client = join(site, replace(terms, class_names=names))
    assert client.num_classes == 12
    assert [names[place] for place in np.flatnonzero(client.class_counts)] == ["5", "3"]


def test_a_site_measures_on_its_test_samples_unless_it_says_a_share(terms, digits, tmp_path):
    source = save_npz(tmp_path / "own.npz", digits, np.arange(100))
    site = join(make_site(tmp_path, source=source), terms)
    own = data.load(source)
    assert (len(site), len(site.held_out[1])) == (len(own.train), len(own.test))
    shared = join(make_site(tmp_path, source=source, held_out=0.25), terms)
    assert len(shared) + len(shared.held_out[1]) == len(own.train)


def test_a_class_the_federation_does_not_know_is_named(terms, digits, tmp_path):
    site = make_site(tmp_path, source=save_npz(tmp_path / "own.npz", digits, np.arange(40)))
    known = ("zero", *terms.class_names[1:])
    with pytest.raises(InputError, match=r"`0` at `north`\. The classes are zero, 1, .*; rename it"):
        join(site, replace(terms, class_names=known))


def test_samples_of_another_shape_are_refused(terms, digits, tmp_path):
    source = save_npz(tmp_path / "own.npz", digits, np.arange(40), side=6)
    with pytest.raises(InputError, match=r"\(1, 6, 6\) at `north` for \(1, 8, 8\)\. Bring them to that size"):
        join(make_site(tmp_path, source=source), terms)


def test_a_public_proxy_set_is_read_by_server_and_sites_alike(digits, tmp_path):
    np.savez(tmp_path / "proxy.npz", x=digits.train.inputs[:30].numpy())
    proxy = str(tmp_path / "proxy.npz")
    assembly = assemble(make_spec(data__proxy=proxy, data__proxy_samples=None))
    source = save_npz(tmp_path / "own.npz", digits, np.arange(40))
    site = join(make_site(tmp_path, source=source, proxy=proxy), assembly.terms, assembly.spec)
    assert torch.equal(site.proxy, assembly.make_server(CPU).proxy)
    assert site.proxy.shape == (30, 1, 8, 8)


def test_proxy_samples_of_another_shape_are_refused(digits, tmp_path):
    np.savez(tmp_path / "proxy.npz", x=digits.train.inputs[:30, :, :5, :5].numpy())
    assembly = assemble(make_spec(data__proxy=str(tmp_path / "proxy.npz"), data__proxy_samples=None))
    with pytest.raises(InputError, match=r"proxy samples have the federation's shape.*\(1, 5, 5\)"):
        assembly.make_server(CPU)


def save_own(folder, digits, terms, *, arch="mlp"):
    model = models.build(arch, input_shape=(1, 8, 8), num_classes=10, seed=7)
    card = models.Card(
        arch=arch,
        input_shape=(1, 8, 8),
        class_names=digits.class_names,
        mean=terms.mean,
        std=terms.std,
        data_fingerprint=digits.fingerprint,
        training={},
        accuracies={},
    )
    models.save(model, card, folder)
    return model


def test_a_site_brings_a_model_of_its_own(terms, digits, tmp_path):
    own = save_own(tmp_path / "own", digits, terms)
    site = join(make_site(tmp_path, client=0, model=tmp_path / "own"), terms)
    brought = site.recall_model()
    np.testing.assert_array_equal(predict(brought, site.inputs), predict(own, site.inputs))


def test_a_model_that_was_brought_is_not_brought_again(terms, digits, tmp_path):
    save_own(tmp_path / "own", digits, terms)
    site = make_site(tmp_path, client=0, model=tmp_path / "own")
    changed = {name: value + 1 for name, value in join(site, terms).memory.read(OWN_MODEL, before=1).items()}
    join(site, terms).memory.write(OWN_MODEL, changed, round_number=0)
    kept = join(site, terms).memory.read(OWN_MODEL, before=1)
    assert all(torch.equal(value, changed[name]) for name, value in kept.items())


def test_a_model_of_another_architecture_is_refused(terms, digits, tmp_path):
    save_own(tmp_path / "own", digits, terms, arch="cnn")
    with pytest.raises(InputError, match=r"`cnn` for `mlp`\. Set `arch` in the site's file"):
        join(make_site(tmp_path, client=0, model=tmp_path / "own"), terms)


def test_the_seed_of_noise_is_drawn_once_and_only_the_owner_can_read_it(terms, tmp_path):
    site = make_site(tmp_path / "north", client=0)
    first, again = join(site, terms).noise_seed, join(site, terms).noise_seed
    other = join(make_site(tmp_path / "south", client=0), terms).noise_seed
    assert first == again != other
    path = tmp_path / "north" / NOISE_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == str(first)


def test_a_seed_of_noise_that_is_named_is_taken_and_not_written(terms, tmp_path):
    assert join(make_site(tmp_path, client=0, noise_seed=5), terms).noise_seed == 5
    assert not (tmp_path / NOISE_FILE).exists()


def test_a_damaged_seed_of_noise_is_one_sentence(terms, tmp_path):
    (tmp_path / NOISE_FILE).write_text("")
    with pytest.raises(InputError, match="Remove that file to draw another"):
        join(make_site(tmp_path, client=0), terms)
