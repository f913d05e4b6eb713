"""The Flower app: what `flwr run` starts at the SuperLink, and what every SuperNode starts for a message."""

from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from limbeck.federate.flower.server_app import serve
from limbeck.federate.flower.site_app import answer, introduce

server_app = ServerApp()
client_app = ClientApp()


@server_app.main()
def run_server(grid: Grid, context: Context) -> None:
    """Run the federation that the run config names."""
    serve(grid, context.run_config)


@client_app.query()
def say_who(message: Message, context: Context) -> Message:
    """Answer the roll."""
    return Message(introduce(context.node_config).to_record(), reply_to=message)


@client_app.train()
def do_task(message: Message, context: Context) -> Message:
    """Do what a message asks."""
    record = answer(message.content, context.node_config, seconds=message.metadata.ttl)
    return Message(record, reply_to=message)
