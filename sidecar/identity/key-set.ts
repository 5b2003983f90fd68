import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import type { KeySource } from './key-source.ts';
import { KeysError } from './keys-error.ts';

export interface KeyTiming {
  /** Keys are read again so often, unasked. */
  everyMs: number;
  /** The first wait after a failure; it doubles with each in a row, up to the cool-down. */
  retryMs: number;
  /** Tokens whose key is not known cause no more than one reading in so long. */
  cooldownMs: number;
  /** Keys go on for so long when they cannot be read again. */
  maxAgeMs: number;
}

interface Held {
  text: string;
  find: JWTVerifyGetKey;
  /** The monotonic time at which they were last read. */
  at: number;
}

export interface KeySetOptions {
  source: KeySource;
  clock: Clock;
  log: Log;
}

/**
 * The public keys of an issuer, read again and again in the background: no token waits for keys that are only old.
 * jose's own remote set forgets its keys while the server is away, and asks it for every token then.
 */
export class KeySet {
  readonly #options: KeySetOptions;
  readonly #ended = new AbortController();
  #held: Held | undefined;
  #reading: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #lastFailure: string | undefined;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  /** Reads them anew, also when a reading is under way. Resolves also without keys: they may come later. */
  async refresh(): Promise<void> {
    await this.#reading;
    await this.#read();
  }

  async close(): Promise<void> {
    this.#ended.abort();
    clearTimeout(this.#timer);
    await this.#reading;
  }

  /** The key that a token names; if there is none, they are read again, once in a cool-down. Throws `JOSEError`. */
  find: JWTVerifyGetKey = async (header, token) => {
    for (;;) {
      try {
        const held = this.#usable();
        if (!held) throw new errors.JWKSNoMatchingKey();
        return await held.find(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey) || !(await this.#newer())) throw error;
      }
    }
  };

  #usable(): Held | undefined {
    const { clock, source } = this.#options;
    return this.#held && clock.monotonic() - this.#held.at <= source.timing.maxAgeMs ? this.#held : undefined;
  }

  /** Whether they have been read meanwhile. Many who ask at once share one reading. */
  async #newer(): Promise<boolean> {
    const { clock, source } = this.#options;
    const before = this.#held;
    // It may have begun before the issuer had the key: who does not find it then may still ask.
    await this.#reading;
    const now = clock.monotonic();
    if (this.#held === before && now - this.#askedAt >= source.timing.cooldownMs && !this.#ended.signal.aborted) {
      this.#askedAt = now;
      void this.#read();
    }
    await this.#reading;
    return this.#held !== before;
  }

  #read(): Promise<void> {
    this.#reading ??= this.#look().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { clock, source } = this.#options;
    clearTimeout(this.#timer);
    try {
      const text = await source.read(this.#ended.signal);
      // Keys that are the same need not be imported again.
      const find = text === this.#held?.text ? this.#held.find : this.#findIn(text);
      this.#held = { text, find, at: clock.monotonic() };
      this.#failures = 0;
      this.#lastFailure = undefined;
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      this.#failures++;
      this.#say(error as Error);
    }
    this.#lookIn(this.#wait());
  }

  #findIn(text: string): JWTVerifyGetKey {
    const { log, source } = this.#options;
    const { ignored, keys } = publicKeys(text, source.name);
    const find = createLocalJWKSet({ keys });
    if (ignored) log.warn({ from: source.name, ignored }, 'private and secret keys are no keys to check a token with');
    log.info({ from: source.name, keys: keys.length }, 'read the keys of JSON Web Tokens');
    return find;
  }

  /** A failure is said once, and again when it is another, or when the keys have become too old for it. */
  #say(error: Error): void {
    const why = error instanceof KeysError ? error.message : `${this.#options.source.name}: it is no set of keys`;
    const goesOn = this.#usable() !== undefined;
    const failure = `${why}; ${goesOn ? 'the keys that are known go on' : 'until there are keys, no JSON Web Token is accepted'}`;
    if (failure === this.#lastFailure) return;
    this.#lastFailure = failure;
    this.#options.log[goesOn ? 'warn' : 'error'](failure);
  }

  #wait(): number {
    const { cooldownMs, everyMs, retryMs } = this.#options.source.timing;
    return this.#failures ? Math.min(retryMs * 2 ** (this.#failures - 1), Math.max(cooldownMs, retryMs)) : everyMs;
  }

  #lookIn(milliseconds: number): void {
    if (this.#ended.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#read(), milliseconds);
    this.#timer.unref();
  }
}

const setSchema = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })) });

function publicKeys(text: string, name: string): { keys: JSONWebKeySet['keys']; ignored: number } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // What the parser says holds a piece of the text.
    throw new KeysError(`${name}: it is not JSON`);
  }
  const set = setSchema.safeParse(json);
  if (!set.success) throw new KeysError(`${name}: it is no set of keys, such as {"keys": [{"kty": "RSA", …}]}`);
  const keys = set.data.keys.filter((key) => key.kty !== 'oct' && key.d === undefined);
  return { keys: keys as JSONWebKeySet['keys'], ignored: set.data.keys.length - keys.length };
}
