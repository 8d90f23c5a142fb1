"""A Gradio interface."""

import gradio as gr
from fastapi import FastAPI


def greet(name):
    return f"Hello, {name}!"


with gr.Blocks() as demo:
    name = gr.Textbox(label="name")
    answer = gr.Textbox(label="answer")
    gr.Button("greet").click(greet, name, answer, api_name="greet")

app = gr.mount_gradio_app(FastAPI(), demo, path="/")

if __name__ == "__main__":
    demo.launch()
