"""A Kubernetes API server, asked through `kubectl proxy`."""

import http.client
import json
import os
import re
import subprocess
import sys


class Server:
    """One keep-alive connection; as a context manager it starts and ends its proxy."""

    def __init__(self, kubectl):
        self.kubectl = kubectl
        self.requests = 0

    def __enter__(self):
        command = [self.kubectl, "proxy", "--port=0"]
        # What it says of single requests is in their answers, too.
        self.proxy = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        greeting = self.proxy.stdout.readline()
        address = re.search(r"127\.0\.0\.1:(\d+)", greeting)
        if not address:
            sys.exit(f"defaults: `{' '.join(command)}` names no port; is KUBECONFIG set?")
        self.connection = http.client.HTTPConnection("127.0.0.1", int(address[1]))
        return self

    def __exit__(self, *_):
        self.connection.close()
        self.proxy.terminate()
        self.proxy.wait()

    def get(self, path):
        status, answer = self.ask("GET", path, None)
        if status != 200:
            sys.exit(f"defaults: GET `{path}` answered {status}: {answer.get('message')}")
        return answer

    def dry_run_create(self, path, value):
        """The object as admitted, or None and the server's words where it is refused."""
        status, answer = self.ask("POST", f"{path}?dryRun=All&fieldValidation=Ignore", value)
        return (answer, None) if status == 201 else (None, f"{status} {answer.get('message')}")

    def ask(self, method, path, body):
        self.requests += 1
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self.connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
        response = self.connection.getresponse()
        text = response.read()
        try:
            return response.status, json.loads(text)
        except ValueError:  # validation of a malformed object can panic, and the proxy then answers in plain text
            return response.status, {"message": text.decode(errors="replace")}


def read_manifests(kubectl, path):
    """Every object of a file or folder, as kubectl reads it; nothing is sent."""
    command = [kubectl, "patch", "--local", "--type", "merge", "-p", "{}", "-o", "json", "-R", "-f", path]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    if run.returncode != 0:
        sys.exit(f"defaults: kubectl cannot read `{path}`")
    decoder, text, objects = json.JSONDecoder(), run.stdout, []
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        objects.append(value)
        text = text[end:]
    return objects
