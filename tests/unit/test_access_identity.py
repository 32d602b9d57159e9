"""What proves an identity, and every near miss that does not: each refused by a named rule."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, RSAKey
from tests.oidc_provider import CLIENT, Provider
from tests.svids import Authority, at

from safehold.access.identity import (
    Bundle,
    Ticket,
    check_call,
    check_id_token,
    check_jwt_svid,
    check_key,
    check_x509_svid,
    jose,
    mint_ticket,
    open_ticket,
    sign_call,
    sign_in_message,
    sign_in_nonce,
)
from safehold.access.identity import Provider as Trusted
from safehold.access.identity.jose import UnknownKeyError
from safehold.access.identity.keyset import KeySets, discover
from safehold.access.identity.proof import DOMAIN
from safehold.errors import InvalidError, SignInError, UnavailableError
from safehold.signing import SigningKey

NOW = 1_800_000_000_000_000
NOW_S = NOW // 1_000_000
QUESTION = b"q" * 32
SESSION = SigningKey(b"s" * 32)
NONCE = sign_in_nonce(QUESTION, SESSION.public)


@pytest.fixture(scope="module")
def provider():
    with Provider(lambda: NOW_S).running() as made:
        yield made


@pytest.fixture(scope="module")
def trusted(provider) -> Trusted:
    return discover(provider.issuer, CLIENT)


def refuse(rule: str, function, /, *arguments, **named):
    with pytest.raises((SignInError, InvalidError)) as caught:
        function(*arguments, **named)
    assert caught.value.rule == rule
    return caught.value


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_an_id_token_proves_a_person_and_no_role(provider, trusted):
    proved = check_id_token(provider.id_token(NONCE), trusted, nonce=NONCE, now_us=NOW)
    assert proved.name == f"oidc:{provider.issuer}#sub-ana"
    assert proved.until_us == NOW + 600_000_000
    assert not {"role", "roles"} & set(proved.__slots__)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("oidc.issuer", {"iss": "https://elsewhere.example"}),
        ("oidc.issuer", {"iss": None}),
        ("oidc.audience", {"aud": "another-client"}),
        ("oidc.audience", {"aud": [CLIENT, "another-client"]}),
        ("oidc.audience", {"aud": []}),
        ("oidc.audience", {"azp": "another-client"}),
        ("oidc.expired", {"exp": NOW_S - 61}),
        ("oidc.time", {"exp": "tomorrow"}),
        ("oidc.time", {"exp": None}),
        ("oidc.time", {"iat": NOW_S - 601}),
        ("oidc.time", {"iat": NOW_S + 61}),
        ("oidc.time", {"nbf": NOW_S + 61}),
        ("oidc.nonce", {"nonce": "of another sign-in"}),
        ("oidc.nonce", {"nonce": None}),
        ("oidc.subject", {"sub": ""}),
        ("oidc.subject", {"sub": None}),
        ("oidc.subject", {"sub": "x" * 256}),
    ],
)
def test_an_id_token_of_something_else(provider, trusted, rule, changes):
    token = provider.id_token(NONCE, **changes)
    refuse(rule, check_id_token, token, trusted, nonce=NONCE, now_us=NOW)


def test_a_token_without_a_signature(provider, trusted):
    head = b64(json.dumps({"alg": "none", "kid": provider.keys[0].kid}).encode())
    body = b64(json.dumps(provider.claims(NONCE)).encode())
    refuse("oidc.alg", check_id_token, f"{head}.{body}.", trusted, nonce=NONCE, now_us=NOW)
    refuse("oidc.shape", check_id_token, f"{head}.{body}", trusted, nonce=NONCE, now_us=NOW)


@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_a_password_made_of_the_public_key(provider, trusted, form):
    key = provider.keys[0]
    secret = (
        key.as_pem(private=False)
        if form == "pem"
        else json.dumps(key.as_dict(private=False)).encode()
    )
    head = b64(json.dumps({"alg": "HS256", "kid": key.kid}).encode())
    body = b64(json.dumps(provider.claims(NONCE)).encode())
    mac = hmac.digest(secret, f"{head}.{body}".encode(), hashlib.sha256)
    token = f"{head}.{body}.{b64(mac)}"
    refuse("oidc.alg", check_id_token, token, trusted, nonce=NONCE, now_us=NOW)


def test_a_token_that_brings_its_own_key(provider, trusted):
    mine = ECKey.generate_key("P-256", {"kid": provider.keys[0].kid})
    claims = provider.claims(NONCE)
    forged = jwt.encode({"alg": "ES256", "kid": mine.kid}, claims, mine, algorithms=["ES256"])
    refuse("oidc.signature", check_id_token, forged, trusted, nonce=NONCE, now_us=NOW)
    for name, value in (
        ("jwk", mine.as_dict(private=False)),
        ("jku", "https://elsewhere.example/keys"),
        ("x5u", "https://elsewhere.example/cert"),
        ("crit", ["exp"]),
    ):
        head = b64(json.dumps({"alg": "ES256", "kid": mine.kid, name: value}).encode())
        token = f"{head}.{forged.split('.', 1)[1]}"
        refuse("oidc.header", check_id_token, token, trusted, nonce=NONCE, now_us=NOW)


def test_a_key_of_another_kind_or_too_small(provider, trusted):
    with pytest.warns(SecurityWarning):
        weak = RSAKey.generate_key(1024, {"kid": "weak"})
    keys = {"keys": [weak.as_dict(private=False)]}
    token = jwt.encode({"alg": "RS256", "kid": "weak"}, {}, weak, algorithms=["RS256"])
    refuse("oidc.alg", jose.verify, token, jose.check_keys(keys), rule="oidc")
    head = b64(json.dumps({"alg": "RS256", "kid": provider.keys[0].kid}).encode())
    mixed = f"{head}.{provider.id_token(NONCE).split('.', 1)[1]}"
    refuse("oidc.alg", check_id_token, mixed, trusted, nonce=NONCE, now_us=NOW)


def test_a_set_of_keys_with_a_secret_in_it(provider):
    for bad in (
        {"keys": [provider.keys[0].as_dict(private=True)]},
        {"keys": [OctKey.generate_key(256).as_dict(private=True)]},
        {"keys": []},
        {"keys": [{}] * 33},
        [],
    ):
        refuse("identity.jwks", jose.check_keys, bad)


def test_rotated_keys_are_read_again_but_seldom(provider, trusted):
    sets = KeySets()
    provider.rotate()
    token = provider.id_token(NONCE)
    with pytest.raises(UnknownKeyError):
        check_id_token(token, trusted, nonce=NONCE, now_us=NOW)
    asked = provider.asked_for_keys
    newest = sets.refresh(trusted, now_us=NOW)
    assert check_id_token(token, newest, nonce=NONCE, now_us=NOW).name.endswith("#sub-ana")
    refuse("oidc.key", sets.refresh, trusted, now_us=NOW + 29_000_000)
    assert provider.asked_for_keys == asked + 1
    sets.refresh(trusted, now_us=NOW + 30_000_000)
    assert provider.asked_for_keys == asked + 2


def test_a_provider_that_speaks_for_another(provider):
    provider.spoil = {"discovery": {"issuer": "https://accounts.example"}}
    refuse("oidc.issuer", discover, provider.issuer, CLIENT)
    provider.spoil = {"discovery": {"token_endpoint": "http://elsewhere.example/token"}}
    refuse("oidc.place", discover, provider.issuer, CLIENT)
    provider.spoil = {}
    with pytest.raises(UnavailableError):
        discover(f"{provider.issuer}/nothing", CLIENT)


@pytest.fixture(scope="module")
def house() -> Authority:
    return Authority("house.example", at(NOW))


@pytest.fixture(scope="module")
def bundle(house) -> Bundle:
    return Bundle.from_json(Bundle.read("house.example", house.bundle()).to_json())


NAME = "spiffe://house.example/pipeline/ingest"
MESSAGE = sign_in_message(QUESTION, SESSION.public)


def show(svid, bundle, **changes):
    options = {"message": MESSAGE, "proof": svid.sign(MESSAGE), "now_us": NOW} | changes
    return check_x509_svid(svid.pem, bundle, **options)


def test_a_workload_with_its_certificate(house, bundle):
    svid = house.svid(NAME)
    proved = show(svid, bundle)
    assert (proved.method, proved.name) == ("x509-svid", NAME)
    assert proved.until_us == NOW + 3_600_000_000


@pytest.mark.parametrize(
    ("rule", "ids", "options"),
    [
        ("spiffe.expired", [NAME], {"ends": timedelta(seconds=-1)}),
        ("spiffe.expired", [NAME], {"begins": timedelta(seconds=1)}),
        ("spiffe.domain", ["spiffe://other.example/pipeline/ingest"], {}),
        ("spiffe.id", [NAME, "spiffe://house.example/second"], {}),
        ("spiffe.id", ["spiffe://house.example"], {}),
        ("spiffe.id", ["spiffe://house.example/"], {}),
        ("spiffe.id", ["spiffe://house.example/a/../b"], {}),
        ("spiffe.id", ["https://house.example/pipeline"], {}),
        ("spiffe.id", ["spiffe://HOUSE.example/pipeline"], {}),
    ],
)
def test_certificates_of_something_else(house, bundle, rule, ids, options):
    refuse(rule, show, house.svid(*ids, **options), bundle)


def test_an_authority_is_no_workload(house, bundle):
    with pytest.raises(SignInError) as caught:
        show(house.svid(NAME, ca=True), bundle)
    assert caught.value.rule in {"spiffe.use", "spiffe.chain"}


def test_a_certificate_that_does_not_sign(house, bundle):
    refuse("spiffe.use", show, house.svid(NAME, signs=False), bundle)


def test_another_authority_under_the_same_name(bundle):
    refuse("spiffe.chain", show, Authority("house.example", at(NOW)).svid(NAME), bundle)


def test_a_certificate_without_its_key(house, bundle):
    svid, other = house.svid(NAME), house.svid(NAME)
    refuse("spiffe.proof", show, svid, bundle, proof=other.sign(MESSAGE))
    later = sign_in_message(b"r" * 32, SESSION.public)
    refuse("spiffe.proof", show, svid, bundle, message=later)
    thief = sign_in_message(QUESTION, SigningKey(b"t" * 32).public)
    refuse("spiffe.proof", show, svid, bundle, message=thief)
    refuse("spiffe.certificate", show, type(svid)("no certificate", svid.key), bundle)


AUDIENCE = f"safehold:home_x/{NONCE}"


def test_a_workload_with_a_token(house, bundle):
    token = house.jwt_svid(NAME, AUDIENCE)
    proved = check_jwt_svid(token, bundle, audience=AUDIENCE, now_us=NOW)
    assert (proved.method, proved.name) == ("jwt-svid", NAME)


@pytest.mark.parametrize(
    ("rule", "name", "audience", "options"),
    [
        ("spiffe.audience", NAME, "safehold:home_x", {}),
        ("spiffe.audience", NAME, AUDIENCE, {"aud": [AUDIENCE, "another"]}),
        ("spiffe.expired", NAME, AUDIENCE, {"ends_s": -60}),
        ("spiffe.expired", NAME, AUDIENCE, {"exp": None}),
        ("spiffe.domain", "spiffe://other.example/x", AUDIENCE, {}),
        ("spiffe.id", "ana", AUDIENCE, {}),
    ],
)
def test_tokens_of_other_workloads(house, bundle, rule, name, audience, options):
    token = house.jwt_svid(name, audience, **options)
    refuse(rule, check_jwt_svid, token, bundle, audience=AUDIENCE, now_us=NOW)


def test_a_token_of_another_trust_domain(bundle):
    token = Authority("other.example", at(NOW)).jwt_svid(NAME, AUDIENCE)
    refuse("spiffe.key", check_jwt_svid, token, bundle, audience=AUDIENCE, now_us=NOW)


def test_bundles_that_prove_nothing():
    for rule, domain, document in (
        ("spiffe.bundle", "house.example", {"keys": []}),
        ("spiffe.bundle", "house.example", {"keys": [{"use": "x509-svid", "x5c": ["AAAA"]}]}),
        ("spiffe.bundle", "house.example", []),
        ("spiffe.domain", "House.example", {"keys": []}),
        ("spiffe.domain", "house.example/x", {"keys": []}),
    ):
        refuse(rule, Bundle.read, domain, document)


def test_a_key_proves_itself_for_one_question_and_one_session():
    mine = SigningKey(b"k" * 32)
    proof = mine.sign(DOMAIN, MESSAGE)
    proved = check_key(mine.public, QUESTION, SESSION.public, proof, until_us=NOW)
    assert proved.name == f"key:{mine.public.text()}"
    thief = SigningKey(b"t" * 32)
    for question, key in ((b"r" * 32, SESSION.public), (QUESTION, thief.public)):
        refuse("identity.key", check_key, mine.public, question, key, proof, until_us=NOW)
    refuse("identity.key", check_key, thief.public, QUESTION, SESSION.public, proof, until_us=NOW)


MINT = SigningKey(b"m" * 32)


def ticket(**changes) -> Ticket:
    base = {
        "id": "ses_1", "home": "home_x", "principal": "ana", "method": "key", "name": "key:x", "key": SESSION.public.text(),
        "since_us": NOW, "until_us": NOW + 1, "entry": 7,
    }  # fmt: skip
    return Ticket(**base | changes)


def test_a_ticket_counts_here_and_now():
    text = mint_ticket(ticket(), MINT)
    assert open_ticket(text, MINT.public, home="home_x", now_us=NOW) == ticket()
    refuse("session.home", open_ticket, text, MINT.public, home="home_y", now_us=NOW)
    for moment in (NOW - 1, NOW + 1):
        refuse("session.expired", open_ticket, text, MINT.public, home="home_x", now_us=moment)
    other = mint_ticket(ticket(), SigningKey(b"o" * 32))
    body, _, value = text.partition(".")
    forged = mint_ticket(ticket(principal="cy"), SigningKey(b"o" * 32)).partition(".")[0]
    for bad in (other, f"{forged}.{value}", body, "", None, "x" * 5000, f"{body}.{value}x"):
        refuse("session.ticket", open_ticket, bad, MINT.public, home="home_x", now_us=NOW)


def test_a_call_is_signed_whole():
    nonce, asked = b"n" * 32, {"purpose": "p", "share": 0.5}
    proof = sign_call(SESSION, nonce, "train", asked)
    check_call(ticket(), nonce, "train", asked, proof)
    for question, verb, arguments in (
        (b"o" * 32, "train", asked),
        (nonce, "grant.revoke", asked),
        (nonce, "train", asked | {"purpose": "q"}),
        (nonce, "train", {}),
    ):
        refuse("session.proof", check_call, ticket(), question, verb, arguments, proof)
    other = ticket(key=SigningKey(b"t" * 32).public.text())
    refuse("session.proof", check_call, other, nonce, "train", asked, proof)


def test_our_own_tokens_name_their_type():
    key = SigningKey(b"k" * 32)
    token = jose.sign({"sub": "a"}, key, typ="at+jwt")
    jwk = jose.public_jwk(key.public.raw)
    assert jose.verify_with(token, jwk, rule="mcp", typ="at+jwt").claims == {"sub": "a"}
    refuse("mcp.typ", jose.verify_with, token, jwk, rule="mcp", typ="dpop+jwt")
    other = jose.public_jwk(SigningKey(b"o" * 32).public.raw)
    refuse("mcp.signature", jose.verify_with, token, other, rule="mcp", typ="at+jwt")
    # RFC 8037 appendix A.3
    known = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert jose.thumbprint(known) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
