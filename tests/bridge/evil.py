"""Messages from which tests of send() start, and objects that call the test wherever the core reads them."""

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = (b"content-length", b"2")


class Evil:
    """Calls a function of the test wherever the core reads it."""

    def __init__(self, act):
        self.act = act

    def __index__(self):
        self.act()
        return 200

    def __bool__(self):
        self.act()
        return False

    def __iter__(self):
        self.act()
        return iter([(b"content-length", b"2")])

    def __length_hint__(self):
        self.act()
        return 1

    def __repr__(self):
        self.act()
        return "evil"


class EvilBytes(bytes):
    act = None

    def __repr__(self):
        self.act()
        return "evil"


def fail():
    raise ZeroDivisionError


def start(**items):
    return {"type": "http.response.start", "status": 200, **items}


def body(**items):
    return {"type": "http.response.body", **items}
