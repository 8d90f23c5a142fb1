"""A Django project in one module, under ASGI: sync and async views, streams, uploads, errors."""

import asyncio
import hashlib
import tempfile
import threading
from pathlib import Path

import django
from django.conf import settings
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse

EVENTS = []

if not settings.configured:
    settings.configure(
        SECRET_KEY="for tests alone",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            f"{__name__}.sync_middleware",
            f"{__name__}.async_middleware",
        ],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        FILE_UPLOAD_MAX_MEMORY_SIZE=100_000,
        DATA_UPLOAD_MAX_MEMORY_SIZE=1_000_000,
        LOGGING_CONFIG=None,
    )
    django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils.decorators import async_only_middleware, sync_only_middleware  # noqa: E402


@sync_only_middleware
def sync_middleware(get_response):
    def middleware(request):
        response = get_response(request)
        response["X-Sync"] = "1"
        return response

    return middleware


@async_only_middleware
def async_middleware(get_response):
    async def middleware(request):
        response = await get_response(request)
        response["X-Async"] = "1"
        return response

    return middleware


def describe(request, **more):
    return JsonResponse(
        {
            "method": request.method,
            "path": request.path,
            "query": request.GET.dict(),
            "host": request.get_host(),
            "agent": request.headers.get("user-agent"),
            "peer": request.META["REMOTE_ADDR"],
            "port": request.META["SERVER_PORT"],
            "length": len(request.body),
            **more,
        }
    )


def sync_view(request):
    return describe(request, thread=threading.current_thread() is not threading.main_thread())


async def async_view(request, name):
    await asyncio.sleep(0.001)
    return describe(request, name=name, loop=type(asyncio.get_running_loop()).__name__)


async def async_stream(request):
    async def lines():
        for number in range(200):
            yield f"{number}\n"
            await asyncio.sleep(0)

    return StreamingHttpResponse(lines(), content_type="text/plain")


async def endless(request):
    async def ticks():
        try:
            while True:
                yield b"data: tick\n\n"
                await asyncio.sleep(0.005)
        finally:
            EVENTS.append("stream over")

    return StreamingHttpResponse(ticks(), content_type="text/event-stream")


async def wait(request):
    EVENTS.append("waiting")
    try:
        await asyncio.sleep(20)
    except asyncio.CancelledError:
        EVENTS.append("cancelled")
        raise
    return HttpResponse("waited")


def upload(request):
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for piece in file.chunks():
        digest.update(piece)
    return JsonResponse(
        {"name": file.name, "size": file.size, "sha256": digest.hexdigest(), "note": request.POST["note"]}
    )


def download(request):
    file = tempfile.TemporaryFile()
    file.write(Path(__file__).read_bytes() * 50)
    file.seek(0)
    return FileResponse(file, as_attachment=True, filename="download.bin")


def session(request):
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(request.session["count"])


def fails(request):
    raise RuntimeError("failed in the view")


urlpatterns = [
    path("sync/", sync_view),
    path("async/<str:name>/", async_view),
    path("stream/", async_stream),
    path("endless/", endless),
    path("wait/", wait),
    path("upload/", upload),
    path("download/", download),
    path("session/", session),
    path("fails/", fails),
]

app = get_asgi_application()
