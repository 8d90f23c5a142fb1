"""A Gradio interface."""

import gradio as gr


def greet(name):
    return f"Hello, {name}!"


with gr.Blocks() as demo:
    name = gr.Textbox(label="name")
    answer = gr.Textbox(label="answer")
    gr.Button("greet").click(greet, name, answer, api_name="greet")

app = gr.routes.App.create_app(demo)
