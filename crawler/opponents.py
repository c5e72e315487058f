#!/usr/bin/env python3
"""Runs selvedge-crawl and four other link checkers on three real documentation trees, and prints what each one found,
what it cost, and every difference in dead links, explained.

    crawler/opponents.py [--rounds N] [--trees git,python,postgresql] [--only ours,wget,...] [--no-lychee]

It installs what it needs: the trees, wget and GNU time from Debian, LinkChecker from PyPI into a venv,
linkinator from npm and lychee from crates.io, all three below target/opponents. It needs root only where a package
is missing. A tree is served from memory, over the loopback address, by one small server of this script, the same for all
checkers; it counts what it is asked. Only the tree itself is checked: links that lead out are left alone by every
checker, and no checker is told to look for `#parts`.

Each checker runs with its own default number of requests at a time and reads style sheets where it can. Two brakes are
taken off, since nobody needs to be polite to this server: LinkChecker's 10 requests a second (which without a header
from the server are about 3), and lychee's 50 ms between requests. lychee does not follow links from page to page, so it is given the list of all pages.

The trees have a dead link each, more or less, so one file in 25, by a hash of its name, is not served. What is served is
the truth: a link is dead if there is no file, and no folder with an index.html, that it names. Times are
taken in rounds, one run of each checker a round, and a ratio is the median over the rounds of the checker's time over
ours in the same round, so that a machine that is busy with other things is unfair to all alike. Memory is the largest
resident set of the process.
"""

import argparse
import collections
import csv
import glob
import html.parser
import io
import json
import multiprocessing
import os
import re
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import urllib.parse
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "target" / "opponents"
TREES = {
    "git": ("git-doc", "/usr/share/doc/git/html"),
    "python": ("python3-doc", "/usr/share/doc/python3/html"),
    "postgresql": ("postgresql-doc", "/usr/share/doc/postgresql-doc-*/html"),
}
# A checker that has not ended by then is stopped, and the table says so.
PATIENCE = 900

# ---------------------------------------------------------------------------------------------- the tree on the disk


class Links(html.parser.HTMLParser):
    """The links of a page, each with the element that it is on."""

    ATTRIBUTES = {
        "a": "href", "area": "href", "link": "href", "img": "src", "script": "src", "iframe": "src", "frame": "src",
        "embed": "src", "source": "src", "video": "src", "audio": "src", "track": "src", "object": "data",
    }

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        target = attributes.get(self.ATTRIBUTES.get(tag, ""))
        if target:
            rel = (attributes.get("rel") or "").strip().lower()
            self.found.append((f"link rel={rel}" if tag == "link" else tag, target))
        for style in (attributes.get("style"),):
            self.found += [("css", url) for url in css_urls(style or "")]


def css_urls(text):
    return [url.strip("'\" ") for url in re.findall(r"url\(([^)]*)\)", text)]


class Tree:
    """A folder of files, and the truth about its links."""

    # linkinator goes only to what begins as its start does, so that is the root for all.
    start = "/"

    def __init__(self, pattern, holes):
        self.folder = Path(sorted(glob.glob(pattern))[-1]).resolve()
        self.files = {}
        for path in sorted(self.folder.rglob("*")):
            name = "/" + path.relative_to(self.folder).as_posix()
            left_out = holes and name != "/index.html" and zlib.crc32(name.encode()) % holes == 0
            if path.is_file() and not left_out:
                self.files[name] = path.read_bytes()
        self.folders = {name[: -len("index.html")] for name in self.files if name.endswith("/index.html")}

    def lookup(self, path):
        """What the server answers: a status, a media type, a body, and a Location."""
        name = urllib.parse.unquote(urllib.parse.urlsplit(path).path)
        if name in self.folders:
            name += "index.html"
        if name in self.files:
            return 200, media_type(name), self.files[name], None
        if name + "/" in self.folders:
            return 301, "text/html", b"", name + "/"
        return 404, "text/html", b"not found", None

    def walk(self):
        """All pages that can be reached, and of each dead target the pages and elements that name it."""
        pages, dead = {self.start}, collections.defaultdict(set)
        waiting, seen = [self.start], {self.start}
        while waiting:
            here = waiting.pop()
            status, mime, body, moved = self.lookup(here)
            if moved:
                found = [("redirect", moved)]
            elif mime == "text/html":
                parser = Links()
                parser.feed(body.decode("utf-8", "replace"))
                found = parser.found
            else:
                found = [("css", url) for url in css_urls(body.decode("utf-8", "replace"))]
            for element, target in found:
                try:
                    target = urllib.parse.urljoin("http://tree" + here, target.strip())
                    url = urllib.parse.urlsplit(target)
                except ValueError:
                    continue
                if url.netloc != "tree" or url.scheme != "http":
                    continue
                path = spelled(url.path or "/", url.query)
                status, mime, _, moved = self.lookup(path)
                if status == 404:
                    dead[path].add((here, element))
                elif path not in seen and (mime in ("text/html", "text/css") or moved):
                    seen.add(path)
                    waiting.append(path)
                    if mime == "text/html" and not moved:
                        pages.add(path)
        return pages, dead


def media_type(name):
    kinds = {
        ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".png": "image/png", ".txt": "text/plain",
        ".svg": "image/svg+xml", ".gif": "image/gif", ".ico": "image/x-icon", ".xml": "application/xml",
    }
    return kinds.get(os.path.splitext(name)[1], "application/octet-stream")


def spelled(path, query=""):
    """One spelling of a path: unquoted, with its query."""
    return urllib.parse.unquote(path) + ("?" + query if query else "")


# ------------------------------------------------------------------------------------------------------- the server


class Connection:
    """A client's connection: what has come and was not answered, and what is still to be sent."""

    def __init__(self, stream):
        self.stream, self.held, self.out, self.closing = stream, b"", memoryview(b""), False


def serve(tree, control, ready):
    """Answers over HTTP/1.1 until the control pipe is closed. One thread for all connections: a thread for each would
    fight over the interpreter's lock, and so punish checkers with many requests at a time."""
    asked, answers, selector = [], {}, selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    selector.register(control, selectors.EVENT_READ)
    ready.send(listener.getsockname()[1])

    def answer(method, path):
        if (method, path) not in answers:
            status, mime, body, moved = tree.lookup(path)
            phrase = {200: "OK", 301: "Moved Permanently", 404: "Not Found"}[status]
            head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: {mime}\r\nContent-Length: {len(body)}\r\n"
            # LinkChecker lets nobody else take its brake off.
            head += "LinkChecker: as fast as you like\r\n"
            head += f"Location: {urllib.parse.quote(moved)}\r\n" if moved else ""
            whole = (head + "\r\n").encode() + (b"" if method == "HEAD" else body)
            answers[method, path] = status, mime, whole
        return answers[method, path]

    def go_on(client):
        """Sends what there is, answers what has come, and says whether the connection goes on."""
        while True:
            while client.out:
                try:
                    client.out = client.out[client.stream.send(client.out):]
                except BlockingIOError:
                    selector.modify(client.stream, selectors.EVENT_READ | selectors.EVENT_WRITE, client)
                    return True
            if client.closing:
                return False
            if b"\r\n\r\n" not in client.held:
                selector.modify(client.stream, selectors.EVENT_READ, client)
                return True
            head, client.held = client.held.split(b"\r\n\r\n", 1)
            method, path = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")[:2]
            path = re.sub(r"^https?://[^/]*", "", path) or "/"
            status, mime, whole = answer(method, path)
            asked.append((method, path, status, mime))
            client.out, client.closing = memoryview(whole), b"connection: close" in head.lower()

    def event(client, readable):
        try:
            if readable:
                more = client.stream.recv(1 << 16)
                client.held += more
                if not more:
                    return False
            return go_on(client)
        except OSError:
            return False  # a client that went away

    while True:
        for key, events in selector.select():
            if key.fileobj is control:
                try:
                    control.recv()
                except EOFError:
                    return
                control.send(asked)
                asked = []
            elif key.fileobj is listener:
                stream, _ = listener.accept()
                stream.setblocking(False)
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(stream, selectors.EVENT_READ, Connection(stream))
            elif not event(key.data, events & selectors.EVENT_READ):
                selector.unregister(key.fileobj)
                key.fileobj.close()


class Server:
    """The server, in a process of its own."""

    def __init__(self, tree):
        self.control, theirs = multiprocessing.Pipe()
        port, ready = multiprocessing.Pipe(duplex=False)
        multiprocessing.Process(target=serve, args=(tree, theirs, ready), daemon=True).start()
        self.origin = f"http://127.0.0.1:{port.recv()}"

    def asked(self):
        """What was asked since the last time."""
        self.control.send(None)
        return self.control.recv()


# -------------------------------------------------------------------------------------------------------- checkers
# Each has a command line and a way to read the dead targets out of what it wrote.


class Ours:
    name = "selvedge-crawl"

    def install(self):
        run(["cargo", "build", "--release", "--locked", "-p", "selvedge-crawl"], cwd=ROOT)

    def command(self, start, origin, pages, out):
        program = ROOT / "target" / "release" / "selvedge-crawl"
        return [program, start, "--assets", "--quiet", "--format", "json", "--output", out]

    def dead(self, out, printed, origin):
        report = json.loads(out.read_text())
        return [link["url"] for link in report["dead"]]

    def version(self):
        return subprocess.run([self.command("", "", [], "")[0], "--version"], capture_output=True, text=True).stdout


class Wget:
    name = "wget --spider"

    def install(self):
        debian("wget")

    def command(self, start, origin, pages, out):
        return ["wget", "--spider", "--recursive", "--level=inf", "--no-verbose", "--no-config", "--no-directories",
                "--page-requisites", start]

    def dead(self, out, printed, origin):
        # At the end: "Found 3 broken links." and a line for each.
        return [line.strip() for line in printed.split("broken link")[-1].splitlines() if line.startswith("http")]

    def version(self):
        return subprocess.run(["wget", "--version"], capture_output=True, text=True).stdout.splitlines()[0]


class LinkChecker:
    name = "LinkChecker"
    program = TOOLS / "linkchecker" / "bin" / "linkchecker"

    def install(self):
        if not self.program.exists():
            run([sys.executable, "-m", "venv", TOOLS / "linkchecker"])
            run([TOOLS / "linkchecker" / "bin" / "pip", "install", "--quiet", "linkchecker"])

    def command(self, start, origin, pages, out):
        # As root it goes on as nobody, which may not read a file of ours: a folder that everybody may.
        config = out.with_suffix(".rc")
        config.write_text("[checking]\nmaxrequestspersecond=1000000\n")
        out.parent.chmod(0o755)
        return [self.program, "--config", config, "--no-status", "--no-warnings", "--output", "csv/utf-8", start]

    def dead(self, out, printed, origin):
        lines = [line for line in printed.splitlines() if not line.startswith("#")]
        while lines and not lines[0].startswith("urlname;"):
            lines.pop(0)  # that it runs as nobody
        rows = csv.DictReader(io.StringIO("\n".join(lines)), delimiter=";")
        return [row["url"] or row["urlname"] for row in rows if row.get("valid") == "False"]

    def version(self):
        return subprocess.run([self.program, "--version"], capture_output=True, text=True).stdout.splitlines()[0]


class Linkinator:
    name = "linkinator"
    program = TOOLS / "linkinator" / "node_modules" / ".bin" / "linkinator"

    def install(self):
        if not self.program.exists():
            (TOOLS / "linkinator").mkdir(parents=True, exist_ok=True)
            (TOOLS / "linkinator" / "package.json").write_text('{"private": true}\n')
            run(["npm", "install", "--no-audit", "--no-fund", "linkinator"], cwd=TOOLS / "linkinator")

    def command(self, start, origin, pages, out):
        elsewhere = "^(?!" + re.escape(origin) + ")"
        return [self.program, start, "--recurse", "--check-css", "--skip", elsewhere, "--format", "json",
                "--verbosity", "error"]

    def dead(self, out, printed, origin):
        links = json.loads(printed[printed.index("{"):])["links"]
        return [link["url"] for link in links if link["state"] == "BROKEN"]

    def version(self):
        return "linkinator " + subprocess.run([self.program, "--version"], capture_output=True, text=True).stdout


class Lychee:
    name = "lychee"
    program = TOOLS / "lychee" / "bin" / "lychee"

    def install(self):
        if not self.program.exists():
            run(["cargo", "install", "--locked", "--root", TOOLS / "lychee", "lychee"],
                env=dict(os.environ, CARGO_NET_OFFLINE="false", CARGO_TARGET_DIR=TOOLS / "lychee-target"))

    def command(self, start, origin, pages, out):
        inputs = out.with_suffix(".urls")
        inputs.write_text("\n".join(origin + urllib.parse.quote(page) for page in sorted(pages)) + "\n")
        return [self.program, "--no-progress", "--format", "json", "--output", out, "--host-request-interval", "0ms",
                "--include", "^" + re.escape(origin), "--exclude", "^(?!" + re.escape(origin) + ")",
                "--files-from", inputs]

    def dead(self, out, printed, origin):
        report = json.loads(out.read_text())
        failed = report.get("error_map") or report.get("fail_map") or {}
        return [link["url"] for links in failed.values() for link in links]

    def version(self):
        return subprocess.run([self.program, "--version"], capture_output=True, text=True).stdout


CHECKERS = {"ours": Ours, "wget": Wget, "linkchecker": LinkChecker, "linkinator": Linkinator, "lychee": Lychee}


def run(command, **more):
    print("$", *command, file=sys.stderr)
    subprocess.run([str(word) for word in command], check=True, stdout=sys.stderr, **more)


def debian(*packages):
    """Installs packages that are not there."""
    def is_there(package):
        return subprocess.run(["dpkg", "-s", package], capture_output=True).returncode == 0
    missing = [package for package in packages if not is_there(package)]
    if missing:
        run(["apt-get", "update", "-q"])
        run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *missing])


class Run:
    """One run of one checker."""

    def __init__(self, checker, server, tree, pages):
        server.asked()
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out.json"
            command = checker.command(server.origin + tree.start, server.origin, pages, out)
            printed = Path(folder) / "printed"
            with printed.open("wb") as to:
                # A child of this process would count this process's memory as its own until it is replaced.
                timed = ["time", "--quiet", "--format", "%e %U %S %M", "--output", Path(folder) / "cost",
                         "timeout", "--signal", "KILL", PATIENCE, *command]
                ended = subprocess.run([str(word) for word in timed], stdout=to, stderr=subprocess.STDOUT,
                                       stdin=subprocess.DEVNULL, cwd=folder)
            cost = (Path(folder) / "cost").read_text().split()[-4:]
            self.seconds, user, system, kilobytes = (float(number) for number in cost)
            self.stopped = ended.returncode == 137
            self.cpu = user + system
            self.megabytes = kilobytes / 1024
            asked = server.asked()
            text = printed.read_text(errors="replace")
            try:
                self.dead = {relative(url, server.origin) for url in checker.dead(out, text, server.origin)}
            except (ValueError, KeyError, OSError) as error:
                sys.exit(f"{checker.name} wrote what this script cannot read ({error}):\n{text[-2000:]}")
        self.requests = len(asked)
        self.asked = {spelled(*urllib.parse.urlsplit(path)[2:4]) for _, path, _, _ in asked}
        self.pages = {spelled(urllib.parse.urlsplit(path).path) for method, path, status, mime in asked
                      if (method, status, mime) == ("GET", 200, "text/html")}


def relative(url, origin):
    """A target without its origin and its fragment; one that leads elsewhere as it is."""
    if not url.startswith(origin):
        return url
    parts = urllib.parse.urlsplit(url)
    return spelled(parts.path or "/", parts.query)


# --------------------------------------------------------------------------------------------------- the differences


def why_missed(target, found, run):
    """Why a checker does not report a target that is missing on the disk."""
    if {element for _, element in found} == {"link rel="}:
        return "only named by a `<link>` without `rel`, which by the HTML standard makes no link"
    elements = ", ".join(sorted({f"<{element}>" for _, element in found}))
    if target in run.asked:
        return f"dead, linked by {elements}: asked for, answered 404, not reported"
    linking = {page for page, _ in found}
    if not any(page in run.asked for page in linking):
        return f"dead, linked by {elements}: no page that links to it was asked for"
    return f"dead, linked by {elements}: never asked for"


def why_reported(target, tree, run):
    """Why a checker reports a target that the walk over the disk does not have among the dead."""
    if "://" in target:
        return "leads elsewhere, or is no URL (reported without a request)"
    status = tree.lookup(urllib.parse.quote(target, safe="/?=&"))[0]
    if status != 404:
        return "WRONG: it is on the disk"
    return "missing on the disk, in a place that the walk over the disk does not read"


def differences(tree, dead, runs):
    """For each checker the targets on which it and the disk differ, by the rule that explains them."""
    for name, one in runs.items():
        rules = collections.defaultdict(list)
        for target in sorted(set(dead) - one.dead):
            rules["missed", why_missed(target, dead[target], one)].append(target)
        for target in sorted(one.dead - set(dead)):
            rules["only here", why_reported(target, tree, one)].append(target)
        yield name, rules


# ------------------------------------------------------------------------------------------------------------- main


def compare(name, checkers, rounds, holes):
    package, pattern = TREES[name]
    tree = Tree(pattern, holes)
    pages, dead = tree.walk()
    server = Server(tree)
    print(f"\n### {package}: {len(pages)} pages, {len(dead)} dead targets\n", flush=True)
    runs = collections.defaultdict(list)
    for number in range(rounds):
        for checker in checkers:
            runs[checker.name].append(Run(checker, server, tree, pages))
            print(f"  {name} {number + 1} {checker.name}: {runs[checker.name][-1].seconds:.1f} s", file=sys.stderr)
    print("| | pages | requests | dead | of those missing | missing, not reported | s | CPU s | MB | "
          "pages/s | time over ours |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    ours = runs.get(Ours.name)
    for checker, those in runs.items():
        last = those[-1]
        seconds = statistics.median(one.seconds for one in those)
        ratio = statistics.median(a.seconds / b.seconds for a, b in zip(those, ours)) if ours else float("nan")
        stopped = f" (stopped after {PATIENCE} s)" if last.stopped else ""
        print(f"| {checker}{stopped} | {len(last.pages)} | {last.requests} | {len(last.dead)} | "
              f"{len(last.dead & set(dead))} | {len(set(dead) - last.dead)} | {seconds:.1f} | "
              f"{statistics.median(one.cpu for one in those):.1f} | {max(one.megabytes for one in those):.0f} | "
              f"{len(last.pages) / seconds:.0f} | {ratio:.1f} |")
    print("\n| checker | | why | targets | such as |\n|---|---|---|---|---|")
    for checker, rules in differences(tree, dead, {checker: those[-1] for checker, those in runs.items()}):
        for (kind, rule), targets in sorted(rules.items()):
            print(f"| {checker} | {kind} | {rule.replace('|', '')} | {len(targets)} | `{targets[0]}` |")
        missing = len(pages - runs[checker][-1].pages)
        if missing:
            print(f"| {checker} | pages not read | {missing} of {len(pages)} pages | {missing} | "
                  f"`{min(pages - runs[checker][-1].pages)}` |")
    sys.stdout.flush()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--holes", type=int, default=25, help="one file in so many is left out; 0: none")
    arguments.add_argument("--trees", default=",".join(TREES))
    arguments.add_argument("--only", default=",".join(CHECKERS))
    arguments.add_argument("--no-lychee", action="store_true", help="it takes some minutes to compile")
    asked = arguments.parse_args()
    names = [name for name in asked.only.split(",") if not (asked.no_lychee and name == "lychee")]
    TOOLS.mkdir(parents=True, exist_ok=True)
    checkers = [CHECKERS[name]() for name in names]
    for checker in checkers:
        checker.install()
        print(f"- {checker.version().strip()}")
    trees = asked.trees.split(",")
    debian("time", *(TREES[name][0] for name in trees))
    for name in trees:
        compare(name, checkers, asked.rounds, asked.holes)


if __name__ == "__main__":
    main()
