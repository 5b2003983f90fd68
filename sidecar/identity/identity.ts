/** The parts of a request's input that say who is asking. */
export const WHO = ['tenant_id', 'user_id', 'team_id', 'department_id', 'role'] as const;

export type Who = Partial<Record<(typeof WHO)[number], string>>;

/** Who is calling. */
export interface Identity {
  /**
   * `service`: bears the service's token, and may speak for any tenant and user. `user`: bound to itself.
   * `anonymous`: showed nothing, where nothing need be shown; may speak for a tenant, and for no user.
   */
  type: 'service' | 'user' | 'anonymous';
  /** Names the credential in usage events, and is not it: `key:3f9a0c12`, `jwt`, `proxy`. */
  credentialId?: string;
  /** Of a user: what a request may not say otherwise. */
  bound: Who;
  /** Of a key of a whole tenant or team: what it may name beside `bound`, so long as it is the tenant's or team's own. */
  speaksFor?: readonly ('team_id' | 'user_id')[];
  /** Of a key that was issued: the gate that its revocation closes. */
  gate?: string;
  /** Of a user: the projects that it may name; undefined: any. */
  projects?: readonly string[];
}

export const SERVICE: Identity = { type: 'service', bound: {} };

export const ANONYMOUS: Identity = { type: 'anonymous', bound: {} };

/** Why somebody is not let in, and what is known of who it is. */
export interface Unidentified {
  type: 'unidentified';
  why: 'unidentified' | 'revoked_key' | 'expired_key' | 'too_many_failures';
  credentialId?: string;
  tenantId?: string;
  /** Milliseconds. */
  retryAfter?: number;
}

export const UNIDENTIFIED: Unidentified = { type: 'unidentified', why: 'unidentified' };
