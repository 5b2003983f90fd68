import { createHash } from 'node:crypto';
import type { EventSubject } from '../counters/contract.ts';
import { type Identity, SERVICE } from '../identity/identity.ts';
import { canonical, InputError } from '../policy/canonical.ts';

/** A request to a metered package, read from the caller's input. */
export interface DecisionRequest {
  /** The package as a path: `openclaw/rate_limit`. */
  pkg: string;
  /** What the policy sees, as canonical JSON text. */
  input: string;
  requestId: string | undefined;
  fingerprint: string;
  /** The gate of the key that asks. */
  keyGate: string | undefined;
  /** Without the policy's revision, which is known only when the policy is asked. */
  subject: Omit<EventSubject, 'policy_revision'>;
}

/**
 * Names in usage events and keys. Longer ones are a mistake or an attack, and would fill the store. Five of them, in
 * UTF-8, are the key of a rollup, and PostgreSQL takes no more than 2,704 bytes there.
 */
const MAX_NAME_BYTES = 256;

const NAMES = [
  'user_id',
  'team_id',
  'project_id',
  'department_id',
  'agent_id',
  'channel',
  'model',
  'run_id',
] as const satisfies (keyof EventSubject)[];

/** No policy sees these: the first two differ from call to call, the others are the sidecar's to say. */
const HIDDEN = new Set(['request_id', 'run_id', 'identity', 'outcome', 'granted_tokens']);

/** The request names no tenant, and nobody is charged for what nobody asked for. */
export class MissingTenant extends InputError {}

/** What the sidecar knows of a request beside its input. */
export interface Known {
  /** A policy sees its `type` as `input.identity` unless it is the service's own. */
  identity?: Identity;
  /** On top of each of the user's budgets; a policy sees them as `input.granted_tokens` where there are any. */
  grantedTokens?: number;
  /** The input as it was sent: who repeats it says the same again, whatever has become known of the caller meanwhile. */
  asked?: unknown;
  /** Where it comes from. */
  address?: string | undefined;
}

/** Throws `InputError` for input that is not an object, or whose names are not text of a sensible length. */
export function readRequest(
  pkg: string,
  input: unknown,
  idempotencyKey: string | undefined,
  { address, asked = input, grantedTokens = 0, identity: { credentialId, gate, type } = SERVICE }: Known = {},
): DecisionRequest {
  if (input === null || typeof input !== 'object' || Array.isArray(input)) {
    throw new InputError('input must be an object, such as {"tenant_id": "acme"}');
  }
  const fields = input as Record<string, unknown>;
  const shown = shownTo(fields);
  if (type !== 'service') shown.identity = { type };
  if (grantedTokens > 0) shown.granted_tokens = grantedTokens;
  const text = canonical(shown);
  const tenantId = nameOf(fields, 'tenant_id');
  if (tenantId === undefined) {
    throw new MissingTenant(
      'input.tenant_id is missing; it says whose bucket to draw on, such as {"tenant_id": "acme"}',
    );
  }
  const requestId = nameOf(fields, 'request_id') ?? nameOf({ request_id: idempotencyKey }, 'request_id');
  const names: Partial<Record<(typeof NAMES)[number], string>> = {};
  for (const key of NAMES) {
    const name = nameOf(fields, key);
    if (name !== undefined) names[key] = name;
  }
  return {
    pkg,
    input: text,
    requestId,
    keyGate: gate,
    fingerprint: requestId === undefined ? '' : fingerprintOf(pkg, asked),
    subject: {
      tenant_id: tenantId,
      ...names,
      ...(credentialId !== undefined && { credential_id: credentialId }),
      ...(address !== undefined && { source_ip: address }),
      ...(requestId !== undefined && { request_id: requestId }),
    },
  };
}

/** The input without what no policy sees. */
function shownTo(fields: object): Record<string, unknown> {
  // Own properties whatever they are called, `__proto__` too.
  const shown: Record<string, unknown> = Object.create(null);
  for (const key of Object.keys(fields)) {
    if (!HIDDEN.has(key)) shown[key] = (fields as Record<string, unknown>)[key];
  }
  return shown;
}

const fingerprintOf = (pkg: string, asked: unknown) =>
  createHash('sha256')
    .update(`${pkg} ${canonical(shownTo(asked as object))}`)
    .digest('base64url');

function nameOf(fields: Record<string, unknown>, key: string): string | undefined {
  const value = fields[key];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw new InputError(`input.${key} must be a string`);
  // A character takes three bytes at most, two of them four.
  if (3 * value.length > MAX_NAME_BYTES && Buffer.byteLength(value) > MAX_NAME_BYTES) {
    throw new InputError(`input.${key} must not be longer than ${MAX_NAME_BYTES} bytes`);
  }
  if (value.includes('\u0000')) throw new InputError(`input.${key} must not contain NUL`);
  if (!value.isWellFormed()) throw new InputError(`input.${key} must be valid Unicode`);
  return value;
}
