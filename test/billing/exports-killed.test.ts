import Stripe from 'stripe';
import { expect, test } from 'vitest';
import { openDatabase } from '../../billing-worker/database/open.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startWorker } from '../helpers/services.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { silent } from './databases.ts';
import { openBooks } from './exports-books.ts';
import { type StripeRequest, StripeServer } from './stripe-server.ts';

const SECRET = 'sk_test_51VerySecretKey';
const WEBHOOK_SECRET = 'whsec_VerySecretToo';

test('a billing worker that is killed with -9 between what it sends and what it records: one invoice at Stripe', {
  timeout: 120_000,
}, async () => {
  const redis = await startRedis();
  const { drop, url } = await createDatabase();
  atTestEnd(drop);
  const { close, sql } = await openDatabase({ databaseUrl: url, dataDir: '/nonexistent', log: silent });
  atTestEnd(close);
  const stripe = await StripeServer.start();
  const invoice = await openBooks(sql).models('llm', 2);
  await sql`insert into delivery_targets (target, since) values ('stripe_test', '2026-01-01')`;
  const environment = {
    ADMIN_TOKEN: 'admin',
    DATABASE_URL: url,
    REDIS_URL: redis.url,
    STRIPE_SECRET_KEY: SECRET,
    STRIPE_API_BASE: stripe.url,
    STRIPE_WEBHOOK_SECRET: WEBHOOK_SECRET,
  };
  const output: string[] = [];

  const steps = fullLength
    ? ['/v1/customers', '/v1/invoices', '/v1/invoiceitems', '/finalize']
    : ['/v1/invoices', '/finalize'];
  for (const step of steps) {
    const done = new Promise<StripeRequest>((resolve) => {
      stripe.onHang = resolve;
    });
    // The work is done there, and nobody ever hears of it.
    stripe.fault = ({ method, path }) => (method === 'POST' && path.endsWith(step) ? 'hang' : undefined);
    const worker = await startWorker(environment);
    await done;
    await worker.process.kill('SIGKILL');
    output.push(...worker.process.output);
    // As when its lease has run out.
    expect((await sql`update invoice_deliveries set next_at = now() where state = 'pending'`).count).toBe(1);
  }

  stripe.fault = () => undefined;
  const worker = await startWorker(environment);
  await eventually(async () => {
    expect([...(await sql`select state, attempts from invoice_deliveries`)]).toEqual([
      { state: 'delivered', attempts: steps.length + 1 },
    ]);
  });
  expect(stripe.customers.size).toBe(1);
  expect(stripe.invoices.size).toBe(1);
  expect(stripe.finalised[0]?.items.map((item) => item['metadata[openclaw_invoice_line]'])).toEqual([
    '1',
    '2',
    '3',
    '4',
  ]);
  expect(stripe.finalised.map(stripe.totalOf)).toEqual([Math.round(Number(invoice.total) * 100)]);

  const metrics = await (await fetch(`${worker.url}/metrics`)).text();
  expect(metrics).toContain('openclaw_invoice_delivery_attempts_total{target="stripe_test",result="delivered"} 1');
  expect(metrics).toContain('openclaw_invoice_deliveries_pending{target="stripe_test"} 0');
  const payload = JSON.stringify({
    id: 'evt_1',
    object: 'event',
    type: 'invoice.paid',
    created: Math.floor(Date.now() / 1000),
    data: { object: { id: stripe.finalised[0]?.id, object: 'invoice' } },
  });
  const signature = Stripe.webhooks.generateTestHeaderString({ payload, secret: WEBHOOK_SECRET });
  const tell = (headers: Record<string, string>) =>
    fetch(`${worker.url}/webhooks/stripe`, { method: 'POST', body: payload, headers });
  expect((await tell({})).status).toBe(400);
  expect((await tell({ 'Stripe-Signature': signature })).status).toBe(200);
  const asked = await fetch(`${worker.url}/v1/invoices/${invoice.number}`, {
    headers: { Authorization: 'Bearer admin' },
  });
  expect(asked.headers.get('X-Invoice-State')).toBe('paid');
  expect((await worker.process.stop()).code).toBe(0);
  expect([...output, ...worker.process.output].join('\n')).not.toContain('VerySecret');
});
