#!/usr/bin/env python3
"""A Holdline worker in plain Python 3, standard library only.

It does two kinds of jobs: `story` repeats a text word by word, `tone` plays a sine as PCM audio. Replace `story` and
`tone` by your own work; everything below them is how a worker behaves (docs/protocol.md, section 6).

    HOLDLINE_WORKER_TYPES=story,tone npm start
    export HOLDLINE_WORKER_TOKEN=$(holdline token worker --name example)
    python3 examples/worker.py
"""
import http.client
import json
import math
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
import urllib.parse

SERVER = urllib.parse.urlsplit(os.environ.get("HOLDLINE_URL", "http://127.0.0.1:8787"))
TOKEN = os.environ.get("HOLDLINE_WORKER_TOKEN", "")
NAME = os.environ.get("HOLDLINE_WORKER_NAME", f"python-{socket.gethostname()}-{os.getpid()}")
JOBS_AT_A_TIME = int(os.environ.get("HOLDLINE_WORKER_JOBS", "4"))
HEARTBEAT_SECONDS = 10
AGAIN_SECONDS = 0.5


# The work ----------------------------------------------------------------------------------------------------------


def story(run):
    """{"text": "…", "pauseMs": 50} → the same text, a word at a time."""
    words = run.input["text"].split(" ")
    for number, word in enumerate(words):
        run.text(("" if number == 0 else " ") + word)
        run.pause(run.input.get("pauseMs", 50) / 1000)
    return {"words": len(words)}


def tone(run):
    """{"hz": 440, "ms": 1000} → that tone, a tenth of a second at a time."""
    rate, hz, total = 16000, run.input.get("hz", 440), run.input.get("ms", 1000) * 16
    run.item("output.audio.format", {"codec": "pcm_s16le", "sampleRate": rate, "channels": 1})
    for start in range(0, total, 1600):
        samples = range(start, min(start + 1600, total))
        run.audio(b"".join(struct.pack("<h", int(12000 * math.sin(math.tau * hz * n / rate))) for n in samples))
        run.progress = {"ratio": min(1, (start + 1600) / total)}
        run.pause(run.input.get("pauseMs", 0) / 1000)
    return {"samples": total}


WORK = {"story": story, "tone": tone}


# How a worker talks to the server ----------------------------------------------------------------------------------


class Stopped(Exception):
    """The run is to end: `cancel` and `release` are told to the server, `lost` is not."""


class Ending(Exception):
    """Somebody wants this program to end. Raised in the main thread, so that it hangs up on a poll that waits."""


class Refused(Exception):
    """The server said no, and would say it again."""

    def __init__(self, status, problem):
        super().__init__(f"{status} {problem.get('code')}: {problem.get('detail')}")
        self.status, self.problem = status, problem


def connect():
    secure = SERVER.scheme == "https"
    return (http.client.HTTPSConnection if secure else http.client.HTTPConnection)(SERVER.netloc, timeout=45)


def read(response):
    """The JSON of a good answer, {} for none. A server that is busy or ends counts as one that is not there."""
    text = response.read()
    body = json.loads(text) if text else {}
    if response.status >= 500 or response.status == 429:
        raise ConnectionError(f"{response.status} {body.get('code')}")
    if response.status >= 400:
        raise Refused(response.status, body)
    return body


def call(path, body, lease=None):
    """One call, said again until it is answered: every call of a worker may be repeated."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    if lease:
        headers["Holdline-Lease"] = lease
    while True:
        connection = connect()
        try:
            connection.request("POST", f"/v1/worker/{path}", json.dumps(body), headers)
            return read(connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            log(f"the server does not answer ({error}), once more")
            time.sleep(AGAIN_SECONDS)
        finally:
            connection.close()


class Run:
    """One run of one job: its output goes out in one long request, a line for each item."""

    def __init__(self, job):
        self.job, self.input, self.lease = job, job["input"], job["leaseToken"]
        self.lines = []  # every item of this run, so that what may have been lost can be said again
        self.taken = 0  # of these the server has told that it has them
        self.stream = None
        self.stop_reason = None
        self.stopped = threading.Event()
        self.progress = None

    def stop(self, reason):
        self.stop_reason = self.stop_reason or reason
        self.stopped.set()

    def pause(self, seconds):
        """Waits, and is where a run notices that it is to stop."""
        if self.stopped.wait(seconds):
            raise Stopped(self.stop_reason)

    def text(self, delta, index=0):
        self.item("output.text", {"delta": delta, "index": index})

    def audio(self, chunk):
        """A chunk as bytes: a request of its own, and one item like any other."""
        self.finish()
        headers = {"Content-Type": "audio/pcm", "Content-Length": str(len(chunk))}
        while True:
            try:
                connection = self.open(headers)
                connection.send(chunk)
                self.answer(connection)
                self.lines.append(None)
                return
            except (OSError, http.client.HTTPException):
                self.pause(AGAIN_SECONDS)

    def item(self, kind, data):
        self.pause(0)
        self.lines.append(json.dumps({"kind": kind, "data": data}).encode() + b"\n")
        try:
            if self.stream and select.select([self.stream.sock], [], [], 0)[0]:
                self.stream, stream = None, self.stream  # it answers before the end: it has something to say
                self.answer(stream)
            if self.stream:
                self.send(self.lines[-1:])
                return
        except (OSError, http.client.HTTPException):
            self.stream = None
        self.resume()

    def resume(self):
        """Opens the stream anew and says everything again that the server may not have; it passes over what it has."""
        while True:
            try:
                self.stream = self.open({"Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked"})
                self.send(self.lines[self.taken :])
                return
            except (OSError, http.client.HTTPException):
                self.stream = None
                self.pause(AGAIN_SECONDS)

    def open(self, headers):
        connection = connect()
        connection.putrequest("POST", f"/v1/worker/jobs/{self.job['id']}/output")
        own = {"Authorization": f"Bearer {TOKEN}", "Holdline-Lease": self.lease, "Holdline-Item": str(self.taken)}
        for name, value in {**own, **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection

    def send(self, lines):
        for line in lines:
            self.stream.send(b"%x\r\n%s\r\n" % (len(line), line))

    def answer(self, connection):
        try:
            self.taken = read(connection.getresponse())["next"]
        except Refused as refused:
            raise Stopped("lost") if refused.problem.get("code") == "lease_lost" else refused
        finally:
            connection.close()

    def finish(self):
        """All that was said is stored when this returns."""
        while self.taken < len(self.lines):
            try:
                if self.stream is None:
                    self.resume()
                self.stream.send(b"0\r\n\r\n")
                self.stream, stream = None, self.stream
                self.answer(stream)
            except (OSError, http.client.HTTPException):
                self.stream = None
                self.pause(AGAIN_SECONDS)

    def end(self, how, body):
        if self.stream:
            self.stream.close()
        try:
            answer = call(f"jobs/{self.job['id']}/{how}", body, self.lease)
            log(f"{self.job['id']}: {how}, now {answer['status']}")
        except Refused as refused:
            log(f"{self.job['id']}: {refused}")

    def work(self):
        try:
            result = WORK[self.job["type"]](self)
            self.finish()
            self.end("complete", {"result": result})
        except Stopped as stopped:
            if str(stopped) == "lost":
                log(f"{self.job['id']}: the lease is lost")
            else:
                self.end("release", {})
        except Refused as refused:
            self.end("fail", {"code": "refused", "message": str(refused), "retryable": False})
        except Exception as error:  # whatever the work throws is the job's error
            self.end("fail", {"code": type(error).__name__, "message": "The worker failed."})
            raise


# The worker --------------------------------------------------------------------------------------------------------


class Worker:
    def __init__(self):
        self.runs = {}
        self.lock = threading.Lock()
        self.beat_now = threading.Event()

    def heartbeats(self):
        """Beside everything else, streamed bodies too: this is how leases live and how a cancel arrives."""
        while True:
            self.beat_now.wait(HEARTBEAT_SECONDS)
            self.beat_now.clear()
            with self.lock:
                runs = list(self.runs.values())
            if runs:
                self.heartbeat(runs)

    def heartbeat(self, runs):
        leases = [
            {"job": run.job["id"], "leaseToken": run.lease, **({"progress": run.progress} if run.progress else {})}
            for run in runs
        ]
        answer = call("heartbeat", {"worker": NAME, "leases": leases})
        for run, lease in zip(runs, answer["leases"]):
            if lease["status"] != "ok":
                run.stop(lease["status"])
        self.obey(answer["control"])

    def obey(self, control):
        if control == "terminate":
            for run in list(self.runs.values()):
                run.stop("release")
        return control

    def start(self, job):
        run = Run(job)

        def work():
            try:
                run.work()
            finally:
                with self.lock:
                    del self.runs[job["id"]]

        with self.lock:
            self.runs[job["id"]] = run
        threading.Thread(target=work, daemon=True).start()

    def serve(self):
        threading.Thread(target=self.heartbeats, daemon=True).start()
        log(f"{NAME} serves {', '.join(WORK)}")
        while True:
            free = JOBS_AT_A_TIME - len(self.runs)
            if free == 0:
                time.sleep(0.05)
                continue
            wish = {"worker": NAME, "types": list(WORK), "max": free, "waitMs": 30000}
            answer = call("lease", wish)
            for job in answer.get("jobs", []):
                self.start(job)
            if answer.get("jobs"):
                self.beat_now.set()  # at once: a lease that nobody is heard of for 5 s goes back
            if self.obey(answer.get("control", "run")) != "run":
                time.sleep(2)  # it drains: give it time to be replaced


def log(text):
    print(text, file=sys.stderr, flush=True)


def main():
    if not TOKEN:
        sys.exit("Set HOLDLINE_WORKER_TOKEN; `holdline token worker` makes one.")
    worker = Worker()

    def end(*_):
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, signal.SIG_DFL)  # the second time it ends at once
        raise Ending

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        worker.serve()
    except Ending:
        log("ending: the jobs are given back")
        for run in list(worker.runs.values()):
            run.stop("release")
        while worker.runs:
            time.sleep(0.02)
    except Refused as refused:
        sys.exit(f"The server does not let this worker work: {refused}")


if __name__ == "__main__":
    main()
