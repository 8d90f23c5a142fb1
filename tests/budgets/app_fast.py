"""A small FastAPI app, of which the floor and the server's share are measured."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def root():
    return {"message": "Hello, world!"}
