"""What a site's app does about a message: look whether it is new, answer it, remember, reply.

The app's process ends with every message. What stays is in the site's folder, per run: the server's terms,
what the client remembers, and the marks of the last message.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch
from flwr.app import RecordDict
from pydantic import ValidationError

from limbeck.core.errors import InputError, RunError, describe_error, require
from limbeck.core.files import write_text
from limbeck.engine.layout import use_threads
from limbeck.federate.assembly import Terms, make_site_client
from limbeck.federate.client import Client
from limbeck.federate.flower.envelope import Marks, unwrap, wrap
from limbeck.federate.flower.roll import NO_CLIENT, Presence
from limbeck.federate.flower.run_file import hold_folder
from limbeck.federate.messages import FAILED, Message, decode, encode
from limbeck.federate.site import HELLO, remember, reply_to
from limbeck.federate.spec import FederateSpec, SitePart, load_site

RUNS_FOLDER, TERMS_FILE, LAST_FILE = "runs", "terms.json", "last-message.json"
RUN_KEY = re.compile(r"[0-9a-f]{32}")

NodeConfig = Mapping[str, Any]


def find_site(node_config: NodeConfig) -> SitePart:
    """The site that a node is, from its `--node-config`.

    Args:
        node_config: `site`, the path of a site's file; or for trials `client`, the index of a client of the
            spec's split, and `folder`, where it keeps what stays with it.

    Raises:
        InputError: When it says neither, or the file is not valid.
    """
    if "site" in node_config:
        return load_site(Path(node_config["site"]))
    require(
        {"client", "folder"} <= node_config.keys(),
        "a SuperNode's --node-config has `site`, or `client` and `folder`",
        ", ".join(node_config) or "none",
        "`limbeck federate --new-site FOLDER` prints the command that starts one.",
    )
    client, folder = int(node_config["client"]), Path(node_config["folder"])
    return SitePart(name=f"client-{client}", folder=folder, client=client)


def introduce(node_config: NodeConfig) -> Presence:
    """What the node says when the roll is called."""
    try:
        site = find_site(node_config)
    except (InputError, ValueError) as error:
        return Presence(name=str(node_config.get("site", "a node without a site")), fault=str(error))
    return Presence(name=site.name, client=NO_CLIENT if site.client is None else site.client)


def answer(record: RecordDict, node_config: NodeConfig, *, seconds: float) -> RecordDict:
    """What the site replies to a message.

    Args:
        record: The message as Flower carried it.
        node_config: The node's.
        seconds: How long to wait for an earlier message to be done with.

    Raises:
        InputError: When it is none of limbeck's messages, or the node is no site.
        RunError: When an earlier message is not done with in time.
    """
    content, marks = unwrap(record)
    site = find_site(node_config)
    require(
        RUN_KEY.fullmatch(marks.run) is not None,
        "a run's key is 32 hexadecimal digits",
        repr(marks.run),
        "Let the server run the same version.",
    )
    folder = site.folder / RUNS_FOLDER / marks.run
    request = decode(content)
    with hold_folder(folder, seconds=seconds):
        reply = _answer_in(folder, site, request, marks)
    return wrap(encode(reply), marks)


def _answer_in(folder: Path, site: SitePart, request: Message, marks: Marks) -> Message:
    try:
        _require_new(folder, marks)
        client = _make_client(folder, site, request, marks.client)
        with use_threads(1, torch.device("cpu")):
            reply, kept = reply_to(client, request)
        remember(client, kept, round_number=reply.round)
        write_text(folder / LAST_FILE, json.dumps(astuple(marks)[1:]))
    except (InputError, RunError) as error:
        return Message(task=FAILED, round=request.round, facts={"reason": str(error)})
    return reply


def _require_new(folder: Path, marks: Marks) -> None:
    """Refuse a message sent before the last one answered; the last one itself is answered again, equally."""
    path = folder / LAST_FILE
    last = json.loads(path.read_text()) if path.exists() else [0, 0, marks.client]
    require(
        last[:2] <= [marks.session, marks.step],
        "messages are answered in the order they were sent",
        f"message {marks.step} of session {marks.session} after {last[1]} of session {last[0]}",
        "Nothing is to be done: it was sent before the server was started anew, or came too late.",
    )


def _make_client(folder: Path, site: SitePart, request: Message, index: int) -> Client:
    """The client that the site is in this run."""
    if request.task == HELLO:
        write_text(folder / TERMS_FILE, json.dumps(request.facts["terms"]))
    path = folder / TERMS_FILE
    require(
        path.exists(),
        "the site has heard the server's terms",
        f"none in `{folder}`",
        "Bring that folder back, or begin a new run: remove the run's folder at the server.",
    )
    terms = json.loads(path.read_text())
    try:
        spec = FederateSpec.model_validate(terms.pop("spec"))
    except ValidationError as error:
        raise InputError(
            f"the server's spec must be one of this version, but: {describe_error(error)}. Install that one."
        ) from error
    return make_site_client(site.model_copy(update={"folder": folder}), index, _make_terms(terms), spec)


def _make_terms(content: Mapping[str, Any]) -> Terms:
    """Terms as JSON gives them back, with lists for tuples."""
    tuples = {name: tuple(value) for name, value in content.items() if isinstance(value, list)}
    return Terms(**{**content, **tuples})
