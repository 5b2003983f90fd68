import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { z } from 'zod';
import type { AuthConfig } from '../../schemas/config/auth.ts';
import { getText, MAX_BYTES, shownUrl } from './get-text.ts';
import type { KeyTiming } from './key-set.ts';
import { KeysError } from './keys-error.ts';

/** Where the public keys of an issuer are. */
export interface KeySource {
  /** As it may be shown. */
  name: string;
  timing: KeyTiming;
  /** A JSON Web Key Set as text. Throws `KeysError`, also when it has taken too long. */
  read(ended: AbortSignal): Promise<string>;
}

/** Found by itself in CONFIG_DIR. */
const FILE = 'jwks.json';
const MINUTE_MS = 60_000;
const FILE_TIMING: KeyTiming = {
  everyMs: 2_000,
  retryMs: 2_000,
  cooldownMs: 1_000,
  maxAgeMs: Number.POSITIVE_INFINITY,
};
const EVERY_MS = 10 * MINUTE_MS;
/** One reading, discovery included, has so long. */
const READ_TIMEOUT_MS = 5_000;

/** Where `auth` says that the keys are. */
export function keySource(auth: AuthConfig, configDir: string): KeySource {
  const { issuer, jwks_file, jwks_url, method } = auth;
  if (method === 'oauth' && issuer !== undefined) return discovered(issuer, serverTiming(auth));
  if (jwks_url !== undefined) return fromUrl(jwks_url, serverTiming(auth));
  return fromFile(resolve(configDir, jwks_file ?? FILE), jwks_file !== undefined);
}

function serverTiming({ jwks_max_age_minutes }: AuthConfig): KeyTiming {
  const maxAgeMs = jwks_max_age_minutes * MINUTE_MS;
  // What a server says in Cache-Control is not followed: a year would keep a key that is withdrawn, 0 would ask for each token.
  return { everyMs: Math.min(EVERY_MS, maxAgeMs / 2), retryMs: 1_000, cooldownMs: 30_000, maxAgeMs };
}

function fromFile(file: string, isNamed: boolean): KeySource {
  const missing = isNamed
    ? `${file}: there is no such file, and auth.yaml names it as jwks_file`
    : `auth.yaml says nothing of the keys that JSON Web Tokens are signed with, and there is no ${file}: put them there, or set jwks_file, jwks_url, or method oauth with issuer`;
  const read = async () => {
    try {
      const found = await stat(file);
      if (!found.isFile()) throw new KeysError(`${file} is no file`);
      if (found.size > MAX_BYTES) throw new KeysError(`${file} is larger than ${MAX_BYTES} bytes`);
      return await readFile(file, 'utf8');
    } catch (error) {
      if (error instanceof KeysError) throw error;
      const { code, message } = error as NodeJS.ErrnoException;
      throw new KeysError(code === 'ENOENT' ? missing : `${file} cannot be read: ${message}`);
    }
  };
  return { name: file, timing: FILE_TIMING, read };
}

const inTime = (ended: AbortSignal) => AbortSignal.any([ended, AbortSignal.timeout(READ_TIMEOUT_MS)]);

function fromUrl(url: string, timing: KeyTiming): KeySource {
  const name = shownUrl(url);
  return { name, timing, read: (ended) => getText(url, name, inTime(ended)) };
}

/** The issuer's document says where its keys are. Both are asked for each time, as either may move. */
function discovered(issuer: string, timing: KeyTiming): KeySource {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const name = shownUrl(url);
  const read = async (ended: AbortSignal) => {
    const signal = inTime(ended);
    const found = jwksUri(await getText(url, name, signal), issuer, name);
    return getText(found, shownUrl(found), signal);
  };
  return { name, timing, read };
}

const discoverySchema = z.looseObject({ issuer: z.string(), jwks_uri: z.url({ protocol: /^https?$/ }) });

/** Where the keys of an issuer are, by its document of OpenID Connect Discovery 1.0. Throws `KeysError`. */
export function jwksUri(document: string, issuer: string, name: string): string {
  const found = discoverySchema.safeParse(parsed(document));
  if (!found.success) throw new KeysError(`${name} is no discovery document: it needs issuer and jwks_uri`);
  const { issuer: its, jwks_uri } = found.data;
  if (its !== issuer) {
    // Also what differs in a slash at the end is another issuer, as the tokens' iss is compared as it is.
    throw new KeysError(`${name} is of the issuer ${JSON.stringify(its.slice(0, 200))}, and auth.yaml says ${issuer}`);
  }
  if (issuer.startsWith('https:') && !jwks_uri.startsWith('https:')) {
    throw new KeysError(`${name}: jwks_uri must be https:// as the issuer is`);
  }
  return jwks_uri;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
