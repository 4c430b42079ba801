// What a web chat's script does when its site fails: docs/clients.md. Nothing else is needed; it may be copied.

// What another try may well meet no more. Anything else from 300 on is final; a redirection is not followed.
const AGAIN = (status) => [408, 425, 429].includes(status) || (status >= 500 && ![501, 505].includes(status));

// How long and how often. Milliseconds, but for numbers of tries.
export const POLICY = {
  timeout: 5_000, // of one try
  tries: 3, // at a site, before the metadata is asked; and again before it is asked again
  firstWait: 250, // at most, after the first failure; doubled after each further one
  longestWait: 4_000,
  budget: 30_000, // for a message, with everything
  spare: 10, // retries that all messages of the page together may have ahead
  share: 0.1, // of a retry, that each delivered message gives back: so retries add a tenth at most
  unread: 5_000, // for which metadata that could not be read is not asked for again
};

let spare = POLICY.spare;

const spend = () => {
  const may = spare >= 1;
  if (may) spare -= 1;
  return may;
};

export class Refused extends Error {}
export class Unreachable extends Error {}

const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// What the metadata says. It is read again when its TTL is over, no sooner; its version never goes back.
export class Sites {
  known = { version: 0, ttl: 60, active: null, sites: {} };
  #freshUntil = 0;

  constructor(address) {
    this.address = address;
  }

  async now(milliseconds) {
    if (performance.now() < this.#freshUntil) return this.known;
    let keep = POLICY.unread;
    try {
      const answer = await fetch(this.address, {
        cache: "no-store", // or the browser keeps it for a TTL of its own, before ours begins
        credentials: "omit", // with no header of our own it stays a simple request, which needs no preflight
        signal: AbortSignal.timeout(milliseconds),
      });
      const found = answer.ok ? await answer.json() : {};
      if (Object.keys(this.known).every((name) => name in found)) {
        if (found.version >= this.known.version) this.known = found;
        keep = 1_000 * this.known.ttl;
      }
    } catch {
      // What was known holds until it can be read.
    }
    this.#freshUntil = performance.now() + keep;
    return this.known;
  }
}

// A conversation with a role of an environment. It stays at its site; `onmove` is told when that is another one.
export class Conversation {
  site = null;
  id = crypto.randomUUID();

  constructor({ metadata, host, environment = "production", role = "api", policy = POLICY, onmove = () => {} }) {
    Object.assign(this, { host, environment, role, policy, onmove, scheme: new URL(metadata).protocol });
    this.sites = new Sites(metadata);
  }

  async begin() {
    this.site = (await this.sites.now(this.policy.timeout)).active;
  }

  get identifiers() {
    return this.sites.known.sites[this.site]?.identifiers ?? {};
  }

  // Delivers a message once, however often it is tried: the key is the same in every try.
  async send(text, key = crypto.randomUUID()) {
    const { timeout, tries, firstWait, longestWait, budget, share } = this.policy;
    const until = performance.now() + budget;
    const within = () => Math.max(50, Math.min(timeout, until - performance.now()));
    for (let failed = 0; ; ) {
      const { status, retryAfter, said } = await this.#try(text, key, within());
      if (status && status < 300) {
        spare = Math.min(spare + share, this.policy.spare);
        return said;
      }
      if (status && !AGAIN(status)) throw new Refused(`${status}`);
      failed += 1;
      let [asked, may] = [retryAfter, spend()];
      if ((failed % tries === 0 || !may) && (await this.#moved(within()))) {
        [failed, asked, may] = [0, 0, true]; // the new site has neither failed nor asked for anything
      }
      const highest = Math.min(longestWait, firstWait * 2 ** Math.max(0, failed - 1));
      const wait = Math.max(Math.random() * highest, asked);
      if (!may || performance.now() + wait >= until) throw new Unreachable(key);
      await sleep(wait);
    }
  }

  async #try(text, key, milliseconds) {
    const host = this.sites.known.sites[this.site]?.hosts[this.environment]?.[this.role] ?? this.host;
    try {
      const answer = await fetch(`${this.scheme}//${host}/message`, {
        method: "POST",
        redirect: "manual",
        headers: { "Content-Type": "application/json", "Idempotency-Key": key },
        body: JSON.stringify({ conversation: this.id, text }),
        signal: AbortSignal.timeout(milliseconds),
      });
      const asked = answer.headers.get("Retry-After"); // seconds, or a date
      const retryAfter = Math.max(0, 1_000 * Number(asked) || Date.parse(asked) - Date.now() || 0);
      const status = answer.type === "opaqueredirect" ? 300 : answer.status;
      return { status, retryAfter, said: answer.ok ? await answer.json() : null };
    } catch {
      return { status: 0, retryAfter: 0 };
    }
  }

  async #moved(milliseconds) {
    const active = (await this.sites.now(milliseconds)).active ?? this.site;
    if (active === this.site) return false;
    this.site = active;
    this.onmove(active, this.identifiers);
    return true;
  }
}
