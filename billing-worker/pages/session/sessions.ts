import { createHash, randomBytes } from 'node:crypto';
import type { Sql } from 'postgres';
import type { Clock } from '../../../runtime/clock.ts';

const SESSION_MS = 12 * 60 * 60_000;
const LINK_MS = 15 * 60_000;

/** Somebody who has signed in. */
export interface Session {
  /** Whose portal it opens; null: the admin's pages. */
  tenantId: string | null;
  /** Epoch milliseconds. */
  expiresAt: number;
}

/** What is told once, and kept as a digest only. */
export interface Opened {
  secret: string;
  /** Epoch milliseconds. */
  expiresAt: number;
}

export interface SessionsDeps {
  sql: Sql;
  clock: Clock;
  /** Undefined: nobody can be the admin. */
  adminToken: string | undefined;
}

const FIND_SQL = `
select s.tenant_id, s.opened_with, (extract(epoch from s.expires_at) * 1000)::float8 as expires_at,
  opened_with not like 'key:%' or (k.id is not null and k.revoked_at is null and coalesce(k.expires_at > $2::timestamptz, true)) as open
from page_sessions s left join api_keys k on k.id = substr(opened_with, 5) and opened_with like 'key:%'
where s.digest = $1 and s.expires_at > $2::timestamptz`;

/** Who has signed in, and the links by which a tenant can. Kept in the ledger's database, so that every worker knows them. */
export class Sessions {
  readonly #deps: SessionsDeps;
  readonly #adminMark: string | undefined;

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
    this.#adminMark =
      deps.adminToken === undefined ? undefined : `admin:${digestOf(`session of ${deps.adminToken}`).slice(0, 16)}`;
  }

  /** For whoever has shown the admin token. It ends when the token changes. */
  openAdmin(): Promise<Opened> {
    if (this.#adminMark === undefined) throw new Error('without ADMIN_TOKEN nobody can sign in as admin');
    return this.#open(null, this.#adminMark);
  }

  /** `with`: `link`, or `key:<id>`, whose end is the session's. */
  openTenant(tenantId: string, openedWith: string): Promise<Opened> {
    return this.#open(tenantId, openedWith);
  }

  async find(secret: string): Promise<Session | undefined> {
    const [row] = await this.#deps.sql.unsafe(FIND_SQL, [digestOf(secret), this.#instant(0)], { prepare: true });
    if (!row?.open) return undefined;
    if (row.tenant_id === null && row.opened_with !== this.#adminMark) return undefined;
    return { tenantId: row.tenant_id, expiresAt: row.expires_at };
  }

  async end(secret: string): Promise<void> {
    await this.#deps.sql`delete from page_sessions where digest = ${digestOf(secret)}`;
  }

  /** Works once, for a quarter of an hour. */
  async makeLink(tenantId: string): Promise<Opened> {
    const { clock, sql } = this.#deps;
    const secret = newSecret();
    await sql`
      insert into page_links (digest, tenant_id, created_at, expires_at)
      values (${digestOf(secret)}, ${tenantId}, ${this.#instant(0)}::timestamptz, ${this.#instant(LINK_MS)}::timestamptz)`;
    return { secret, expiresAt: clock.now() + LINK_MS };
  }

  /** The tenant that the link is for; undefined: it was used, its time is over, or there is none. Uses it up. */
  async useLink(secret: string): Promise<string | undefined> {
    const now = this.#instant(0);
    const [row] = await this.#deps.sql`
      update page_links set used_at = ${now}::timestamptz
      where digest = ${digestOf(secret)} and used_at is null and expires_at > ${now}::timestamptz
      returning tenant_id`;
    return row?.tenant_id;
  }

  async #open(tenantId: string | null, openedWith: string): Promise<Opened> {
    const { clock, sql } = this.#deps;
    const secret = newSecret();
    await sql`delete from page_sessions where expires_at <= ${this.#instant(0)}::timestamptz`;
    await sql`delete from page_links where expires_at <= ${this.#instant(-LINK_MS)}::timestamptz`;
    await sql`
      insert into page_sessions (digest, tenant_id, opened_with, created_at, expires_at)
      values (${digestOf(secret)}, ${tenantId}, ${openedWith}, ${this.#instant(0)}::timestamptz, ${this.#instant(SESSION_MS)}::timestamptz)`;
    return { secret, expiresAt: clock.now() + SESSION_MS };
  }

  /** So long from now. */
  #instant(milliseconds: number): string {
    return new Date(this.#deps.clock.now() + milliseconds).toISOString();
  }
}

/** 256 bits. */
export const newSecret = (): string => randomBytes(32).toString('base64url');

export const digestOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');
