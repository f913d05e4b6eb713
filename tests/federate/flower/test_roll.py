"""Every site has one place among the clients, and those that cannot take part are named."""

import pytest

import limbeck
from limbeck.core.errors import InputError, RunError

WHY = "Flower is not installed"
grids = pytest.importorskip("tests.federate.flower.loopback_grid", reason=WHY)
roll = pytest.importorskip("limbeck.federate.flower.roll", reason=WHY)
flwr_app = pytest.importorskip("flwr.app", reason=WHY)

LOAD_FAILED = 1


def make_node(presence):
    return lambda message: flwr_app.Message(presence.to_record(), reply_to=message)


def make_nodes(*names):
    return {number: make_node(roll.Presence(name=name)) for number, name in enumerate(names)}


def gather(nodes, *, say=lambda _: None, **changes):
    settings = {"places": (), "num_clients": 2, "num_needed": 1, "seconds": 0.6, **changes}
    return roll.gather(roll.RollCall(grids.LoopbackGrid(nodes), say=say), **settings)


def test_sites_with_data_of_their_own_are_numbered_in_the_order_of_their_names():
    found = gather(make_nodes("lyon", "bonn"))
    assert found.places == ("bonn", "lyon")
    assert found.find_nodes([0, 1], {0, 1}) == {0: 1, 1: 0}


def test_sites_that_name_a_client_of_the_split_have_its_place_and_others_fill_the_rest():
    sites = [roll.Presence(name="a", client=2), roll.Presence(name="b"), roll.Presence(name="c", client=0)]
    assert roll.assign_places(sites, num_clients=3) == ("c", "b", "a")


@pytest.mark.parametrize(
    ("clients", "message"),
    [
        ([1, 1], "every client of the split is one site"),
        ([0, 2], "every client of the split is one site"),
        ([0, 1, -1], "as many sites as clients"),
    ],
)
def test_sites_that_do_not_fit_together_are_refused(clients, message):
    sites = [roll.Presence(name=f"site-{place}", client=client) for place, client in enumerate(clients)]
    with pytest.raises(InputError, match=message):
        roll.assign_places(sites, num_clients=2)


def test_two_sites_of_one_name_are_refused():
    with pytest.raises(InputError, match="sites have different names"):
        gather(make_nodes("bonn", "bonn"))


def test_a_site_with_another_version_of_limbeck_is_named_with_both_versions():
    nodes = {**make_nodes("bonn"), 9: make_node(roll.Presence(name="lyon", version="0.0.9"))}
    with pytest.raises(
        InputError, match=f"`lyon` is not: it runs limbeck 0.0.9 and the server {limbeck.__version__}"
    ):
        gather(nodes)


def test_a_site_that_cannot_load_limbeck_is_told_what_to_install():
    lacking = lambda message: grids.fail(message, code=LOAD_FAILED, reason="No module named 'limbeck'")  # noqa: E731
    with pytest.raises(
        InputError, match=r"`node 9` is not: .*No module named 'limbeck'.*Install `limbeck\[flower\]`"
    ):
        gather({**make_nodes("bonn"), 9: lacking})


def test_another_app_than_limbecks_is_refused():
    foreign = lambda message: flwr_app.Message(flwr_app.RecordDict(), reply_to=message)  # noqa: E731
    with pytest.raises(InputError, match="`node 9` is not: its app is not limbeck's"):
        gather({**make_nodes("bonn"), 9: foreign})


def test_a_site_without_a_file_says_what_is_wrong_with_it(tmp_path):
    lost = grids.make_site_node({"site": str(tmp_path / "site.yaml")})
    with pytest.raises(InputError, match=r"site\.yaml` must be a readable YAML file"):
        gather({**make_nodes("bonn"), 9: lost})


def test_a_new_run_waits_for_all_its_sites_and_says_who_came():
    with pytest.raises(RunError, match=r"within `reply_seconds`, but in 0.6 s 1 of 2 came \(bonn\)"):
        gather(make_nodes("bonn"))


def test_a_run_that_goes_on_does_without_a_site_that_is_not_there_if_enough_are():
    found = gather(make_nodes("lyon"), places=("bonn", "lyon"), late_seconds=0.0)
    assert found.places == ("bonn", "lyon")
    assert found.find_nodes([0, 1], {0}) == {1: 0}


def test_a_run_that_goes_on_needs_min_replies_sites():
    with pytest.raises(RunError, match="1 of 2 came"):
        gather(make_nodes("lyon"), places=("bonn", "lyon"), num_needed=2, late_seconds=0.0)


def test_a_node_that_cannot_take_part_is_left_out_of_a_run_that_goes_on():
    foreign = lambda message: flwr_app.Message(flwr_app.RecordDict(), reply_to=message)  # noqa: E731
    said = []
    found = gather({**make_nodes("bonn", "lyon"), 9: foreign}, places=("bonn", "lyon"), say=said.append)
    assert (found.nodes, found.strangers) == ({"bonn": 0, "lyon": 1}, {9})
    assert said[0].startswith("`node 9` is left out: its app is not limbeck's")
    assert said[1:] == ["2 of 2 sites there"]


def test_a_site_that_cannot_take_part_is_left_out_of_a_run_that_goes_on_if_enough_are_there():
    nodes = {**make_nodes("bonn"), 9: make_node(roll.Presence(name="lyon", version="0.0.9"))}
    changes = {"places": ("bonn", "lyon"), "late_seconds": 0.0}
    said = []
    assert gather(nodes, say=said.append, **changes).nodes == {"bonn": 0}
    assert said[0].startswith("`lyon` is left out: it runs limbeck 0.0.9")
    with pytest.raises(RunError, match=r"1 of 2 came \(bonn\)"):
        gather(nodes, num_needed=2, **changes)


def test_a_stranger_is_asked_once_and_takes_no_part_in_a_run_that_goes_on():
    grid = grids.LoopbackGrid(make_nodes("lyon", "bonn", "rome"))
    roll_call = roll.RollCall(grid)
    found = roll.gather(roll_call, places=("bonn", "lyon"), num_clients=2, num_needed=2, seconds=0.6)
    assert found.strangers == {2}
    assert roll.meet_strangers(roll_call, found, {0, 1, 2}) == found
    assert len(grid.received) == 3


def test_a_silent_node_is_waited_for_once_and_heard_when_it_answers():
    grid = grids.LoopbackGrid(make_nodes("bonn"), num_early=2)
    roll_call, met = roll.RollCall(grid), roll.Roll(places=("bonn",))
    found = [roll.meet_strangers(roll_call, met, {0}, seconds=seconds).nodes for seconds in (0.0, 60.0, 60.0)]
    assert found == [{}, {}, {"bonn": 0}]
    assert len(grid.received) == 1


def test_a_silent_node_that_was_gone_is_waited_for_again():
    roll_call = roll.RollCall(grids.LoopbackGrid(make_nodes("bonn"), num_early=3))
    assert roll_call.ask({0}, seconds=0.0) == {}
    assert roll_call.ask((), seconds=60.0) == {}
    assert list(roll_call.ask({0}, seconds=60.0)) == [0]
