import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parse } from 'csv-parse/sync';
import type { Hono } from 'hono';
import type { Sql } from 'postgres';
import { Registry } from 'prom-client';
import { Webhook } from 'standardwebhooks';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Dispatcher } from '../../billing-worker/exports/dispatcher.ts';
import { deliveryMetrics } from '../../billing-worker/exports/metrics.ts';
import { type Delivery, NotSent, type Target } from '../../billing-worker/exports/target.ts';
import { invoiceWebhook } from '../../billing-worker/exports/webhook.ts';
import { readInvoice } from '../../billing-worker/invoices/read.ts';
import { exportRoutes } from '../../billing-worker/routes/export.ts';
import { createBillingWorker } from '../../billing-worker/worker.ts';
import { systemClock } from '../../runtime/clock.ts';
import { listen } from '../../runtime/listen.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { SOME_DATABASES, silent } from './databases.ts';
import { openBooks, TERMS } from './exports-books.ts';

const ADMIN = { Authorization: 'Bearer admin' };

describe.each(SOME_DATABASES)('on $name', ({ name, open }) => {
  let sql: Sql;
  let books: ReturnType<typeof openBooks>;
  let app: Hono;

  beforeAll(async () => {
    ({ sql } = await open());
    const unused = { lag: () => Promise.reject(new Error('not asked for')) } as never;
    ({ app } = createBillingWorker({
      sql,
      stream: unused,
      config: () => TERMS,
      invoicing: { issuer: 'INV', graceMs: 0 },
      adminToken: 'admin',
      registry: new Registry(),
      clock: systemClock,
      log: silent,
    }));
  }, 120_000);

  beforeEach(async () => {
    books = openBooks(sql);
    await sql`truncate delivery_targets, invoice_deliveries`;
    const tables = ['invoice_lines', 'invoice_states', 'billed_events', 'invoices'];
    for (const table of tables) await sql.unsafe(`alter table ${table} disable trigger user`);
    await sql`truncate usage_events, usage_rollups, invoice_lines, invoice_states, billed_events, invoices, invoice_numbers`;
    for (const table of tables) await sql.unsafe(`alter table ${table} enable always trigger ${table}_refuse_change`);
  });

  const get = (path: string, headers: Record<string, string> = {}) =>
    app.request(path, { headers: { ...ADMIN, ...headers } });
  const target = (send: (delivery: Delivery) => Promise<string | undefined>): Target => ({ name: 'test', send });
  const opened = () => sql`insert into delivery_targets (target, since) values ('test', '2026-01-01')`;
  const dispatcher = (to: Target, over: object = {}) =>
    new Dispatcher({ sql, target: to, clock: books.clock, log: silent, firstWaitMs: 0, ...over });

  describe('the outbox', () => {
    test('of two workers at once each sends others, and each invoice is sent once', async () => {
      await opened();
      await Promise.all(Array.from({ length: 12 }, (_, index) => books.tokens(`tenant-${index}`, 100)));
      const sent: string[] = [];
      const to = target(async ({ document }) => void sent.push(document.id) as undefined);
      const workers = [dispatcher(to), dispatcher(to), dispatcher(to)];
      await Promise.all(
        workers.map(async (worker) => {
          while (await worker.round());
        }),
      );
      expect(sent).toHaveLength(12);
      expect(new Set(sent).size).toBe(12);
    });

    test('what a dead worker had taken is another’s after its lease, and a living one’s stays its own', async () => {
      await opened();
      const first = await books.tokens('acme', 100);
      let living: (id?: string) => void = () => {};
      const attempts: number[] = [];
      const slow = target(({ attempts: count }) => {
        attempts.push(count);
        return new Promise((resolve) => {
          living = resolve;
        });
      });
      const sending = dispatcher(slow, { leaseMs: 300 }).round();
      await new Promise((resolve) => setTimeout(resolve, 900));
      expect(await dispatcher(slow, { leaseMs: 300 }).round()).toBe(0);
      living('there');
      await sending;
      expect(attempts).toEqual([1]);

      const second = await books.october('acme', 100);
      await sql`insert into invoice_deliveries (invoice_id, target, state, attempts, refusals, next_at)
        values (${second.id}, 'test', 'pending', 1, 0, now())`;
      const taken = target(async ({ attempts: count, first }) => `${count} ${first}`);
      await dispatcher(taken).round();
      const rows = await sql`select invoice_id, external_id from invoice_deliveries`;
      expect(Object.fromEntries(rows.map((row) => [row.invoice_id, row.external_id]))).toEqual({
        [first.id]: 'there',
        [second.id]: '2 false',
      });
    });

    test('a receiver that hangs holds up no shutdown, and its invoice is due again at once', async () => {
      await opened();
      await books.tokens('acme', 100);
      const worker = await new Promise<Dispatcher>((resolve) => {
        const hanging = target(() => {
          resolve(started);
          return new Promise(() => {});
        });
        const started = dispatcher(hanging);
        started.start();
      });
      await worker.stop();
      const rows = await sql`select state, next_at <= now() as due, last_error from invoice_deliveries`;
      expect([...rows]).toEqual([{ state: 'pending', due: true, last_error: null }]);
    });

    test('a failure is tried again later, a final one not; both are counted', async () => {
      await opened();
      await books.tokens('acme', 100);
      await books.tokens('known', 100);
      const registry = new Registry();
      const attempted = deliveryMetrics(registry, ['test'], sql);
      const to = target(async ({ document }) => {
        throw new NotSent(document.tenant_id, { final: document.tenant_id === 'known' });
      });
      const worker = dispatcher(to, {
        firstWaitMs: 60_000,
        onAttempt: (result: 'failed') => attempted('test', result),
      });
      expect(await worker.round()).toBe(2);
      expect(await worker.round()).toBe(0);
      const rows =
        await sql`select state, last_error, next_at > now() + interval '20 s' as later from invoice_deliveries order by last_error`;
      expect([...rows]).toEqual([
        { state: 'pending', last_error: 'acme', later: true },
        { state: 'failed', last_error: 'known', later: true },
      ]);
      const metrics = await registry.metrics();
      expect(metrics).toContain('openclaw_invoice_deliveries_pending{target="test"} 1');
      expect(metrics).toContain('openclaw_invoice_deliveries_failed{target="test"} 1');
      expect(metrics).toMatch(/openclaw_invoice_deliveries_oldest_seconds\{target="test"\} 0?\.?\d/);
      expect(metrics).toContain('openclaw_invoice_delivery_attempts_total{target="test",result="retried"} 1');
    });

    test('is read and set going again by the API', async () => {
      await opened();
      const invoice = await books.tokens('acme', 100);
      await dispatcher(target(() => Promise.reject(new NotSent('not now', { final: true })))).round();
      const path = `/v1/invoices/${invoice.number}/deliveries`;
      expect(await (await get(path)).json()).toMatchObject({
        data: [{ target: 'test', state: 'failed', attempts: 1, last_error: 'not now', next_at: null }],
        stripe_events: [],
      });
      const again = await app.request(`${path}/test`, { method: 'POST', headers: ADMIN });
      expect(again.status).toBe(202);
      await dispatcher(target(async () => 'done')).round();
      expect(await (await get(path)).json()).toMatchObject({
        data: [{ state: 'delivered', external_id: 'done', last_error: null }],
      });
      expect((await app.request(`${path}/nowhere`, { method: 'POST', headers: ADMIN })).status).toBe(404);
      expect((await get('/v1/invoices/unknown/deliveries')).status).toBe(404);
    });
  });

  test('the webhook gets the document byte for byte, signed, under one id however often', async () => {
    const got: { headers: Record<string, string>; body: string }[] = [];
    const answers = [500, 'reset', 204] as const;
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      got.push({ headers: request.headers as Record<string, string>, body });
      const answer = answers[got.length - 1];
      if (answer === 'reset') request.socket.destroy();
      else response.writeHead(answer ?? 204).end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    atTestEnd(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?token=hidden`;
    await sql`insert into delivery_targets (target, since) values ('webhook', '2026-01-01')`;
    const invoice = await books.tokens('acme', 123_456);
    const worker = dispatcher(invoiceWebhook(url, 'a long secret', systemClock));
    const errors: string[] = [];
    for (let round = 0; round < 3; round++) {
      expect(await worker.round()).toBe(1);
      errors.push((await sql`select last_error from invoice_deliveries`)[0]?.last_error);
    }
    expect(errors).toEqual(['the receiver answered 500', expect.stringMatching(/cannot be reached: \w+$/), null]);
    expect(got.map(({ headers }) => headers['webhook-id'])).toEqual([invoice.id, invoice.id, invoice.id]);
    const receiver = new Webhook(Buffer.from('a long secret').toString('base64'));
    for (const { body, headers } of got) {
      expect(receiver.verify(body, headers)).toMatchObject({
        type: 'invoice.finalised',
        data: { id: invoice.id, total: '12.35' },
      });
      expect(body).toContain((await readInvoice(invoice.id, sql))?.document);
      expect(() => receiver.verify(body.replace('12.35', '0.01'), headers)).toThrow();
    }
  });

  describe('GET /v1/invoices/{id}', () => {
    test('in CSV: a row for each line; formulas are none, negative amounts stay numbers', async () => {
      const invoice = await books.models('llm', 2);
      const note = await books.credit(invoice, '2.50', '=HYPERLINK("http://x"), "quoted"\nand more');
      const answer = await get(`/v1/invoices/${invoice.id}?format=csv`);
      expect(answer.headers.get('Content-Type')).toBe('text/csv; charset=utf-8; header=present');
      expect(answer.headers.get('Content-Disposition')).toBe(`attachment; filename="${invoice.number}.csv"`);
      const text = await answer.text();
      expect(text.endsWith('\r\n')).toBe(true);
      const rows: Record<string, string>[] = parse(text, { columns: true, record_delimiter: '\r\n' });
      expect(
        rows.map(({ amount, exact_amount, line, quantity, total }) => [line, quantity, exact_amount, amount, total]),
      ).toEqual(
        invoice.lines.map((line) => [String(line.line), line.quantity, line.exact_amount, line.amount, invoice.total]),
      );
      const [row] = parse(await (await get(`/v1/invoices/${note.id}`, { Accept: 'text/csv' })).text(), {
        columns: true,
      }) as typeof rows;
      expect(row).toMatchObject({
        kind: 'credit_note',
        credits: invoice.id,
        amount: '-2.50',
        total: '-2.50',
        unit_price: '-2.50',
      });
      const evil = await books.tokens('=1+1', 100);
      expect(await (await get(`/v1/invoices/${evil.id}?format=csv`)).text()).toContain(",'=1+1,");
    });

    test('in JSON byte for byte as it is stored, whatever else is accepted', async () => {
      const invoice = await books.models('llm', 1);
      const stored = (await readInvoice(invoice.id, sql))?.document;
      for (const accept of ['application/json', '*/*', 'image/png', '']) {
        const answer = await get(`/v1/invoices/${invoice.id}`, accept ? { Accept: accept } : {});
        expect(answer.headers.get('Content-Type')).toBe('application/json');
        expect(answer.headers.get('X-Invoice-State')).toBe('finalised');
        expect(await answer.text()).toBe(stored);
      }
      expect((await get(`/v1/invoices/${invoice.id}?format=pdf`)).status).toBe(400);
      expect((await get('/v1/invoices/unknown?format=html')).status).toBe(404);
      expect((await app.request(`/v1/invoices/${invoice.id}?format=html`)).status).toBe(401);
    });
  });

  // The statement is the same on both; what it costs to fill pages is not.
  if (name === 'PostgreSQL')
    describe('GET /v1/invoices/export', () => {
      test('has each line of what was finalised in the month, once, over as many pages as there are', {
        timeout: 90_000,
      }, async () => {
        const made = [];
        for (let index = 0; index < 120; index++)
          made.push(await books.tokens(`tenant-${index % 115}-${index}`, 100 * (index + 1)));
        const note = await books.credit(made[5] as (typeof made)[0], '0.01');
        books.clock.set(Date.parse('2026-10-31T23:59:59.999Z'));
        const last = await books.tokens('last', 100);
        books.clock.set(Date.parse('2026-11-01T00:00:00Z'));
        const next = await books.tokens('next', 100);
        const october = [...made, note, last].map(({ id }) => id);
        const csv = await (await get('/v1/invoices/export?month=2026-10&format=csv')).text();
        const rows: Record<string, string>[] = parse(csv, { columns: true });
        expect(rows.map(({ invoice_id }) => invoice_id).sort()).toEqual([...october].sort());
        const json = (await (await get('/v1/invoices/export?month=2026-10')).json()) as {
          data: { invoice_id: string }[];
        };
        expect(json.data.map(({ invoice_id }) => invoice_id)).toEqual(rows.map(({ invoice_id }) => invoice_id));
        const november = (await (await get('/v1/invoices/export?month=2026-11&tenant_id=next')).json()) as typeof json;
        expect(november.data).toMatchObject([{ invoice_id: next.id, line: 1, amount: '0.01', state: 'finalised' }]);
        expect(await (await get('/v1/invoices/export?month=2026-11&tenant_id=nobody')).json()).toEqual({ data: [] });

        // A database that goes away after the first page: nobody takes that for the whole.
        let asked = 0;
        const unsafe = (...given: Parameters<Sql['unsafe']>) =>
          ++asked === 2 ? Promise.reject(new Error('gone')) : sql.unsafe(...given);
        const breaking = exportRoutes({ sql: { unsafe } as unknown as Sql, log: silent });
        const listening = await listen(breaking, { host: '127.0.0.1', port: 0, variable: 'PORT' });
        atTestEnd(() => listening.close());
        for (const format of ['csv', 'json']) {
          asked = 0;
          const answer = await fetch(`${listening.url}/v1/invoices/export?month=2026-10&format=${format}`);
          expect(answer.status).toBe(200);
          await expect(answer.text()).rejects.toThrow();
        }
      });

      test('says what is wrong', async () => {
        for (const query of ['', 'month=2026-13', 'month=2026-1', 'month=2026-10&format=html', 'month=2026-10&x=1']) {
          expect((await get(`/v1/invoices/export?${query}`)).status, query).toBe(400);
        }
        expect((await app.request('/v1/invoices/export?month=2026-10')).status).toBe(401);
      });
    });
});
