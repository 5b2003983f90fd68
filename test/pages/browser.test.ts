import { readFile } from 'node:fs/promises';
import type { Browser, BrowserContext } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { adminAddresses, type PageAddress, portalAddresses } from './addresses.ts';
import { seriousProblems } from './axe.ts';
import { openTab, signInAsAdmin, signInByKey, startBrowser } from './browser.ts';
import { AWKWARD, startWorld, type World } from './world.ts';

let world: World;
let browser: Browser;
let signedIn: Awaited<ReturnType<BrowserContext['storageState']>>;

beforeAll(async () => {
  [world, browser] = await Promise.all([startWorld(), startBrowser()]);
  const { context, page } = await openTab(browser);
  await signInAsAdmin(page, world.billing, world.adminToken);
  signedIn = await context.storageState();
}, BRING_TIMEOUT_MS);

/** Signed in with the cookies of the first time. */
const openAdmin = async (options: Parameters<Browser['newContext']>[0] = {}) => {
  const tab = await openTab(browser, { storageState: signedIn, ...options });
  await tab.page.goto(`${world.billing}/admin`);
  return tab;
};

describe('the admin', () => {
  test('a wrong token does not open the pages; the right one leads to the page that was asked for', async () => {
    const { page } = await openTab(browser);
    await page.goto(`${world.billing}/admin/audit?tenant_id=acme`);
    await page.getByLabel('Admin token').fill('not the token');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('That is not the admin token.').waitFor();
    await page.goto(`${world.billing}/admin/audit?tenant_id=acme`);
    await page.getByLabel('Admin token').fill(world.adminToken);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Audit', level: 1 }).waitFor();
    expect(new URL(page.url()).search).toBe('?tenant_id=acme');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.goto(`${world.billing}/admin`);
    await page.getByLabel('Admin token').waitFor();
  });

  test('a bar moves with a decision, without a reload', async () => {
    const { page, problems } = await openAdmin();
    await page.locator('html[data-follows]').waitFor();
    const bar = page.locator('.bar[data-limit="user:alice:tokens:day"]');
    const before = Number(await bar.locator('.fill').getAttribute('width'));
    await page.evaluate(() => Object.assign(globalThis, { stayed: true }));
    expect((await world.use('acme', 'alice', 40_000)).allow).toBe(true);
    await expect
      .poll(async () => Number(await bar.locator('.fill').getAttribute('width')), { timeout: 10_000, interval: 50 })
      .toBe(before + 40);
    expect(await bar.locator('.used').textContent()).toBe('40,000');
    expect(await page.evaluate(() => 'stayed' in globalThis)).toBe(true);
    expect(problems).toEqual([]);
  });

  test('granted tokens are asked about first, then count, and can be taken back', async () => {
    await world.use('acme', 'bob', 24_000);
    expect((await world.use('acme', 'bob', 5_000)).allow).toBe(false);
    const { page, problems } = await openAdmin();
    await page.getByRole('link', { name: 'bob', exact: true }).click();
    await page.getByLabel('Tokens on top').fill('20000');
    await page.getByLabel('Reason').fill('release week');
    await page.getByRole('button', { name: 'Grant tokens…' }).click();
    await page.getByRole('heading', { name: 'Grant 20,000 tokens to bob?' }).waitFor();
    expect((await world.use('acme', 'bob', 5_000)).allow).toBe(false);
    await page.getByRole('button', { name: 'Grant', exact: true }).click();
    await page.getByText('The tokens are granted.').waitFor();
    expect(await page.getByRole('region', { name: 'Grants that count now' }).textContent()).toContain('release week');
    expect((await world.use('acme', 'bob', 5_000)).allow).toBe(true);
    await page.getByRole('link', { name: 'Take back' }).click();
    await page.getByRole('button', { name: 'Take back' }).click();
    await page.getByText('The grant is taken back.').waitFor();
    expect((await world.use('acme', 'bob', 5_000)).allow).toBe(false);
    await eventually(async () => {
      await page.reload();
      const [newest] = await page
        .getByRole('region', { name: 'Recent decisions' })
        .getByRole('row')
        .filter({ has: page.getByRole('cell') })
        .allTextContents();
      expect(newest).toMatch(/denied.*A limit was reached/);
    });
    expect(problems).toEqual([]);
  });

  test('a key is shown once, rotated, and refused from the moment it is revoked', async () => {
    const { page } = await openAdmin();
    await page.getByRole('link', { name: 'Keys' }).click();
    await page.getByRole('link', { name: 'Issue a key…' }).click();
    await page.getByLabel('Tenant').fill('acme');
    await page.getByLabel('Name').fill('laptop');
    await page.getByRole('button', { name: 'Go on…' }).click();
    await page.getByRole('button', { name: 'Issue' }).click();
    const key = (await page.locator('#new-key').textContent())?.trim() ?? '';
    expect(key).toMatch(/^ocr_k0_/);
    const ask = () =>
      fetch(`${world.sidecar}/v1/data/openclaw/rate_limit/allow`, {
        method: 'POST',
        headers: { 'X-API-Key': key },
        body: '{"input": {}}',
      });
    expect((await ask()).status).toBe(200);
    await page.reload();
    expect(await page.getByText('Only one key was made').count()).toBe(1);
    await page.goto(`${world.billing}/admin/keys?tenant_id=acme`);
    expect(await page.content()).not.toContain(key);
    const row = page.getByRole('row', { name: /laptop/ });
    await row.getByRole('link', { name: 'Revoke' }).click();
    await page.getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('The key is revoked.').waitFor();
    await expect.poll(async () => (await ask()).status).toBe(401);
  });

  test('a cycle is closed after a look at its invoice', async () => {
    const { page } = await openAdmin();
    await page.getByRole('link', { name: 'Invoices' }).click();
    await page.getByRole('link', { name: 'Look at the invoice, then close the cycle of acme' }).first().click();
    const total = await page.getByRole('row', { name: /Total/ }).textContent();
    await page.getByRole('button', { name: 'Close, and issue the invoice' }).click();
    await page.getByText('The cycle is closed, and its invoice is issued.').waitFor();
    const issued = page.getByRole('region', { name: 'Invoices, the newest first' });
    expect(await issued.textContent()).toContain('INV-000001');
    const amount = /[\d.]+$/.exec(total ?? '')?.[0];
    expect(amount).toMatch(/^\d+\.\d\d$/);
    expect((await issued.textContent())?.replaceAll(',', '')).toContain(amount);
  });

  test('usage comes down as CSV, with the numbers of the page', async () => {
    const { page } = await openAdmin();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download CSV' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('usage-by-user.csv');
    const csv = await readFile(await download.path(), 'utf8');
    expect(csv.split('\r\n')[0]).toMatch(/^tenant_id,user_id,requests,denied/);
    expect(csv).toContain('\r\nacme,alice,');
  });
});

/** One stylesheet for all pages: between them these have everything that it knows. */
const DARK = [
  'sign-in',
  'admin-users',
  'admin-confirm',
  'admin-keys',
  'admin-ledger',
  'portal-overview',
  'portal-keys',
];

describe('nobody is kept out', () => {
  test('axe finds no serious problem on any page, in light and dark', async () => {
    const { id: keyId, key } = await world.issueKey({ tenant_id: 'acme', name: 'axe' });
    const ids = { keyId, ...(await world.closeOne()) };
    const { page, problems } = await openTab(browser, { colorScheme: 'light' });
    const found: string[] = [];
    const look = async (addresses: PageAddress[]) => {
      for (const { name, path } of addresses) {
        await page.emulateMedia({ colorScheme: 'light' });
        await page.goto(world.billing + path);
        found.push(...(await seriousProblems(page)));
        if (!fullLength && !DARK.includes(name)) continue;
        await page.emulateMedia({ colorScheme: 'dark' });
        found.push(...(await seriousProblems(page, ['color-contrast'])));
      }
    };
    await look([
      { name: 'sign-in', path: '/admin/sign-in' },
      { name: 'sign-in', path: '/portal/sign-in' },
    ]);
    await signInAsAdmin(page, world.billing, world.adminToken);
    await look(adminAddresses(ids));
    await signInByKey(page, world.billing, key);
    await look(portalAddresses(ids));
    expect(found).toEqual([]);
    expect(problems).toEqual([]);
  }, 120_000);

  test('without a script one can sign in, search, sort, and grant tokens', async () => {
    const { page } = await openTab(browser, { javaScriptEnabled: false });
    await signInAsAdmin(page, world.billing, world.adminToken);
    await page.getByLabel('User or tenant').fill("O'NEIL");
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByText('1 users').waitFor();
    await page.getByRole('link', { name: AWKWARD }).click();
    await page.getByRole('heading', { name: AWKWARD, level: 1 }).waitFor();
    await page.getByLabel('Tokens on top').fill('700');
    await page.getByLabel('Reason').fill('no script');
    await page.getByRole('button', { name: 'Grant tokens…' }).click();
    await page.getByRole('button', { name: 'Grant', exact: true }).click();
    await page.getByText('The tokens are granted.').waitFor();
    expect(await page.getByRole('list').first().textContent()).toContain('50,700');
    await page.goto(`${world.billing}/admin`);
    await page.getByRole('link', { name: 'User', exact: true }).click();
    const names = await page.getByRole('rowheader').allTextContents();
    expect(names).toEqual([...names].sort());
    expect(names.length).toBeGreaterThan(4);
  });
});

describe('the portal', () => {
  test('opens by a one-time link, once', async () => {
    const admin = await openAdmin();
    await admin.page.goto(`${world.billing}/admin/tenant?tenant_id=globex`);
    await admin.page.getByRole('button', { name: 'Make a sign-in link' }).click();
    const link = (await admin.page.locator('#link').textContent())?.trim() ?? '';
    const { page } = await openTab(browser);
    await page.goto(link);
    expect(await page.content()).not.toContain(new URL(link).pathname.split('/').at(-1));
    await page.getByRole('button', { name: 'Open the portal' }).click();
    await page.getByRole('heading', { name: 'globex', level: 1 }).waitFor();
    const other = await openTab(browser);
    await other.page.goto(link);
    await other.page.getByRole('button', { name: 'Open the portal' }).click();
    await other.page.getByText('This link was used before').waitFor();
  });

  test('opens by a key of the tenant, shows its own, and ends with the key', async () => {
    const { id, key } = await world.issueKey({ tenant_id: 'acme', name: 'portal' });
    const { page, problems } = await openTab(browser);
    await signInByKey(page, world.billing, key);
    expect(await page.getByRole('list').filter({ hasText: 'Tenant tokens, today' }).count()).toBe(1);
    await page.getByRole('link', { name: 'Users' }).click();
    await page.getByRole('link', { name: 'alice' }).waitFor();
    expect(await page.content()).not.toContain('dave');
    await page.getByRole('link', { name: 'Usage', exact: true }).click();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'by model' }).first().click(),
    ]);
    expect(await readFile(await download.path(), 'utf8')).not.toContain('globex');
    await page.goto(`${world.billing}/portal/keys/${id}/revoke`);
    await page.getByRole('button', { name: 'Revoke' }).click();
    await eventually(async () => {
      await page.goto(`${world.billing}/portal`);
      expect(await page.getByLabel('API key').count()).toBe(1);
    });
    expect(problems).toEqual([]);
  });

  test('does not open by a key of one user', async () => {
    const { key } = await world.issueKey({ tenant_id: 'acme', user_id: 'alice' });
    const { page } = await openTab(browser);
    await page.goto(`${world.billing}/portal`);
    await page.getByLabel('API key').fill(key);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('This key is of one user or team').waitFor();
  });
});
