"""Crawls a site with a pool of threads and connections that are kept open, and prints how many pages it has."""

import http.client
import sys
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

start, workers = sys.argv[1], int(sys.argv[2])
host = urlsplit(start).netloc
local = threading.local()


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attributes):
        if tag == "a":
            self.links += [value for name, value in attributes if name == "href" and value]


def fetch(url):
    if not hasattr(local, "connection"):
        local.connection = http.client.HTTPConnection(host, timeout=30)
    local.connection.request("GET", urlsplit(url).path)
    answer = local.connection.getresponse()
    body = answer.read()
    parser = Links()
    if answer.status == 200:
        parser.feed(body.decode())
    return [urldefrag(urljoin(url, link)).url for link in parser.links]


seen, out = {start}, set()
with ThreadPoolExecutor(workers) as pool:
    out.add(pool.submit(fetch, start))
    while out:
        done, out = wait(out, return_when=FIRST_COMPLETED)
        for url in (url for task in done for url in task.result()):
            if urlsplit(url).netloc == host and url not in seen:
                seen.add(url)
                out.add(pool.submit(fetch, url))
print(len(seen))
