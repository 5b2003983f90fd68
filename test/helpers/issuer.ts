import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';
import { atTestEnd } from './test-end.ts';

export interface SigningKey {
  public: JWK;
  private: CryptoKey;
  /** A token with these claims and whatever else its header says. */
  sign(claims: JWTPayload, header?: Record<string, unknown>): Promise<string>;
}

export async function signingKey(kid: string, alg = 'ES256'): Promise<SigningKey> {
  const pair = await generateKeyPair(alg, { extractable: true });
  return {
    public: { ...(await exportJWK(pair.publicKey)), kid, alg, use: 'sig' },
    private: pair.privateKey,
    sign: (claims, header) => new SignJWT(claims).setProtectedHeader({ alg, kid, ...header }).sign(pair.privateKey),
  };
}

/** What becomes of a request instead of an answer with the keys. */
type Answer = (response: ServerResponse, request: IncomingMessage) => void;

/** A server with a JSON Web Key Set on loopback. */
export class Issuer {
  keys: JWK[];
  /** The paths that were asked for, in order. */
  readonly requests: string[] = [];
  answer: Answer = (response) => response.setHeader('Content-Type', 'application/json').end(this.text);
  #server: Server | undefined;
  #port = 0;

  constructor(keys: SigningKey[]) {
    this.keys = keys.map((key) => key.public);
  }

  static async start(...keys: SigningKey[]): Promise<Issuer> {
    const issuer = new Issuer(keys);
    await issuer.up();
    atTestEnd(() => issuer.down());
    return issuer;
  }

  get text(): string {
    return JSON.stringify({ keys: this.keys });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get jwksUrl(): string {
    return `${this.url}/jwks`;
  }

  publish(...keys: SigningKey[]): void {
    this.keys = keys.map((key) => key.public);
  }

  /** On the port that it had. */
  async up(): Promise<void> {
    this.#server = createServer((request, response) => {
      this.requests.push(request.url ?? '');
      this.answer(response, request);
    });
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Connections are refused, and those that are open are cut. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
}
