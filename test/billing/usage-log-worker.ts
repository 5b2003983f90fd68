import type { Hono } from 'hono';
import type { Sql } from 'postgres';
import { Registry } from 'prom-client';
import { createBillingWorker } from '../../billing-worker/worker.ts';
import { type Clock, systemClock } from '../../runtime/clock.ts';
import type { UsageStream } from '../../schemas/usage-stream.ts';
import { silent } from './databases.ts';
import { workerTerms } from './tenants.ts';

export const TOKEN = 'admin-token';

/** The billing worker's routes on this database. */
export const workerApp = (sql: Sql, clock: Clock = systemClock): Hono =>
  createBillingWorker({
    sql,
    stream: {} as UsageStream,
    ...workerTerms,
    adminToken: TOKEN,
    registry: new Registry(),
    clock,
    log: silent,
  }).app;

/** As the command asks, without a socket. */
export const askOf =
  (app: Pick<Hono, 'request'>) =>
  async (path: string, init: RequestInit = {}) => {
    const answer = await app.request(path, { ...init, headers: { ...init.headers, Authorization: `Bearer ${TOKEN}` } });
    const text = await answer.text();
    if (!answer.ok) throw Object.assign(new Error(text), { status: answer.status });
    return text;
  };
