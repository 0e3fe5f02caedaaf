"""What is posted, to whom, and what is done about answers. Waits are counted, not slept."""

from __future__ import annotations

import base64
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from webhook_receiver import receiving

from collector.audience.definition import AudienceError
from collector.audience.webhook import TRIES_MAX, Outcome, Webhook, post, secret_of, signature

SECRET = b"0123456789abcdef0123456789abcdef"
NOW_MS = 1_795_000_000_000


class Waits:
    """Instead of sleeping: what would have been waited, and whether to stop at one."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.seconds: list[float] = []
        self._stop_at = stop_at

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return len(self.seconds) == self._stop_at


def send(
    url: str,
    *,
    private: bool = False,
    waits: Waits | None = None,
    resolve: Callable[[str, int], list[str]] | None = None,
) -> Outcome:
    hook = Webhook(url, SECRET, private)
    return post(hook, "id-1", b'{"a":1}', now_ms=lambda: NOW_MS, wait=waits or Waits(), resolve=resolve)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification's own text."""
    secret = secret_of("env:AUDIENCE_S", {"AUDIENCE_S": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
    assert len(secret) == 24
    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_post_is_signed_and_names_itself() -> None:
    with receiving() as receiver:
        assert send(receiver.url, private=True) == Outcome(1)
        (got,) = receiver.got
    assert (got.path, got.body) == ("/hook?list=7", b'{"a":1}')
    assert got.headers["idempotency-key"] == got.headers["webhook-id"] == "id-1"
    assert got.headers["webhook-timestamp"] == "1795000000"
    assert got.headers["webhook-signature"] == signature(SECRET, "id-1", 1_795_000_000, b'{"a":1}')
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert got.headers["content-type"] == "application/json"


def test_what_may_be_taken_later_is_tried_again_ever_later_under_the_same_key() -> None:
    waits = Waits()
    with receiving() as receiver:
        receiver.answers = [(503, {}), (429, {"Retry-After": "7"}), (500, {"Retry-After": "9999"})]
        assert send(receiver.url, private=True, waits=waits) == Outcome(4)
        assert {got.headers["idempotency-key"] for got in receiver.got} == {"id-1"}
    assert waits.seconds == [1.0, 7.0, 60.0]
    with receiving() as receiver:
        receiver.answers = [(503, {})] * 9
        waits = Waits()
        outcome = send(receiver.url, private=True, waits=waits)
        assert outcome == Outcome(TRIES_MAX, "the webhook answered 503: said; 5 tries")
        assert waits.seconds == [1.0, 2.0, 4.0, 8.0]
        stopped = send(receiver.url, private=True, waits=Waits(stop_at=1))
        assert stopped == Outcome(1, "the webhook answered 503: said; stopped before the next try")
        gone = receiver.url
    outcome = send(gone, private=True)
    assert outcome.tries == TRIES_MAX
    assert outcome.failure.startswith("127.0.0.1 cannot be reached (")


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 410])
def test_a_redirect_is_not_followed_and_a_refusal_not_repeated(status: int) -> None:
    with receiving() as receiver, receiving() as elsewhere:
        receiver.answers = [(status, {"Location": elsewhere.url})]
        outcome = send(receiver.url, private=True)
        assert outcome.tries == 1
        assert str(status) in outcome.failure
        assert len(receiver.got) == 1
        assert elsewhere.got == []


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *("::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1", "::"),
    ],
)
def test_no_neighbour_is_posted_to(address: str) -> None:
    """Nor is a name that has a neighbour's address beside a public one."""
    with receiving() as receiver:
        url = f"https://crm.example:{receiver.port}/hook"
        for addresses in ([address], ["8.8.8.8", address]):
            outcome = send(url, resolve=lambda host, port, found=addresses: found)  # type: ignore[misc]  # a default
            assert outcome.tries == 1
            assert outcome.failure.startswith(f"crm.example is {address}, which is not public;")
        assert receiver.got == []


def test_persons_are_not_sent_in_the_clear() -> None:
    said = send("http://crm.example/hook", resolve=lambda host, port: ["8.8.8.8"]).failure
    assert said == "destination http://crm.example/hook is not https; persons are not sent in the clear"
    assert "user name" in send("https://me:pw@crm.example/").failure


def test_the_certificate_must_be_that_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is looked up once; the certificate is checked for it and not for the address."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=crm.example", "-addext", "subjectAltName=DNS:crm.example",
         "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with receiving(context) as receiver:
        here = {"private": True, "resolve": lambda host, port: ["127.0.0.1"]}
        url = f"https://crm.example:{receiver.port}/hook"
        assert "CERTIFICATE_VERIFY_FAILED" in post_once(url, here).failure
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        assert post_once(url, here) == Outcome(1)
        assert "CERTIFICATE_VERIFY_FAILED" in post_once(url.replace("crm", "other"), here).failure
        assert len(receiver.got) == 1
        assert receiver.got[0].headers["host"] == f"crm.example:{receiver.port}"


def post_once(url: str, options: dict[str, object]) -> Outcome:
    return send(url, waits=Waits(stop_at=1), **options)  # type: ignore[arg-type]  # as `send` has them


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("env:AUDIENCE_NONE", "the secret is not set: put it into the environment variable AUDIENCE_NONE"),
        ("env:AUDIENCE_SHORT", "the secret of env:AUDIENCE_SHORT has 5 bytes; it must have 16 to 4,096, best 32"),
        ("env:AUDIENCE_TORN", "the secret of env:AUDIENCE_TORN starts with whsec_ and is not base64; copy it again"),
        ("file:/nonexistent/secret", "the secret's file /nonexistent/secret cannot be read (No such file"),
    ],
)
def test_a_secret_that_protects_nothing_is_refused(reference: str, sentence: str) -> None:
    with pytest.raises(AudienceError) as refused:
        secret_of(reference, {"AUDIENCE_SHORT": "short", "AUDIENCE_TORN": "whsec_!!"})
    assert str(refused.value).startswith(sentence)


def test_a_secret_is_read_from_a_file_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET.decode() + "\n")
    assert secret_of(f"file:{tmp_path / 'secret'}", {}) == SECRET
    coded = "whsec_" + base64.b64encode(SECRET).decode()
    assert secret_of("env:AUDIENCE_S", {"AUDIENCE_S": coded}) == SECRET
