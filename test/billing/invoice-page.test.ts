import { createHash } from 'node:crypto';
import type { Hono } from 'hono';
import type { Sql } from 'postgres';
import { Registry } from 'prom-client';
import { beforeAll, expect, test } from 'vitest';
import { changeState } from '../../billing-worker/invoices/states.ts';
import { createBillingWorker } from '../../billing-worker/worker.ts';
import { systemClock } from '../../runtime/clock.ts';
import { DATABASES, silent } from './databases.ts';
import { openBooks, TERMS } from './exports-books.ts';

const [{ open } = expect.fail()] = DATABASES;

let sql: Sql;
let books: ReturnType<typeof openBooks>;
let app: Hono;

beforeAll(async () => {
  ({ sql } = await open());
  books = openBooks(sql);
  ({ app } = createBillingWorker({
    sql,
    stream: { lag: () => Promise.reject(new Error('not asked for')) } as never,
    config: () => TERMS,
    invoicing: { issuer: 'INV', graceMs: 0 },
    adminToken: 'admin',
    registry: new Registry(),
    clock: systemClock,
    log: silent,
  }));
}, 120_000);

const page = (id: string, accept = 'text/html,application/xhtml+xml,*/*;q=0.8') =>
  app.request(`/v1/invoices/${id}`, { headers: { Authorization: 'Bearer admin', Accept: accept } });

test('has number, issuer, tenant, period, every line with its amounts, and the total', async () => {
  const invoice = await books.models('llm', 2);
  const answer = await page(invoice.id);
  expect(answer.headers.get('Content-Type')).toMatch(/^text\/html/);
  expect(answer.headers.get('X-Invoice-State')).toBe('finalised');
  const html = await answer.text();
  for (const { amount, description, exact_amount } of invoice.lines) {
    for (const shown of [amount, description, exact_amount]) expect(html).toContain(`${shown}<`);
  }
  for (const shown of [
    `<title>Invoice ${invoice.number}</title>`,
    '<dt>Issuer</dt><dd>INV</dd>',
    '<dt>Tenant</dt><dd>llm</dd>',
    '<time datetime="2026-09-01T00:00:00.000Z">2026-09-01 00:00</time>',
    '1,234,567<',
    `${invoice.total} USD</td>`,
    '<p class="state">Open</p>',
  ]) {
    expect(html).toContain(shown);
  }
  // Head cells of columns and rows, so that it can be read out.
  expect(html.match(/<th scope="col"/g)).toHaveLength(6);
  expect(html.match(/<th scope="row"/g)).toHaveLength(invoice.lines.length + 1);
});

test('says paid, void, and which credit notes there are; a credit note which invoice it corrects', async () => {
  const invoice = await books.tokens('acme', 100_000);
  const note = await books.credit(invoice, '2.50', 'an outage');
  await changeState(invoice.id, { state: 'paid', at: Date.parse('2026-10-05'), by: 'test', reference: 'in_1' }, sql);
  const paid = await (await page(invoice.id)).text();
  expect(paid).toContain('<div class="mark paid" aria-hidden="true">paid</div>');
  expect(paid).toContain('<p class="state paid">paid <time datetime="2026-10-05T00:00:00.000Z">2026-10-05</time></p>');
  expect(paid).toContain('<dt>Reference</dt><dd>in_1</dd>');
  expect(paid).toMatch(new RegExp(`${note.number}</th><td>2026-10-02</td><td>an outage</td><td class="n">-2.50<`));
  const credited = await (await page(note.id)).text();
  expect(credited).toContain(`<h1>Credit note</h1>`);
  expect(credited).toContain(`<dt>Corrects</dt><dd>${invoice.number}</dd>`);
  await changeState(invoice.id, { state: 'void', at: Date.parse('2026-10-06'), by: 'test' }, sql);
  expect(await (await page(invoice.id)).text()).toContain('<div class="mark void" aria-hidden="true">void</div>');
});

test('escapes what comes from elsewhere, loads nothing, and may run nothing', async () => {
  const evil = '<script>alert(1)</script>"\'&';
  const invoice = await books.tokens(evil, 100_000);
  await books.credit(invoice, '1.00', '</style><img src=//x onerror=alert(1)>');
  const answer = await page(invoice.id);
  const html = await answer.text();
  expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;');
  const tags = html.match(/<[^>]*>/g) ?? [];
  expect(tags.length).toBeGreaterThan(50);
  for (const tag of tags) expect(tag).not.toMatch(/^<(script|img|link|iframe|object|base)|\b(src|href|style|on\w+)=/i);
  const style = /<style>([\s\S]*?)<\/style>/.exec(html)?.[1] ?? '';
  const policy = answer.headers.get('Content-Security-Policy')?.split('; ');
  expect(policy).toEqual([
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]);
  expect(style).not.toMatch(/url\(|@import/);
  expect(answer.headers.get('Referrer-Policy')).toBe('no-referrer');
});
