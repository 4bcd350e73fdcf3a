"""Logins, sessions and forms of other sites are checked."""

import http.client
import ssl
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from cspine.node.config import Config, LoginSettings, TlsSettings
from cspine.node.store import Role, Store
from cspine.node.store.audit import Entry, first_broken, read_trail
from cspine.node.store.users import disable_user, put_user
from cspine.node.web.app import REST_ROUTES, ROUTES
from cspine.node.web.attempts import LoginAttempts
from tests.node.certificates import certificates
from tests.node.times import Clock
from tests.node.web.sites import PASSWORD, Made, csrf_of

_OPEN = {"/login", "/logout", "/static/{name}", "/healthz", "/readyz", "/openapi.json"}


@pytest.mark.parametrize("route", [route for route in (*ROUTES, *REST_ROUTES) if route.path not in _OPEN], ids=lambda r: r.path)
def test_without_a_login_no_route_answers(guarded: Made, route: object) -> None:
    key = guarded.assess("1")
    path, methods = route.path.format(key=key, name="result.json"), route.methods  # type: ignore[attr-defined]
    client = guarded.client(accept="application/json")

    for method in methods:
        answer = client.request(method, path)
        assert answer.status_code == 401
        assert "Doe" not in answer.text


def test_a_person_is_led_to_the_login_and_back(guarded: Made) -> None:
    key = guarded.assess("1")
    put_user(guarded.store, "ada", Role.READER, PASSWORD)
    client = guarded.client()
    asked = client.get(f"/studies/{key}")
    shown = client.get(asked.headers["location"])
    form = {"csrf": csrf_of(client, "/login"), "name": "ada", "password": PASSWORD, "next": f"/studies/{key}"}

    entered = client.post("/login", data=form)

    assert asked.status_code == 303
    assert f'value="/studies/{key}"' in shown.text
    assert entered.headers["location"] == f"/studies/{key}"
    assert client.get(f"/studies/{key}").status_code == 200


@pytest.mark.parametrize("there", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""])
def test_a_login_leads_to_no_other_site(guarded: Made, there: str) -> None:
    put_user(guarded.store, "ada", Role.READER, PASSWORD)
    client = guarded.client()

    form = {"csrf": csrf_of(client, "/login"), "name": "ada", "password": PASSWORD, "next": there}

    assert client.post("/login", data=form).headers["location"] == "/"


def test_the_cookie_of_a_login_is_another_than_before_and_out_of_reach(guarded: Made) -> None:
    put_user(guarded.store, "ada", Role.READER, PASSWORD)
    client = guarded.client()
    token, before = csrf_of(client, "/login"), client.cookies["cspine"]

    answer = client.post("/login", data={"csrf": token, "name": "ada", "password": PASSWORD})

    assert client.cookies["cspine"] != before
    assert "HttpOnly; SameSite=Lax" in answer.headers["set-cookie"]


def test_a_cookie_is_secure_where_a_proxy_speaks_tls(guarded: Made) -> None:
    login = LoginSettings(required=True, proxies=("10.0.0.0/8",), header="X-Remote-User")
    proxied = replace(guarded, config=replace(guarded.config, login=login))

    assert "; Secure" in proxied.client().get("/login").headers["set-cookie"]
    assert "; Secure" not in guarded.client().get("/login").headers["set-cookie"]


@pytest.mark.parametrize(
    ("name", "password"), [("ada", "wrong wrong wrong"), ("nobody", PASSWORD), ("", ""), ("ada", "x" * 100_000)]
)
def test_a_wrong_password_says_no_more_than_that(guarded: Made, name: str, password: str) -> None:
    put_user(guarded.store, "ada", Role.READER, PASSWORD)
    client = guarded.client()

    answer = client.post("/login", data={"csrf": csrf_of(client, "/login"), "name": name, "password": password})

    assert answer.status_code == 401
    assert "The name or the password is wrong." in answer.text
    assert client.get("/").status_code == 303


def test_who_guesses_has_to_wait(guarded: Made) -> None:
    put_user(guarded.store, "ada", Role.READER, PASSWORD)
    client = guarded.client()
    form = {"csrf": csrf_of(client, "/login"), "name": "ada", "password": "wrong"}

    answers = [client.post("/login", data=form).status_code for _ in range(6)]

    assert answers == [401] * 5 + [429]
    assert client.post("/login", data=form | {"password": PASSWORD}).status_code == 429


def test_the_pause_grows_and_ends() -> None:
    clock = Clock()
    attempts = LoginAttempts(clock)
    for _ in range(4):
        attempts.wrong("ada")
    pauses = [attempts.pause_s("ada")]
    for _ in range(12):
        attempts.wrong("ada")
        pauses.append(attempts.pause_s("ada", "else"))
    clock.now += 300

    assert pauses[:4] == [0, 1, 2, 4]
    assert max(pauses) == 300
    assert attempts.pause_s("ada") == 0
    assert attempts.pause_s("else") == 0


def test_a_login_ends_when_one_logs_out_or_may_come_in_no_more(guarded: Made, clock: Clock) -> None:
    ada, bob, eve = guarded.reader("ada"), guarded.reader("bob"), guarded.reader("eve")
    left = ada.post("/logout", data={"csrf": csrf_of(ada)})
    disable_user(guarded.store, "bob")
    clock.now += 12 * 3600 + 1

    assert left.headers["location"] == "/login"
    assert {client.get("/").status_code for client in (ada, bob, eve)} == {303}


def test_a_stolen_cookie_is_of_no_use_after_the_logout(guarded: Made) -> None:
    ada = guarded.reader("ada")
    stolen = ada.cookies["cspine"]
    ada.post("/logout", data={"csrf": csrf_of(ada)})
    thief = guarded.client()
    thief.cookies.set("cspine", stolen)

    assert thief.get("/").status_code == 303


_RIGHTS = {
    Role.READER: {"read", "verdict", "export"},
    Role.API: {"read", "send", "requeue"},
    Role.ADMIN: {"read", "verdict", "export", "send", "requeue", "trail"},
}


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_do_what_it_is_for_and_no_more(guarded: Made, role: Role) -> None:
    key = guarded.assess("1")
    program = guarded.program("program", role)
    asked = {
        "read": program.get(f"/jobs/{key}"),
        "verdict": program.post(f"/jobs/{key}/verdict", json={"levels": {"C4": True}}),
        "export": program.get("/labels.csv"),
        "send": program.post("/studies", content=b"no zip"),
        "requeue": program.post(f"/jobs/{key}/requeue"),
        "trail": program.get("/trail"),
    }

    assert {name for name, answer in asked.items() if answer.status_code != 403} == _RIGHTS[role]
    assert all("may not" in answer.json()["error"] for answer in asked.values() if answer.status_code == 403)


@pytest.mark.parametrize("token", ["", "wrong", "Bearer", "a" * 5000, "\u00e9"])
def test_a_wrong_token_is_nobody_even_where_no_login_is_required(node: Made, token: str) -> None:
    client = node.client(accept="application/json")

    assert client.get("/metrics", headers=[(b"authorization", f"Bearer {token}".encode())]).status_code == 401


def test_the_header_of_a_proxy_counts_only_from_that_proxy(guarded: Made) -> None:
    put_user(guarded.store, "ada", Role.READER, None)
    login = LoginSettings(required=True, proxies=("10.0.0.0/8",), header="X-Remote-User")
    proxied = replace(guarded, config=replace(guarded.config, login=login))

    def ask(host: str, *names: str) -> int:
        client = proxied.client()
        client._transport.client = (host, 1)  # type: ignore[attr-defined]
        return client.get("/", headers=[("x-remote-user", name) for name in names]).status_code

    assert ask("10.1.2.3", "ada") == 200
    assert ask("10.1.2.3", "nobody") == 303
    assert ask("10.1.2.3") == 303
    assert ask("10.1.2.3", "ada", "ada") == 303
    assert ask("192.168.0.1", "ada") == 303


def test_a_proxy_that_names_nobody_we_know_ends_an_earlier_login(guarded: Made) -> None:
    ada = guarded.reader("ada")
    login = LoginSettings(required=True, proxies=("10.0.0.0/8",), header="X-Remote-User")
    proxied = replace(guarded, config=replace(guarded.config, login=login)).client()
    proxied.cookies.set("cspine", ada.cookies["cspine"])
    proxied._transport.client = ("10.1.2.3", 1)  # type: ignore[attr-defined]

    assert proxied.get("/", headers={"x-remote-user": "mallory"}).status_code == 303


def _post(client: TestClient, path: str, token: str | None, **headers: str) -> int:
    return client.post(path, data={} if token is None else {"csrf": token}, headers=headers).status_code


@pytest.mark.parametrize(
    "path", ["/mask", "/logout", "/rows", "/studies/{key}/verdict", "/studies/{key}/requeue", "/jobs/{key}/verdict"]
)
def test_a_form_of_another_site_is_refused(node: Made, path: str) -> None:
    client = node.client()
    path, token = path.format(key=node.assess("1")), csrf_of(client)
    stranger = csrf_of(node.client())

    assert _post(client, path, None) == 403
    assert _post(client, path, "") == 403
    assert _post(client, path, stranger) == 403
    assert _post(client, path, token, origin="https://evil.example") == 403
    assert _post(client, path, token, origin="null") == 403
    assert _post(client, path, token, **{"sec-fetch-site": "cross-site"}) == 403
    assert _post(client, path, token, **{"sec-fetch-site": "same-site"}) == 403


def test_a_form_of_ours_is_taken(node: Made) -> None:
    client = node.client()
    token = csrf_of(client)

    assert _post(client, "/mask", token) == 303
    assert _post(client, "/mask", token, origin=node.base, **{"sec-fetch-site": "same-origin"}) == 303
    assert client.post("/mask", headers={"x-csrf-token": token}).status_code == 303


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "[::1", "localhost:99999999"])
def test_without_a_login_a_foreign_host_name_is_not_answered(node: Made, host: str) -> None:
    """Else a page elsewhere could have its own name lead to this machine, and read."""
    assert node.client().get("/", headers={"host": host}).status_code in (400, 421)


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "[::1]:8080"])
def test_this_machine_is_answered_under_its_names(node: Made, host: str) -> None:
    assert node.client().get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/login", "/nothing", "/static/node.js", "/healthz", "/studies/none", "/metrics", "/openapi.json"]
)
def test_every_answer_has_the_headers_that_keep_strangers_out(node: Made, path: str) -> None:
    headers = node.client().get(path).headers

    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_a_fault_of_ours_shows_nothing_of_an_image_and_keeps_its_headers(node: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("Doe^Jane")

    monkeypatch.setattr("cspine.node.web.board.Board.show", broken)
    client = TestClient(node.client().app, base_url=node.base, raise_server_exceptions=False)

    answer = client.get("/", headers={"accept": "text/html"})

    assert answer.status_code == 500
    assert "A fault of cspine." in answer.text
    assert "Doe" not in answer.text
    assert "content-security-policy" in answer.headers


def test_logins_refusals_and_reading_stand_in_the_audit_trail_without_a_patient(guarded: Made, store: Store) -> None:
    key = guarded.assess("1")
    client = guarded.reader("ada")
    guarded.client().post("/login", data={"name": "eve", "password": "x"})
    other = guarded.client()
    other.post("/login", data={"csrf": csrf_of(other, "/login"), "name": "eve", "password": "x"})
    client.get(f"/studies/{key}")
    client.get("/labels.csv")
    client.post("/logout", data={"csrf": csrf_of(client)})

    entries = [(kept.entry.actor, kept.entry.action, kept.entry.subject) for kept in reversed(read_trail(store, 100))]

    assert entries == [
        ("ada", "login", ""),
        ("nobody", "login refused", ""),
        ("ada", "read", key),
        ("ada", "export", "train.csv"),
        ("ada", "logout", ""),
    ]
    assert first_broken(store) is None
    assert "Doe" not in str(read_trail(store, 100))


def test_a_page_that_is_opened_without_its_study_stands_in_the_audit_trail(guarded: Made, store: Store, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>C1 to C7</p>")
    key = guarded.assess("1", page=tmp_path / "page.html")
    client = guarded.reader("ada")

    assert client.get(f"/studies/{key}/page").status_code == 200
    assert client.get("/studies/none/page").status_code == 404

    entries = [kept.entry for kept in reversed(read_trail(store, 100))]
    assert entries == [Entry("ada", "login"), Entry("ada", "read", key, "result.html")]


def test_the_trail_is_shown_to_administrators_and_says_whether_it_is_whole(guarded: Made) -> None:
    admin, reader = guarded.reader("root", Role.ADMIN), guarded.reader("ada")

    assert "Whole: every entry follows from the one before." in admin.get("/trail").text
    assert reader.get("/trail").status_code == 403
    assert "/trail" not in reader.get("/").text


def test_a_node_with_a_certificate_speaks_tls_of_today_only_and_says_so(guarded: Made, tmp_path: Path) -> None:
    folder = certificates(tmp_path / "certificates")
    tls = TlsSettings(folder / "node.pem", folder / "node.key", folder / "ca.pem")
    node = replace(guarded, config=replace(guarded.config, tls=tls))
    trusted = ssl.create_default_context(cafile=folder / "ca.pem")
    trusted.check_hostname = False

    def ask(newest: ssl.TLSVersion) -> tuple[str | None, str | None]:
        trusted.maximum_version = newest
        connection = http.client.HTTPSConnection("127.0.0.1", node.config.node.web.port, context=trusted, timeout=120)
        connection.request("GET", "/login")
        answer = connection.getresponse()
        connection.close()
        return answer.headers["strict-transport-security"], answer.headers["set-cookie"]

    with node.serving():
        strict, cookie = ask(ssl.TLSVersion.TLSv1_3)
        ask(ssl.TLSVersion.TLSv1_2)
        trusted.set_ciphers("DEFAULT@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of asking for an old version
            trusted.minimum_version = ssl.TLSVersion.TLSv1
            with pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|EOF"):
                ask(ssl.TLSVersion.TLSv1_1)

    assert strict == "max-age=31536000"
    assert cookie is not None
    assert "; Secure" in cookie


def test_no_login_is_the_default_on_this_machine_only() -> None:
    assert not Config().login.required
    assert Config().node.web.is_loopback
