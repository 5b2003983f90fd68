import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { packageRoot } from '../../../runtime/package-root.ts';
import { pepReportSchema } from '../../../sidecar/peps/peps.ts';
import type { Dice } from './dice.ts';
import { hostileName, hostileValue, someName } from './hostile-values.ts';
import { type JsonSchema, jsonOf } from './json-of-schema.ts';

/** What earlier answers named, so that later requests get further. */
export interface Seen {
  decisions: string[];
  keys: string[];
}

export interface Route {
  service: 'sidecar' | 'worker';
  /** How often it is asked, beside the others. */
  weight: number;
  method: string;
  token: 'service' | 'admin' | 'session' | 'none';
  path(dice: Dice, seen: Seen): string;
  /** Names of parameters that it knows. */
  query?: string[];
  body?(dice: Dice, seen: Seen): unknown;
  /** A form instead of JSON. */
  isForm?: boolean;
}

const schemaOf = (name: string) =>
  JSON.parse(readFileSync(join(packageRoot, 'schemas', 'json', `${name}.json`), 'utf8')) as JsonSchema;
const INPUT = schemaOf('input');
const USAGE = schemaOf('usage-report');
const PEP = z.toJSONSchema(pepReportSchema) as JsonSchema;
const object = (properties: Record<string, JsonSchema>, required: string[] = []): JsonSchema => ({
  type: 'object',
  properties,
  required,
});
const text: JsonSchema = { type: 'string' };
const instant: JsonSchema = { type: 'string', format: 'date-time' };
const GRANT = object({ tokens: { type: 'integer' }, expires_at: instant, reason: text, tenant_id: text }, [
  'tokens',
  'expires_at',
  'reason',
]);
const KEY = object({ tenant_id: text, team_id: text, user_id: text, name: text, expires_at: instant, reason: text });
const ROTATE = object({ grace: { enum: ['0s', '72h', '91d'] }, expires_at: instant, reason: text });
const CLEAR = object({ account: text, model: text }, ['account']);
const REPLAY = object({
  ids: { type: 'array', items: text },
  all: { type: 'boolean' },
  after: text,
  dry_run: { type: 'boolean' },
});
const REPAIR = object({ tenant_id: text, cycle: instant, dry_run: { const: true } }, ['tenant_id', 'cycle', 'dry_run']);
const CREDIT = object({ amount: { enum: ['1.00', '-1', '1e3', '0.001'] }, reason: text }, ['reason']);
const GATEWAY = object(
  { id: text, at: instant, path: text, status: { type: 'integer' }, team_id: text, user_id: text },
  ['id', 'at', 'path', 'status'],
);

const segment = (dice: Dice) => encodeURIComponent(someName(dice).toWellFormed());
const DOCUMENTS = [
  'openclaw/rate_limit/allow',
  'openclaw/rate_limit/decision',
  'openclaw/rate_limit/decision/obligations/force_model',
  'openclaw/rate_limit',
  'openclaw/rate_limit/plan',
  'openclaw/routing/decision',
  'openclaw/routing/allow',
  'openclaw',
  '',
];
const document = (dice: Dice) =>
  dice.chance(0.85) ? dice.one(DOCUMENTS) : Array.from({ length: dice.below(5) }, () => segment(dice)).join('/');

/** An input of a decision: of one of few tenants mostly, with an id now and then. */
function input(dice: Dice): unknown {
  const value = jsonOf(INPUT, dice);
  if (typeof value !== 'object' || value === null || Array.isArray(value) || dice.chance(0.1)) return value;
  const own = { tenant_id: someName(dice), ...(dice.chance(0.2) && { request_id: `r${dice.below(1_000)}` }) };
  return { ...value, ...own, identity: undefined, outcome: undefined };
}

const usage = (dice: Dice, { decisions }: Seen): unknown => {
  const value = jsonOf(USAGE, dice);
  if (typeof value !== 'object' || value === null || Array.isArray(value) || decisions.length === 0) return value;
  return dice.chance(0.7) ? { ...value, decision_id: dice.one(decisions), tenant_id: undefined } : value;
};

const batch = (dice: Dice) =>
  dice.chance(0.05)
    ? hostileValue(dice)
    : {
        inputs: Object.fromEntries(
          Array.from({ length: dice.below(6) }, (_, i) => [
            dice.chance(0.1) ? hostileName(dice) : `i${i}`,
            input(dice),
          ]),
        ),
      };

const keyId = (dice: Dice, { keys }: Seen) => (keys.length && dice.chance(0.7) ? dice.one(keys) : segment(dice));
const decisionId = (dice: Dice, { decisions }: Seen) =>
  decisions.length && dice.chance(0.7) ? dice.one(decisions) : segment(dice);
const cycle = (dice: Dice) => `${segment(dice)}${dice.one(['@2026-11-01T00:00:00.000Z', '@2026-11', '', '%40x'])}`;
const invoice = (dice: Dice) =>
  dice.one(['INV-000001', 'INV-999999', '0192f0c1-0000-7000-8000-000000000000', segment(dice)]);

const OPTIONS = ['pretty', 'metrics', 'provenance', 'explain', 'dry_run', 'instrument', 'strict-builtin-errors'];
const PAGE = ['limit', 'after'];

const on = (
  service: Route['service'],
  token: Route['token'],
  method: string,
  path: string | Route['path'],
  more: Partial<Route> = {},
): Route => ({ service, token, method, path: typeof path === 'string' ? () => path : path, weight: 1, ...more });

const decisions: Route[] = [
  on('sidecar', 'service', 'POST', (dice) => `/v1/data/${document(dice)}`, {
    weight: 60,
    query: OPTIONS,
    body: (dice) => ({ input: input(dice) }),
  }),
  on('sidecar', 'service', 'GET', (dice) => `/v1/data/${document(dice)}`, { weight: 10, query: [...OPTIONS, 'input'] }),
  on('sidecar', 'service', 'POST', (dice) => `/v0/data/${document(dice)}`, { weight: 10, query: OPTIONS, body: input }),
  on('sidecar', 'service', 'POST', '/', { weight: 3, query: OPTIONS, body: input }),
  on('sidecar', 'service', 'POST', (dice) => `/v1/batch/data/${document(dice)}`, {
    weight: 8,
    query: OPTIONS,
    body: batch,
  }),
  on('sidecar', 'service', 'POST', '/v1/usage', { weight: 20, body: usage }),
  on('sidecar', 'service', 'GET', (dice, seen) => `/v1/decisions/${decisionId(dice, seen)}`, {
    weight: 6,
    query: ['tenant_id'],
  }),
  on('sidecar', 'service', 'POST', '/v1/peps', { weight: 3, body: (dice) => jsonOf(PEP, dice) }),
  on('sidecar', 'service', 'GET', '/authz', { weight: 12, query: ['package'] }),
  on('sidecar', 'service', 'POST', '/authz', { weight: 3, query: ['package'], body: hostileValue }),
  on(
    'sidecar',
    'service',
    'GET',
    (dice) =>
      dice.one(['/v1/status', '/v1/config', '/v1/providers/status', '/health', '/health/ready', '/health/live']),
    { weight: 4, query: ['pretty', 'bundles', 'plugins', 'exclude-plugin'] },
  ),
  on('sidecar', 'none', 'GET', (dice) => `/${segment(dice)}/${segment(dice)}`, { weight: 3 }),
  on(
    'sidecar',
    'service',
    'PUT',
    (dice) => dice.one(['/v1/data/x', '/v1/policies/x', '/v1/query/x', '/v1/compile/x']),
    { weight: 1, body: hostileValue },
  ),
];

const admin: Route[] = [
  on('sidecar', 'admin', 'GET', '/api/admin/budgets', {
    weight: 2,
    query: ['user_id', 'tenant_id', 'package', ...PAGE],
  }),
  on('sidecar', 'admin', 'POST', (dice) => `/api/admin/budgets/${segment(dice)}/grants`, {
    body: (dice) => jsonOf(GRANT, dice),
  }),
  on('sidecar', 'admin', 'GET', (dice) => `/api/admin/budgets/${segment(dice)}/grants`, { query: ['tenant_id'] }),
  on('sidecar', 'admin', 'DELETE', (dice) => `/api/admin/budgets/${segment(dice)}/grants/${segment(dice)}`, {
    query: ['tenant_id'],
  }),
  on('sidecar', 'admin', 'POST', '/api/admin/keys', { body: (dice) => jsonOf(KEY, dice) }),
  on('sidecar', 'admin', 'GET', '/api/admin/keys', { weight: 0.5, query: ['tenant_id', ...PAGE] }),
  on('sidecar', 'admin', 'GET', (dice, seen) => `/api/admin/keys/${keyId(dice, seen)}`),
  on('sidecar', 'admin', 'POST', (dice, seen) => `/api/admin/keys/${keyId(dice, seen)}/rotate`, {
    weight: 0.5,
    body: (dice) => jsonOf(ROTATE, dice),
  }),
  on('sidecar', 'admin', 'POST', (dice, seen) => `/api/admin/keys/${keyId(dice, seen)}/revoke`, {
    weight: 0.5,
    body: (dice) => jsonOf(object({ reason: text }), dice),
  }),
  on('sidecar', 'admin', 'POST', '/api/admin/cooldowns/clear', { weight: 0.5, body: (dice) => jsonOf(CLEAR, dice) }),
];

const billing: Route[] = [
  on('worker', 'admin', 'GET', '/v1/usage', { weight: 1.5, query: ['tenant_id', 'from', 'to', 'group_by', 'format'] }),
  on('worker', 'admin', 'GET', '/v1/audit', {
    query: ['from', 'to', 'tenant_id', 'action', 'target', 'format', ...PAGE],
  }),
  on('worker', 'admin', 'GET', '/v1/allocation', {
    query: ['invoice_usd', 'by', 'month', 'timezone', 'tenant_id', 'teams', 'format'],
  }),
  on('worker', 'admin', 'GET', '/v1/cycles', { weight: 0.5, query: ['tenant_id', 'through'] }),
  on('worker', 'admin', 'GET', (dice) => `/v1/cycles/${cycle(dice)}/preview`, { weight: 0.5 }),
  on('worker', 'admin', 'POST', (dice) => `/v1/cycles/${cycle(dice)}/close`, { weight: 0.5, body: hostileValue }),
  on('worker', 'admin', 'GET', '/v1/invoices', { query: ['tenant_id', 'state', ...PAGE] }),
  on('worker', 'admin', 'GET', '/v1/invoices/upcoming', { weight: 0.5, query: ['tenant_id'] }),
  on('worker', 'admin', 'GET', '/v1/invoices/export', { weight: 0.5, query: ['month', 'tenant_id', 'format'] }),
  on('worker', 'admin', 'GET', (dice) => `/v1/invoices/${invoice(dice)}`, { query: ['format'] }),
  on('worker', 'admin', 'GET', (dice) => `/v1/invoices/${invoice(dice)}/lines/${dice.below(3)}/events`, {
    query: PAGE,
  }),
  on('worker', 'admin', 'GET', (dice) => `/v1/invoices/${invoice(dice)}/deliveries`, { weight: 0.5 }),
  on('worker', 'admin', 'POST', (dice) => `/v1/invoices/${invoice(dice)}/deliveries/${segment(dice)}`, { weight: 0.5 }),
  on(
    'worker',
    'admin',
    'POST',
    (dice) => `/v1/invoices/${invoice(dice)}/${dice.one(['credit_notes', 'paid', 'void', 'reprice'])}`,
    { body: (dice) => jsonOf(CREDIT, dice) },
  ),
  on('worker', 'admin', 'GET', '/v1/held', { weight: 0.5, query: ['tenant_id'] }),
  on('worker', 'admin', 'GET', '/v1/reconcile', { weight: 0.5, query: ['tenant_id', 'cycle', ...PAGE] }),
  on('worker', 'admin', 'POST', '/v1/reconcile/repair', { weight: 0.5, body: (dice) => jsonOf(REPAIR, dice) }),
  on('worker', 'admin', 'GET', '/v1/dead-letters', { query: ['reason', 'raw', ...PAGE] }),
  on('worker', 'admin', 'POST', '/v1/dead-letters/replay', { weight: 0.5, body: (dice) => jsonOf(REPLAY, dice) }),
  on('worker', 'admin', 'POST', '/v1/usage-log', { body: (dice) => jsonOf(GATEWAY, dice) }),
  on('worker', 'admin', 'GET', '/v1/usage-log/unsettled', { weight: 0.5, query: ['older_than_s', ...PAGE] }),
  on('worker', 'none', 'POST', '/webhooks/stripe', { weight: 0.5, body: hostileValue }),
  on(
    'worker',
    'none',
    'GET',
    (dice) => dice.one(['/health', '/health/live', `/${segment(dice)}`, `/assets/${segment(dice)}`]),
    { weight: 0.5 },
  ),
];

const PAGES = [
  '',
  '/user',
  '/tenant',
  '/tenants',
  '/keys',
  '/keys/new',
  '/providers',
  '/invoices',
  '/ledger',
  '/audit',
  '/audit.csv',
  '/usage.csv',
  '/grant',
  '/cycle',
];
const FILTERS = [
  'tenant_id',
  'user_id',
  'q',
  'sort',
  'dir',
  'page',
  'days',
  'by',
  'period',
  'from',
  'to',
  'after',
  'action',
  'id',
  'state',
  'month',
  'done',
  'group_by',
];

const pages: Route[] = [
  on('worker', 'session', 'GET', (dice) => `/admin${dice.one(PAGES)}`, { weight: 1.5, query: FILTERS }),
  on('worker', 'session', 'GET', (dice) => `/admin/${segment(dice)}/${segment(dice)}`, { weight: 0.5 }),
  on(
    'worker',
    'session',
    'GET',
    (dice) => `/admin/invoices/${invoice(dice)}${dice.one(['', '/csv', '/print', '/paid', '/void'])}`,
    { weight: 0.5 },
  ),
  on(
    'worker',
    'session',
    'POST',
    (dice) => `/admin/${dice.one(['grant', 'link', 'cycle', 'keys/issue', 'ledger/replay', 'sign-out'])}`,
    { weight: 0.5, isForm: true, body: (dice) => jsonOf(KEY, dice) },
  ),
  on('worker', 'none', 'GET', (dice) => `/portal${dice.one(['', '/sign-in', '/usage', `/enter/${segment(dice)}`])}`, {
    weight: 0.5,
    query: ['next', ...FILTERS],
  }),
  on('worker', 'none', 'POST', (dice) => `/${dice.one(['portal', 'admin'])}/sign-in`, {
    weight: 0.5,
    isForm: true,
    body: (dice) => jsonOf(object({ key: text, token: text, next: text, form_token: text }), dice),
  }),
];

/** Every route of both services but those that never end: those have tests of their own. */
export const ROUTES: readonly Route[] = [...decisions, ...admin, ...billing, ...pages];
