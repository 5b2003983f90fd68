import { pino } from 'pino';
import type { Sql } from 'postgres';
import { beforeEach, describe, expect, test } from 'vitest';
import { Dispatcher } from '../../billing-worker/exports/dispatcher.ts';
import { readDeliveries, requeueDelivery } from '../../billing-worker/exports/read-deliveries.ts';
import type { InvoiceDocument } from '../../billing-worker/invoices/document.ts';
import { changeState } from '../../billing-worker/invoices/states.ts';
import { stripeTarget } from '../../billing-worker/stripe/target.ts';
import type { Log } from '../../runtime/log.ts';
import { createLog } from '../../runtime/log.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { DATABASES } from './databases.ts';
import { openBooks, TERMS } from './exports-books.ts';
import { startStripeMock } from './stripe-mock.ts';
import { type StripeRequest, StripeServer } from './stripe-server.ts';

const SECRET = 'sk_test_51VerySecretKey';

/** Of requests for the same thing, whatever it is called there. */
function isFirst({ form, method, path }: StripeRequest, seen: Set<string>): boolean {
  const what = `${method} ${path.replace(/in_\d+/, '*')} ${form['metadata[openclaw_invoice_line]'] ?? ''}`;
  return seen.size < seen.add(what).size;
}

const [{ open } = expect.fail()] = DATABASES;

describe('invoices at Stripe', () => {
  let sql: Sql;
  let stripe: StripeServer;
  let books: ReturnType<typeof openBooks>;
  let said: string[];
  let log: Log;

  beforeEach(async () => {
    ({ sql } = await open());
    stripe = await StripeServer.start();
    books = openBooks(sql);
    said = [];
    log = pino({ level: 'trace', base: null }, { write: (line: string) => void said.push(line) });
  }, 120_000);

  /** A worker's dispatcher, as after a start: it knows nothing but what is in the database. */
  async function worker(over: { timeoutMs?: number; retries?: number } = {}) {
    const { retries = 0, timeoutMs = 2_000 } = over;
    const target = stripeTarget({
      secretKey: SECRET,
      apiBase: stripe.url,
      timeoutMs,
      retries,
      collection: 'send_invoice',
      daysUntilDue: 14,
      tenants: () => TERMS.tenants,
      sql,
    });
    const dispatcher = new Dispatcher({ sql, target, clock: books.clock, log, firstWaitMs: 0 });
    await sql`insert into delivery_targets (target, since) values ('stripe_test', '2026-01-01') on conflict do nothing`;
    return dispatcher;
  }

  async function sendAll(dispatcher: Dispatcher, rounds = 10) {
    for (let round = 0; round < rounds; round++) if ((await dispatcher.round()) === 0) return;
  }

  const deliveryOf = async ({ id }: InvoiceDocument) => {
    const { data } = await readDeliveries(id, sql);
    return data[0] as unknown as { state: string; external_id: string; last_error: string; attempts: number };
  };

  test('an invoice is there with each line’s rounded amount, and finalised', async () => {
    const invoice = await books.models('llm', 3);
    await sendAll(await worker());
    const [made] = stripe.finalised;
    expect(stripe.invoices.size).toBe(1);
    expect(made?.items.map(({ amount }) => Number(amount))).toEqual(
      invoice.lines.map(({ amount }) => Math.round(Number(amount) * 100)),
    );
    expect(made?.items.map((each) => each['metadata[openclaw_invoice_line]'])).toEqual(['1', '2', '3', '4', '5', '6']);
    expect(made?.items[0]).toMatchObject({
      currency: 'usd',
      discountable: 'false',
      description: invoice.lines[0]?.description,
      'period[start]': String(Date.parse(invoice.cycle.start) / 1000),
      'period[end]': String(Date.parse(invoice.cycle.end) / 1000),
      'metadata[openclaw_invoice_id]': invoice.id,
    });
    expect(made?.form).toMatchObject({
      auto_advance: 'false',
      collection_method: 'send_invoice',
      days_until_due: '14',
      discounts: '',
      number: invoice.number,
      pending_invoice_items_behavior: 'exclude',
      'metadata[openclaw_tenant_id]': 'llm',
    });
    expect(stripe.totalOf(made as never)).toBe(Math.round(Number(invoice.total) * 100));
    const finalise = stripe.requests.find(({ path }) => path.endsWith('/finalize'));
    expect(finalise?.form).toEqual({ auto_advance: 'true' });
    expect(await deliveryOf(invoice)).toMatchObject({ state: 'delivered', external_id: made?.id, attempts: 1 });
    const keys = stripe.requests.filter(({ method }) => method === 'POST').map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.slice(1)).toEqual([
      `${invoice.id}:0:invoice`,
      ...invoice.lines.map(({ line }) => `${invoice.id}:0:line:${line}`),
      `${invoice.id}:0:finalise`,
    ]);
  });

  test('currencies without cents, with three digits, and Stripe’s own exception', async () => {
    const yen = await books.tokens('tokyo', 7);
    const krona = await books.tokens('reykjavik', 2);
    const dinar = await books.tokens('kuwait', 1_230);
    const tooFine = await books.october('kuwait', 1_234);
    await sendAll(await worker());
    const totals = Object.fromEntries(stripe.finalised.map((each) => [each.currency, stripe.totalOf(each)]));
    expect([yen.total, krona.total, dinar.total, tooFine.total]).toEqual(['521', '7', '1.230', '1.234']);
    expect(totals).toEqual({ jpy: 521, isk: 700, kwd: 1_230 });
    expect(await deliveryOf(tooFine)).toMatchObject({
      state: 'failed',
      last_error: 'Stripe cannot bill 1.234 KWD: the last of its three digits must be 0',
    });
  });

  test('a tenant is one customer, also of two workers at once; the configured one where there is one', async () => {
    await Promise.all([books.tokens('acme', 100_000), books.tokens('known', 100_000)]);
    await books.october('acme', 200_000);
    const workers = await Promise.all([worker(), worker()]);
    await Promise.all(workers.map((each) => sendAll(each)));
    const [made, ...others] = [...stripe.customers.keys()];
    expect(others).toEqual([]);
    expect(stripe.finalised.map(({ customer }) => customer).sort()).toEqual([made, made, 'cus_known']);
    expect([...stripe.customers.values()]).toMatchObject([{ name: 'acme', 'metadata[openclaw_tenant_id]': 'acme' }]);
  });

  test('a negative total is a credit: finalised, and nothing is due', async () => {
    const invoice = await books.tokens('acme', -50_000);
    expect(invoice.total).toBe('-5.00');
    await sendAll(await worker());
    expect(stripe.finalised.map((each) => [stripe.totalOf(each), each.status])).toEqual([[-500, 'paid']]);
  });

  test('a credit note is on the invoice that it corrects: due less while that is open, else to the balance', async () => {
    const invoice = await books.tokens('acme', 100_000);
    const open = await books.credit(invoice, '2.50');
    const dispatcher = await worker();
    await sendAll(dispatcher);
    const [made] = stripe.finalised;
    expect(made?.notes).toMatchObject([{ total: 250, 'lines[0][description]': 'Credit for INV-000001: an outage' }]);
    expect(made?.notes[0]).not.toHaveProperty('credit_amount');
    expect(await deliveryOf(open)).toMatchObject({ state: 'delivered', external_id: made?.notes[0]?.id });
    if (made) made.status = 'paid';
    await books.credit(invoice, '1.00');
    await sendAll(dispatcher);
    expect(made?.notes[1]).toMatchObject({ total: 100, credit_amount: '100' });
  });

  test('a credit note waits for its invoice, and says so where that was never sent', async () => {
    const invoice = await books.tokens('acme', 100_000);
    const note = await books.credit(invoice, '2.50');
    stripe.fault = ({ path }) => (path === '/v1/invoices' ? 'unavailable' : undefined);
    const dispatcher = await worker();
    await sendAll(dispatcher, 1);
    expect(await deliveryOf(note)).toMatchObject({
      state: 'pending',
      last_error: expect.stringContaining('still to be sent'),
    });
    stripe.fault = () => undefined;
    await sendAll(dispatcher);
    expect(await deliveryOf(note)).toMatchObject({ state: 'delivered' });

    const old = await books.tokens('known', 100_000);
    const late = await books.credit(old, '1.00');
    await sql`insert into invoice_deliveries (invoice_id, target, state, attempts, refusals, next_at)
      values (${old.id}, 'stripe_test', 'failed', 1, 0, now())`;
    await sendAll(dispatcher);
    expect(await deliveryOf(late)).toMatchObject({
      state: 'failed',
      last_error: expect.stringContaining('was not sent to Stripe'),
    });
  });

  test.each(['error', 'unavailable', 'lost', 'hang'] as const)(
    'whatever request is answered by “%s”: one invoice, each line once, the same total',
    async (fault) => {
      const invoice = await books.models('llm', 2);
      const hurt = new Set<string>();
      stripe.fault = (request) => (isFirst(request, hurt) ? fault : undefined);
      await sendAll(await worker({ timeoutMs: 300 }), 20);
      expect(hurt.size).toBeGreaterThanOrEqual(8);
      expect(stripe.finalised.map(stripe.totalOf)).toEqual([Math.round(Number(invoice.total) * 100)]);
      expect(stripe.invoices.size).toBe(1);
      expect(stripe.finalised[0]?.items).toHaveLength(4);
      expect(await deliveryOf(invoice)).toMatchObject({ state: 'delivered' });
    },
    60_000,
  );

  test('a worker that dies at any step, and another a week later, when Stripe has forgotten the keys: one invoice', async () => {
    const invoice = await books.models('llm', 2);
    const hung = new Set<string>();
    stripe.fault = (request) => (request.method === 'POST' && isFirst(request, hung) ? 'hang' : undefined);
    for (let step = 1; step <= 9; step++) {
      const dead = new Promise<void>((resolve) => {
        stripe.onHang = () => resolve();
      });
      // It has done its next step and never hears of it: nothing is recorded of that, as after kill -9.
      const dying = await worker({ timeoutMs: 60_000 });
      const round = dying.round().catch(() => {});
      const ended = await Promise.race([dead.then(() => false), round.then(() => true)]);
      if (ended) break;
      // A day later: nobody renews, and the keys are forgotten.
      await sql`update invoice_deliveries set next_at = now()`;
      stripe.forgetKeys();
    }
    expect([...hung].sort()).toEqual([
      'POST /v1/customers ',
      'POST /v1/invoiceitems 1',
      'POST /v1/invoiceitems 2',
      'POST /v1/invoiceitems 3',
      'POST /v1/invoiceitems 4',
      'POST /v1/invoices ',
      'POST /v1/invoices/*/finalize ',
    ]);
    expect(stripe.invoices.size).toBe(1);
    expect(stripe.finalised[0]?.items).toHaveLength(invoice.lines.length);
    expect(stripe.finalised.map(stripe.totalOf)).toEqual([Math.round(Number(invoice.total) * 100)]);
    expect(await deliveryOf(invoice)).toMatchObject({ state: 'delivered' });
  });

  test('a total that is not ours stays a draft, and is said loudly; looked at, it can be sent again', async () => {
    const invoice = await books.tokens('acme', 100_000);
    stripe.extra = 7;
    const dispatcher = await worker();
    await sendAll(dispatcher);
    expect(await deliveryOf(invoice)).toMatchObject({
      state: 'failed',
      last_error: expect.stringMatching(/total of in_2 at Stripe is 1007 and ours 1000/),
    });
    expect(stripe.finalised).toEqual([]);
    expect(said.join()).toContain('was NOT delivered');
    stripe.extra = 0;
    expect(await requeueDelivery(invoice.id, 'stripe_test', sql)).toBe(true);
    await sendAll(dispatcher);
    expect(stripe.invoices.size).toBe(1);
    expect(await deliveryOf(invoice)).toMatchObject({ state: 'delivered' });
  });

  test('a draft that somebody has deleted is made anew', async () => {
    const invoice = await books.tokens('acme', 100_000);
    stripe.fault = ({ path }) => (path.endsWith('/finalize') ? 'unavailable' : undefined);
    const dispatcher = await worker();
    await sendAll(dispatcher, 1);
    stripe.fault = () => undefined;
    stripe.invoices.clear();
    await sendAll(dispatcher);
    expect(stripe.finalised.map(stripe.totalOf)).toEqual([1_000]);
    expect(await deliveryOf(invoice)).toMatchObject({ state: 'delivered' });
  });

  test('what was finalised before Stripe was configured, and what is void, is not sent', async () => {
    await books.tokens('acme', 100_000);
    books.clock.advance(86_400_000);
    const dispatcher = await worker();
    await sql`update delivery_targets set since = ${new Date(books.clock.now()).toISOString()}::timestamptz`;
    books.clock.advance(1_000);
    const later = await books.october('acme', 200_000);
    const voided = await books.tokens('known', 300_000);
    await changeState(voided.id, { state: 'void', at: books.clock.now(), by: 'test' }, sql);
    await sendAll(dispatcher);
    expect(stripe.finalised.map((each) => each.form['metadata[openclaw_invoice_id]'])).toEqual([later.id]);
    expect(await deliveryOf(voided)).toMatchObject({ state: 'failed', last_error: expect.stringContaining('void') });
  });

  test('no log line, row or error has the key', async () => {
    const invoice = await books.tokens('acme', 100_000);
    stripe.refuseKey = true;
    const dispatcher = await worker();
    await sendAll(dispatcher, 2);
    expect(await deliveryOf(invoice)).toMatchObject({
      state: 'pending',
      last_error: expect.stringContaining('Stripe answered 401'),
    });
    const rows = JSON.stringify([
      await sql`select * from invoice_deliveries`,
      await sql`select * from stripe_customers`,
    ]);
    expect(stripe.requests[0]?.authorization).toBe(`Bearer ${SECRET}`);
    for (const text of [said.join(), rows]) {
      expect(text).toContain('the secret key is refused');
      expect(text).not.toMatch(/VerySecret|sk_test|Bearer/);
    }
  });
});

describe('stripe-mock', () => {
  test('takes every request that is made, by the schema of Stripe’s API', { timeout: BRING_TIMEOUT_MS }, async () => {
    const mock = await startStripeMock();
    const { sql } = await open();
    const stripe = await StripeServer.start();
    stripe.shadow = mock;
    const books = openBooks(sql);
    const invoice = await books.models('llm', 2);
    await books.tokens('tokyo', 7);
    await books.tokens('known', -50_000);
    await books.credit(invoice, '2.50');
    await sql`insert into delivery_targets (target, since) values ('stripe_test', '2026-01-01')`;
    const failing = new Set<string>();
    // Each fails once: so the questions of a second attempt are asked as well.
    stripe.fault = (request) => (request.method === 'POST' && isFirst(request, failing) ? 'error' : undefined);
    for (const collection of ['send_invoice', 'charge_automatically'] as const) {
      const target = stripeTarget({
        secretKey: SECRET,
        apiBase: stripe.url,
        retries: 0,
        collection,
        daysUntilDue: 30,
        tenants: () => TERMS.tenants,
        sql,
      });
      const dispatcher = new Dispatcher({ sql, target, clock: books.clock, log: createLog('silent'), firstWaitMs: 0 });
      for (let round = 0; round < 40 && (await dispatcher.round()); round++);
      for (const made of stripe.finalised) if (stripe.totalOf(made) > 0) made.status = 'paid';
      if (collection === 'send_invoice')
        await books.credit(invoice, '1.00').then(() => books.october('known', 100_000));
    }
    const asked = new Set(
      stripe.shadowed.map(({ request: { method, path } }) => `${method} ${path.replace(/in_\d+/, '*')}`),
    );
    expect([...asked].sort()).toEqual([
      'GET /v1/credit_notes',
      'GET /v1/invoiceitems',
      'GET /v1/invoices',
      'GET /v1/invoices/*',
      'POST /v1/credit_notes',
      'POST /v1/customers',
      'POST /v1/invoiceitems',
      'POST /v1/invoices',
      'POST /v1/invoices/*/finalize',
    ]);
    expect(stripe.shadowed.filter(({ status }) => status !== 200)).toEqual([]);
    expect(stripe.finalised).toHaveLength(4);
    // Else it takes anything.
    const wrong = await fetch(`${mock}/v1/invoiceitems`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${SECRET}`, 'Content-Type': 'application/x-www-form-urlencoded' },
      body: 'customer=cus_1&amount=3.70&currency=usd',
    });
    expect(wrong.status).toBe(400);
    expect(await wrong.text()).toContain('validat');
  });
});
