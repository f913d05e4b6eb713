"""A site answers each message once or equally, in the order of sending, and keeps the runs apart."""

import pytest
import torch

from limbeck import __version__
from limbeck.core.errors import InputError
from limbeck.federate.assembly import assemble
from limbeck.federate.client import OWN_MODEL
from limbeck.federate.messages import Message, decode, encode
from limbeck.federate.spec import FederateSpec

WHY = "Flower is not installed"
site_app = pytest.importorskip("limbeck.federate.flower.site_app", reason=WHY)
envelope = pytest.importorskip("limbeck.federate.flower.envelope", reason=WHY)

SPEC = FederateSpec.model_validate(
    {
        "name": "small",
        "data": {"source": "digits", "validation_samples": 100},
        "split": {"strategy": "uniform", "num_clients": 2, "train_samples": 100},
        "arch": "mlp",
        "rounds": 1,
        "local": {"epochs": 1, "batch_size": 32},
    }
)
RUN, OTHER_RUN = "0" * 32, "1" * 32
PRETRAIN = Message(task="pretrain", round=0, facts={"seed": 0, "training": SPEC.local.to_dict()})


@pytest.fixture(scope="module")
def hello():
    terms = assemble(SPEC).make_server(torch.device("cpu")).terms
    facts = {"version": __version__, "is_private": False, "terms": dict(terms)}
    return Message(task="hello", round=0, facts=facts)


@pytest.fixture
def ask(tmp_path):
    """A function that brings the site of client 1 a message and its reply back."""
    config = {"client": 1, "folder": str(tmp_path)}

    def ask(request, *, step, session=1, run=RUN):
        marks = envelope.Marks(run=run, session=session, step=step, client=1)
        content, answered = envelope.unwrap(
            site_app.answer(envelope.wrap(encode(request), marks), config, seconds=1.0)
        )
        assert answered == marks
        return decode(content)

    return ask


def test_a_site_says_who_it_is_and_does_what_it_is_asked(ask, hello, tmp_path):
    reply = ask(hello, step=1)
    assert (reply.facts["arch"], reply.facts["num_samples"]) == ("mlp", 50)
    assert ask(PRETRAIN, step=2) == Message(task="pretrain", round=0)
    kept = list((tmp_path / "runs" / RUN).rglob(f"{OWN_MODEL}-0.safetensors"))
    assert len(kept) == 1


def test_the_same_message_again_is_answered_equally(ask, hello):
    ask(hello, step=1)
    ask(PRETRAIN, step=2)
    request = Message(task="upload", round=0)
    assert encode(ask(request, step=3)) == encode(ask(request, step=3))


@pytest.mark.parametrize(("session", "step"), [(2, 4), (1, 9)])
def test_a_message_sent_before_the_last_one_answered_is_refused(session, step, ask, hello):
    ask(hello, step=5, session=2)
    reply = ask(hello, step=step, session=session)
    assert reply.task == "failed"
    assert "in the order they were sent" in reply.facts["reason"]


def test_what_is_kept_of_a_run_is_not_seen_in_another(ask, hello):
    ask(hello, step=1)
    ask(PRETRAIN, step=2)
    ask(hello, step=1, run=OTHER_RUN)
    reply = ask(Message(task="upload", round=0), step=2, run=OTHER_RUN)
    assert "has a model of its own" in reply.facts["reason"]


def test_a_site_that_lost_its_folder_says_so(ask):
    reply = ask(PRETRAIN, step=2)
    assert "the site has heard the server's terms" in reply.facts["reason"]


def test_a_run_is_no_path(ask, hello):
    with pytest.raises(InputError, match="32 hexadecimal digits"):
        ask(hello, step=1, run="../../etc")


@pytest.mark.parametrize("config", [{}, {"client": 1}, {"folder": "x"}])
def test_a_node_that_is_no_site_is_told_which_command_starts_one(config):
    with pytest.raises(InputError, match="`limbeck federate --new-site FOLDER`"):
        site_app.find_site(config)


def test_a_site_that_cannot_be_read_says_why_when_the_roll_is_called(tmp_path):
    (tmp_path / "site.yaml").write_text("name: bonn\nfolder: private\n")
    presence = site_app.introduce({"site": str(tmp_path / "site.yaml")})
    assert "either `client` or `source`" in presence.fault
