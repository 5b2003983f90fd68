import type { AuditQuery } from './timeline.ts';

/** Adds a parameter of the statement, and gives its place: `$3`. */
type Bind = (value: string) => string;

/** One of the tables that the timeline is made of, told in the timeline's columns. */
interface Source {
  /** All columns in the order of `COLUMNS`. */
  select: string;
  /** What else must be true of a row; an index has the same as its condition. */
  where?: string;
  /** Of each filter the condition, or undefined where no row of this source can meet it. */
  filters: { [Name in Filter]: (value: string, bind: Bind) => string | undefined };
}

type Filter = 'tenant_id' | 'user_id' | 'actor' | 'action' | 'credential_id' | 'target';

/** The timeline's columns; objects are JSON texts. */
const COLUMNS = `id, at, action, actor, source_ip, tenant_id, user_id, credential_id, target, reason, count, limits, api_keys, budget_grant`;

const is = (column: string) => (value: string, bind: Bind) => `${column} = ${bind(value)}`;
const never = () => undefined;

/** Rows of keys whose states hold this; an index finds them. */
const ofKey = (state: object, bind: Bind) => `api_keys @> ${bind(JSON.stringify([state]))}::text::jsonb`;

/** Key changes, configuration, policies. */
const AUDIT_EVENTS: Source = {
  select: `id, at, action, actor, source_ip, tenant_id, null::text, null::text, target, reason, 1::bigint, null, api_keys::text, null
    from audit_events`,
  filters: {
    tenant_id: is('tenant_id'),
    user_id: (user_id, bind) => ofKey({ user_id }, bind),
    actor: is('actor'),
    action: is('action'),
    credential_id: (credential, bind) =>
      credential.startsWith('key:') ? ofKey({ id: credential.slice('key:'.length) }, bind) : undefined,
    target: is('target'),
  },
};

/** Who asked is in `user_id` and `credential_id`. */
const DENIED_REQUESTS: Source = {
  select: `id, at, 'request.denied', null, source_ip, nullif(tenant_id, ''), user_id, credential_id, null, reason, denied, limits::text, null, null
    from usage_events`,
  where: `type = 'denied'`,
  filters: {
    tenant_id: is('tenant_id'),
    user_id: is('user_id'),
    actor: never,
    action: (action) => (action === 'request.denied' ? 'true' : undefined),
    credential_id: is('credential_id'),
    target: never,
  },
};

const IS_REVOKED = `(budget_grant->>'tokens')::numeric < 0`;

/** The target is the grant, whose id the event has in place of a decision's. */
const BUDGET_GRANTS: Source = {
  select: `id, at, case when ${IS_REVOKED} then 'budget.revoked' else 'budget.granted' end, budget_grant->>'by', source_ip,
    tenant_id, user_id, null, decision_id, budget_grant->>'reason', 1::bigint, null, null, budget_grant::text
    from usage_events`,
  where: 'budget_grant is not null',
  filters: {
    tenant_id: is('tenant_id'),
    user_id: is('user_id'),
    actor: is(`budget_grant->>'by'`),
    action: (action) =>
      action === 'budget.revoked' ? IS_REVOKED : action === 'budget.granted' ? `not ${IS_REVOKED}` : undefined,
    credential_id: never,
    target: is('decision_id'),
  },
};

const SOURCES = [AUDIT_EVENTS, DENIED_REQUESTS, BUDGET_GRANTS];
const FILTERS = Object.keys(AUDIT_EVENTS.filters) as Filter[];
const NEWEST_FIRST = 'order by at desc, id desc';

/**
 * The statement that reads one page, and its parameters; undefined if no row can meet all filters. Each source is read in
 * the order of an index and for no more rows than the page has, and the rows are merged. A filter that was not asked for is
 * not in the statement, so that an index fits.
 */
export function timelineSql(query: AuditQuery, limit: number): { text: string; parameters: string[] } | undefined {
  const sources = SOURCES.filter((source) => conditionsOf(source, query, () => '').every((each) => each !== undefined));
  if (sources.length === 0) return undefined;
  const parameters: string[] = [];
  const bind = (value: string) => `$${parameters.push(value)}`;
  const period = periodOf(query, bind);
  const branches = sources.map((source) => {
    const conditions = [...conditionsOf(source, query, bind), ...period];
    const where = conditions.length ? `where ${conditions.join(' and ')}` : '';
    return `(select ${source.select} ${where} ${NEWEST_FIRST} limit ${limit})`;
  });
  const text = `
    select ${COLUMNS}, (extract(epoch from at) * 1000)::bigint::text as epoch_ms
    from (${branches.join(' union all ')}) as timeline (${COLUMNS}) ${NEWEST_FIRST} limit ${limit}`;
  return { text, parameters };
}

function conditionsOf({ filters, where }: Source, query: AuditQuery, bind: Bind): (string | undefined)[] {
  const asked = FILTERS.flatMap((name) => {
    const value = query[name];
    return value === undefined ? [] : [filters[name](value, bind)];
  });
  return where === undefined ? asked : [where, ...asked];
}

function periodOf({ after, from, to }: AuditQuery, bind: Bind): string[] {
  const instant = (value: string) => `${bind(value)}::text::timestamptz`;
  return [
    ...(from === undefined ? [] : [`at >= ${instant(from)}`]),
    ...(to === undefined ? [] : [`at < ${instant(to)}`]),
    ...(after ? [`(at, id) < (${instant(new Date(after.at).toISOString())}, ${bind(after.id)})`] : []),
  ];
}
