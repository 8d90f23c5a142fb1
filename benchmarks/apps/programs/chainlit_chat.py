"""What the Chainlit chat answers."""

import chainlit


@chainlit.on_message
async def echo(message):
    await chainlit.Message(content=message.content).send()
