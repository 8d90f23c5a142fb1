"""README.md and docs/: links have a target, options exist, and quoted messages are those of the code."""

import re
from pathlib import Path

import pytest

from saltare.options import foreign, meanings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
TROUBLESHOOTING = ROOT / "docs/troubleshooting.md"
DOCUMENTS = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LINES = 200  # of the README

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9_-]*[a-z0-9]")
GAP = "…"  # where a quoted message varies
WORDS = 4  # consecutive words of a quoted message that must appear in the code

# Options in commands of other programs, or in our own commands that saltare --help does not list.
OTHERS = {
    "--listen",  # debugpy
    "--pid",  # py-spy
    "--haproxy-protocol",  # curl
    "--workloads",  # benchmarks/run.py
    *("--html", "--path", "--requests"),  # saltare memory
    "--json",  # saltare doctor
}


def anchors(path):
    """The anchors of a page's headings, as GitHub generates them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)", FENCE.sub("", path.read_text()), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w -]", "", text).replace(" ", "-"))
    return found


def dead(document, link):
    """Whether a relative link of the document has no target."""
    name, _, anchor = link.partition("#")
    target = document.parent / name if name else document
    return not target.exists() or (anchor != "" and anchor not in anchors(target))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    links = [link for link in LINK.findall(FENCE.sub("", document.read_text())) if "://" not in link]
    assert [link for link in links if dead(document, link)] == []


def test_every_document_is_linked_from_the_readme():
    links = {(ROOT / link.partition("#")[0]).resolve() for link in LINK.findall(README.read_text())}
    assert set(DOCUMENTS) - {README} - links == set()


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= LINES


@pytest.fixture
def accepted(command):
    """The options that saltare --help lists, other servers' spellings of them, and switches of theirs turned off."""
    theirs = {meanings.flag(name) for row in foreign.ROWS if foreign.is_spelling(row) for name in row.names}
    off = {f"--no{meanings.flag(name)[1:]}" for row in foreign.ROWS if row.takes != foreign.VALUE for name in row.names}
    return set(OPTION.findall(command("--help").stdout)) | theirs | off


def of_other_servers(text):
    """The options in the first column of the tables, where options of other servers are listed."""
    return {name for line in text.splitlines() if line.startswith("|") for name in OPTION.findall(line.split("|")[1])}


def test_options_exist(accepted):
    for document in DOCUMENTS:
        text = document.read_text()
        foreign = of_other_servers(text) if document.name == "migrating.md" else set()
        assert set(OPTION.findall(text)) - accepted - foreign - OTHERS == set(), document.name


def source():
    """The code as text, with adjacent string parts joined."""
    files = [*sorted((ROOT / "saltare").rglob("*.py")), *sorted((ROOT / "gocore").rglob("*.go"))]
    text = "\n".join(path.read_text() for path in files).replace('\\"', '"')
    return re.sub(r"\"\s*\n\s*f?\"", "", text)


def quoted(text):
    """The messages in the first column of the symptoms: text with a gap, or of several words."""
    for line in text.splitlines():
        if line.startswith("|"):
            for code in re.findall(r"`([^`]+)`", line.split(" | ")[0]):
                if GAP in code or len(code.split()) >= WORDS:
                    yield code


def stands_in(code, message):
    """Whether the code has WORDS consecutive words of the message, or all of its longest part."""
    words = max(message.split(GAP), key=len).strip(" ;:").split()
    runs = [words[start : start + WORDS] for start in range(max(1, len(words) - WORDS + 1))]
    return any(" ".join(run) in code for run in runs)


def test_quoted_messages_are_those_of_the_code():
    code = source()
    messages = list(quoted(TROUBLESHOOTING.read_text()))
    assert len(messages) > 30
    assert [message for message in messages if not stands_in(code, message)] == []
