"""A small FastAPI app, for measuring the floor and the server's share."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def root():
    return {"message": "Hello, world!"}
