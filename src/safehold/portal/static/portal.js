// The one script of the portal. Every page works without it; with it passkeys sign, and live views move.
// It writes text into elements and never markup (trusted types are required and none are allowed).

const octets = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
const url64 = (buffer) => text64(buffer).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

/** Ask the passkey of this host to sign a challenge; the answer is one line that the portal hands on. */
async function signWithPasskey(challenge, host) {
  const got = await navigator.credentials.get({
    publicKey: { challenge: octets(challenge), rpId: host, userVerification: "required", timeout: 120000 },
  });
  const { authenticatorData, clientDataJSON, signature } = got.response;
  return JSON.stringify({
    authenticatorData: url64(authenticatorData),
    clientDataJSON: url64(clientDataJSON),
    signature: url64(signature),
  });
}

function letPasskeysSign() {
  if (!window.PublicKeyCredential) return;
  for (const button of document.querySelectorAll("button[data-passkey]")) {
    const form = button.form;
    button.closest(".needs-script").hidden = false;
    button.addEventListener("click", async (event) => {
      event.preventDefault();
      button.disabled = true;
      const failed = form.querySelector(".failed");
      try {
        form.elements.signature.value = await signWithPasskey(button.dataset.passkey, button.dataset.host);
        form.submit();
      } catch {
        if (failed) failed.hidden = false;
        button.disabled = false;
      }
    });
  }
}

/** Make a passkey for this host and show its public text; nothing is sent anywhere. */
async function makePasskey(name, host) {
  const made = await navigator.credentials.create({
    publicKey: {
      rp: { id: host, name: "Safehold" },
      user: { id: crypto.getRandomValues(new Uint8Array(32)), name, displayName: name },
      challenge: crypto.getRandomValues(new Uint8Array(32)),
      pubKeyCredParams: [{ type: "public-key", alg: -7 }, { type: "public-key", alg: -8 }],
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
      attestation: "none",
      timeout: 120000,
    },
  });
  // the key stands at the end of its SubjectPublicKeyInfo: a point of 65 bytes on P-256, or 32 bytes of Ed25519
  const whole = new Uint8Array(made.response.getPublicKey());
  const raw = whole.slice(made.response.getPublicKeyAlgorithm() === -7 ? -65 : -32);
  return `passkey:${host}:${text64(raw)}`;
}

function letPasskeysBeMade() {
  if (!window.PublicKeyCredential) return;
  for (const form of document.querySelectorAll("form.make")) {
    form.querySelector(".needs-script").hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const failed = form.querySelector(".failed");
      failed.hidden = true;
      try {
        form.elements.key.value = await makePasskey(form.elements.name.value, form.dataset.host);
        form.querySelector(".made").hidden = false;
      } catch {
        failed.hidden = false;
      }
    });
  }
}

/** Seconds that are left until a moment, in elements with data-until (milliseconds since 1970). */
function countDown() {
  const clocks = [...document.querySelectorAll("[data-until]")];
  if (clocks.length === 0) return;
  const show = () => {
    for (const clock of clocks) {
      const left = Math.max(0, Math.floor((Number(clock.dataset.until) - Date.now()) / 1000));
      const [h, m, s] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
      clock.textContent = `${h}:${String(m).padStart(2, "0")}:${String(s).padStart(2, "0")}`;
    }
  };
  show();
  setInterval(show, 1000);
}

export { makePasskey, octets, text64 };

letPasskeysSign();
letPasskeysBeMade();
countDown();
