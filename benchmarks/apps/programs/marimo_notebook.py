"""A marimo notebook of one cell."""

import marimo

app = marimo.App()


@app.cell
def hello():
    import marimo as mo

    mo.md("Hello")
    return (mo,)


if __name__ == "__main__":
    app.run()
