import { createHash } from 'node:crypto';
import type { EventSubject } from '../counters/contract.ts';
import { type Identity, SERVICE } from '../identity/identity.ts';
import { canonicalMembers, InputError } from '../policy/canonical.ts';

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
  const more = {
    ...(type !== 'service' && { identity: { type } }),
    ...(grantedTokens > 0 && { granted_tokens: grantedTokens }),
  };
  const text = canonicalMembers(fields, HIDDEN, more);
  const tenant_id = name(fields.tenant_id, 'tenant_id');
  if (tenant_id === undefined) {
    throw new MissingTenant(
      'input.tenant_id is missing; it says whose bucket to draw on, such as {"tenant_id": "acme"}',
    );
  }
  const request_id = name(fields.request_id, 'request_id') ?? name(idempotencyKey, 'request_id');
  return {
    pkg,
    input: text,
    requestId: request_id,
    keyGate: gate,
    fingerprint: request_id === undefined ? '' : fingerprintOf(pkg, asked),
    // One by one: in a loop, with what is missing left out, they took 1.5 µs.
    subject: {
      tenant_id,
      user_id: name(fields.user_id, 'user_id'),
      team_id: name(fields.team_id, 'team_id'),
      project_id: name(fields.project_id, 'project_id'),
      department_id: name(fields.department_id, 'department_id'),
      agent_id: name(fields.agent_id, 'agent_id'),
      channel: name(fields.channel, 'channel'),
      model: name(fields.model, 'model'),
      run_id: name(fields.run_id, 'run_id'),
      credential_id: credentialId,
      source_ip: address,
      request_id,
    },
  };
}

const fingerprintOf = (pkg: string, asked: unknown) =>
  createHash('sha256')
    .update(`${pkg} ${canonicalMembers(asked as object, HIDDEN)}`)
    .digest('base64url');

/** A name that the input says under this key. */
function name(value: unknown, key: string): string | undefined {
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
