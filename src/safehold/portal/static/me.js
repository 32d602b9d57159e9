// For the pages of the person whom data is about: makes a passkey of theirs, and opens their copy in the browser.
// The key that opens a copy is made here, is used once, cannot be taken out of the browser, and is gone with the page.

import { makePasskey, text64 } from "./portal.js";

const INFO = new TextEncoder().encode("safehold.copy/1");
const text = (words) => new TextEncoder().encode(words);

function join(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

async function hmac(secret, data) {
  // an empty key and one of zeros are the same to HMAC, and browsers take no empty one
  const raw = secret.length ? secret : new Uint8Array(32);
  const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, data));
}

// RFC 9180, section 4: extract and expand with labels; 32 bytes are one round of HKDF-Expand
const extract = (suite, salt, label, secret) => hmac(salt, join(text("HPKE-v1"), suite, text(label), secret));
const expand = async (suite, secret, label, info, length) =>
  (await hmac(secret, join(new Uint8Array([0, length]), text("HPKE-v1"), suite, text(label), info, new Uint8Array([1])))).slice(0, length);

/** Open what was sealed to a key of this page: HPKE base mode, X25519, HKDF-SHA-256, AES-256-GCM (RFC 9180). */
async function openLetter(pair, mine, sealed) {
  const kem = join(text("KEM"), new Uint8Array([0, 0x20]));
  const suite = join(text("HPKE"), new Uint8Array([0, 0x20, 0, 1, 0, 2]));
  const theirs = sealed.slice(0, 32);
  const point = await crypto.subtle.importKey("raw", theirs, { name: "X25519" }, true, []);
  const shared = new Uint8Array(await crypto.subtle.deriveBits({ name: "X25519", public: point }, pair.privateKey, 256));
  const first = await extract(kem, new Uint8Array(), "eae_prk", shared);
  const secret = await expand(kem, first, "shared_secret", join(theirs, mine), 32);
  const none = await extract(suite, new Uint8Array(), "psk_id_hash", new Uint8Array());
  const info = await extract(suite, new Uint8Array(), "info_hash", INFO);
  const context = join(new Uint8Array([0]), none, info);
  const inner = await extract(suite, secret, "secret", new Uint8Array());
  const raw = await expand(suite, inner, "key", context, 32);
  const iv = await expand(suite, inner, "base_nonce", context, 12);
  const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
  return crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, sealed.slice(32));
}

function save(data, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([data], { type: "application/zip" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

async function openHere(form) {
  const pair = await crypto.subtle.generateKey({ name: "X25519" }, false, ["deriveBits"]);
  const mine = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  form.elements.open_to.value = text64(mine);
  const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
  if (!answer.ok) return false;
  const sealed = new Uint8Array(await answer.arrayBuffer());
  save(await openLetter(pair, mine, sealed), "my-copy.zip");
  return true;
}

for (const form of document.querySelectorAll("form.open-copy")) {
  form.closest(".needs-script").hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    let opened = false;
    try {
      opened = await openHere(form);
    } catch {
      opened = false;
    }
    form.querySelector(".done").hidden = !opened;
    form.querySelector(".failed").hidden = opened;
    button.disabled = false;
  });
}

for (const form of document.querySelectorAll("form.make-passkey")) {
  if (!window.PublicKeyCredential) continue;
  const button = form.querySelector("[data-make-passkey]");
  button.closest(".needs-script").hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    form.querySelector(".failed").hidden = true;
    button.disabled = true;
    try {
      form.elements.key.value = await makePasskey(button.dataset.name, button.dataset.host);
      form.submit();
    } catch {
      form.querySelector(".failed").hidden = false;
      button.disabled = false;
    }
  });
}
