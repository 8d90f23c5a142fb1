"""What kind of app it is, by the arguments that a call takes: of ASGI 3, of ASGI 2 or of WSGI."""

from types import FunctionType, MemberDescriptorType, MethodType

from ..errors import AppError

WSGI_SERVER = "gunicorn -k gthread"
CO_VARARGS = 0x04  # of inspect, which is large to import


def check(app, target):
    """AppError: a call with the three arguments of ASGI 3 would fail."""
    least, most, _ = arguments(app)
    if least <= 2 <= most < 3:
        raise AppError(f'app "{target}" ({kind(app)}) {of_wsgi(app)}')
    if least <= 1 <= most < 3:
        raise AppError(
            f'app "{target}" ({kind(app)}) takes one argument, as ASGI 2 apps do, and saltare serves ASGI 3 apps: '
            "asgiref.compatibility.guarantee_single_callable(app) converts it"
        )


def of_wsgi(app):
    wrap = "wrap it, as in a2wsgi.WSGIMiddleware(app) or asgiref.wsgi.WsgiToAsgi(app)"
    advice = "name the app in asgi.py" if type(app).__module__.startswith("django.") else wrap
    return f"takes two arguments, as WSGI apps do, and saltare serves ASGI apps: {advice}, or serve it by {WSGI_SERVER}"


def kind(app):
    return type(app).__name__ if not is_a(app, type) else f"the class {app.__name__}"


def arguments(one, unwrap=False):
    """(least, most, names) of positional arguments that a call takes; as good as any if that is not known.

    `unwrap`: those of the function that a decorator has wrapped. The decorator may have changed them.
    """
    call, bound = one, is_a(one, MethodType)
    if is_a(one, type):
        made = next(vars(each) for each in one.__mro__ if {"__init__", "__new__"} & vars(each).keys())
        call, bound = None if "__new__" in made else made["__init__"], True
    elif not is_a(one, (FunctionType, MethodType)):
        call = next((vars(each)["__call__"] for each in type(one).__mro__ if "__call__" in vars(each)), None)
        bound = isinstance(call, FunctionType)
        if isinstance(call, MemberDescriptorType):  # of __slots__
            call = call.__get__(one)
            bound = isinstance(call, MethodType)
    while unwrap and isinstance(call, FunctionType) and hasattr(call, "__wrapped__"):
        call = call.__wrapped__
    code = getattr(call, "__code__", None)
    if code is None:
        return 0, float("inf"), ()
    names = code.co_varnames[: code.co_argcount]
    names = names[1:] if bound or names[:1] == ("self",) else names
    least = len(names) - len(getattr(call, "__defaults__", None) or ())
    return least, float("inf") if code.co_flags & CO_VARARGS else len(names), names


def is_a(one, kind):
    """isinstance(), but without `__class__`, which a proxy computes."""
    return issubclass(type(one), kind)
