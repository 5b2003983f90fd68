import type { Hono } from 'hono';
import { pino } from 'pino';
import type { Sql } from 'postgres';
import Stripe from 'stripe';
import { beforeEach, describe, expect, test } from 'vitest';
import { stripeWebhookRoutes } from '../../billing-worker/routes/stripe-webhook.ts';
import { DATABASES } from './databases.ts';
import { openBooks } from './exports-books.ts';

const SECRET = 'whsec_VerySecret';
const [{ open } = expect.fail()] = DATABASES;

describe('POST /webhooks/stripe', () => {
  let sql: Sql;
  let books: ReturnType<typeof openBooks>;
  let app: Hono;
  let said: string[];

  beforeEach(async () => {
    ({ sql } = await open());
    books = openBooks(sql);
    said = [];
    const log = pino({ level: 'trace' }, { write: (line: string) => void said.push(line) });
    app = stripeWebhookRoutes({ stripeWebhookSecret: SECRET, sql, clock: books.clock, log });
  }, 120_000);

  let events = 0;
  const event = (type: string, invoice: object, id = `evt_${++events}`) => ({
    id,
    object: 'event',
    type,
    created: Math.floor(books.clock.now() / 1000),
    data: { object: { object: 'invoice', ...invoice } },
  });
  const sign = (payload: string, { at = books.clock.now(), secret = SECRET } = {}) =>
    Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp: Math.floor(at / 1000) });
  const post = (body: string, signature: string | undefined) =>
    app.request('/webhooks/stripe', {
      method: 'POST',
      body,
      ...(signature && { headers: { 'Stripe-Signature': signature } }),
    });
  const tell = (what: object) => post(JSON.stringify(what), sign(JSON.stringify(what)));

  async function sent() {
    const invoice = await books.tokens('acme', 100_000);
    await sql`insert into invoice_deliveries (invoice_id, target, state, attempts, refusals, next_at, external_id)
      values (${invoice.id}, 'stripe_test', 'delivered', 1, 0, now(), 'in_1')`;
    return invoice;
  }
  const steps = () => sql`select state, by, reference from invoice_states order by step`;

  test('paid, and paid again by the same and by another event: one step, with the reference', async () => {
    const invoice = await sent();
    const paid = event('invoice.paid', { id: 'in_1' });
    for (const each of [paid, paid, event('invoice.paid', { id: 'in_1' })]) expect((await tell(each)).status).toBe(200);
    expect([...(await steps())]).toEqual([
      { state: 'finalised', by: 'test', reference: null },
      { state: 'paid', by: 'stripe', reference: 'in_1' },
    ]);
    expect(await books.stateOf(invoice)).toBe('paid');
    expect(await sql`select id from stripe_events`).toHaveLength(2);
  });

  test('a failed payment is recorded once, and said, and the state stays', async () => {
    const invoice = await sent();
    const failed = event('invoice.payment_failed', { id: 'in_1' });
    for (let time = 0; time < 3; time++) expect((await tell(failed)).status).toBe(200);
    expect(await books.stateOf(invoice)).toBe('finalised');
    expect([...(await sql`select type, invoice_id, external_id from stripe_events`)]).toEqual([
      { type: 'invoice.payment_failed', invoice_id: invoice.id, external_id: 'in_1' },
    ]);
    expect(said.filter((line) => line.includes('a payment has failed'))).toHaveLength(1);
  });

  test('voided is void; what Stripe says after that changes nothing, and is said loudly', async () => {
    const invoice = await sent();
    await tell(event('invoice.voided', { id: 'in_1' }));
    expect(await books.stateOf(invoice)).toBe('void');
    expect((await tell(event('invoice.paid', { id: 'in_1' }))).status).toBe(200);
    expect(await books.stateOf(invoice)).toBe('void');
    expect(said.join()).toContain('Stripe disagrees');
  });

  test('an event that is faster than the record of the invoice finds it by our id', async () => {
    const invoice = await books.tokens('acme', -50_000);
    await tell(event('invoice.paid', { id: 'in_7', metadata: { openclaw_invoice_id: invoice.id } }));
    expect(await books.stateOf(invoice)).toBe('paid');
  });

  test('other events, and invoices of others, are answered with 200 and change nothing', async () => {
    await sent();
    for (const each of [
      event('customer.created', { id: 'cus_1' }),
      event('invoice.finalized', { id: 'in_1' }),
      event('invoice.paid', { id: 'in_other' }),
      event('invoice.paid', { id: 'in_other', metadata: { openclaw_invoice_id: 'none' } }),
    ]) {
      expect((await tell(each)).status).toBe(200);
    }
    expect(await steps()).toHaveLength(1);
    expect(await sql`select id from stripe_events`).toHaveLength(0);
  });

  test('without a signature, with one of another secret or body, or an old one: 400, and nothing changes', async () => {
    const invoice = await sent();
    const body = JSON.stringify(event('invoice.paid', { id: 'in_1' }));
    const now = books.clock.now();
    for (const [signature, why] of [
      [undefined, 'none'],
      ['t=1,v1=00', 'nonsense'],
      [sign(body, { secret: 'whsec_other' }), 'another secret'],
      [sign(`${body} `), 'another body'],
      [sign(body, { at: now - 301_000 }), 'old'],
    ] as const) {
      const answer = await post(body, signature);
      expect(answer.status, why).toBe(400);
      expect(await answer.text()).not.toContain('whsec');
    }
    expect(await books.stateOf(invoice)).toBe('finalised');
    expect((await post(body, sign(body, { at: now - 299_000 }))).status).toBe(200);
    expect(await books.stateOf(invoice)).toBe('paid');
  });

  test('a body that is too long is refused before it is read; without a secret there is no such route', async () => {
    expect((await post('x'.repeat(1_100_000), 't=1,v1=00')).status).toBe(413);
    const closed = stripeWebhookRoutes({
      stripeWebhookSecret: undefined,
      sql,
      clock: books.clock,
      log: pino({ level: 'silent' }),
    });
    expect((await closed.request('/webhooks/stripe', { method: 'POST' })).status).toBe(404);
  });
});
