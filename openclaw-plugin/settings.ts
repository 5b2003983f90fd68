type Environment = Record<string, string | undefined>;

export interface NamedUser {
  user?: string;
  tenant?: string;
}

export interface Settings {
  endpoint: URL;
  usageEndpoint: URL;
  /** Undefined: nothing is shown to the sidecar. */
  bearer: string | undefined;
  timeoutMs: number;
  onFailure: 'deny' | 'allow';
  /** A template; empty: none is said. */
  tenant: string;
  /** A template. */
  user: string | undefined;
  /** By `channel:sender`, `channel:account:sender` or `channel`. */
  users: ReadonlyMap<string, NamedUser>;
  footer: boolean;
  denyStyle: 'reply' | 'block';
}

export interface BadSettings {
  problem: string;
  onFailure: 'deny' | 'allow';
  denyStyle: 'reply' | 'block';
}

const DEFAULT_TIMEOUT_MS = 3_000;
const DEFAULT_TENANT = '{agent}';

/**
 * The plugin's configuration, with `$NAME` and `${NAME}` read from the environment. What cannot be used is a value, not an
 * error: a plugin that throws while it is loaded is left out, and every run would go on unasked.
 */
export function readSettings(config: unknown, environment: Environment): Settings | BadSettings {
  const given = asObject(config);
  const onFailure = given.on_failure === 'allow' ? 'allow' : 'deny';
  const denyStyle = given.deny_style === 'block' ? 'block' : 'reply';
  try {
    const fill = (value: unknown) => fromEnvironment(value, environment);
    const endpoint = url('endpoint', fill(given.endpoint));
    const usage = fill(given.usage_endpoint);
    const identity = asObject(given.identity);
    return {
      endpoint,
      usageEndpoint: usage === undefined ? new URL('/v1/usage', endpoint) : url('usage_endpoint', usage),
      bearer: fill(asObject(given.auth).bearer) || undefined,
      timeoutMs: typeof given.timeout_ms === 'number' ? given.timeout_ms : DEFAULT_TIMEOUT_MS,
      onFailure,
      tenant: fill(given.tenant) ?? DEFAULT_TENANT,
      user: fill(identity.user),
      users: new Map(Object.entries(asObject(identity.users)).map(([sender, who]) => [sender, namedUser(who)])),
      footer: given.footer !== false,
      denyStyle,
    };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error), onFailure, denyStyle };
  }
}

const asObject = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

function namedUser(who: unknown): NamedUser {
  if (typeof who === 'string') return { user: who };
  const { tenant, user } = asObject(who);
  return { ...(typeof user === 'string' && { user }), ...(typeof tenant === 'string' && { tenant }) };
}

const REFERENCE = /\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))/g;

function fromEnvironment(value: unknown, environment: Environment): string | undefined {
  if (typeof value !== 'string') return undefined;
  return value.replace(REFERENCE, (_whole, braced?: string, plain?: string) => {
    const name = braced ?? plain ?? '';
    const found = environment[name];
    if (found === undefined || found === '') throw new Error(`the environment has no ${name}`);
    return found;
  });
}

function url(key: string, text: string | undefined): URL {
  if (text === undefined) throw new Error(`${key} is missing`);
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') return parsed;
  throw new Error(`${key} must be an http or https address, not ${JSON.stringify(text)}`);
}
