import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { fullLength } from '../helpers/full-length.ts';
import { post } from '../helpers/sidecar-client.ts';
import { adminAddresses, type PageAddress, portalAddresses } from './addresses.ts';
import { openTab, signInAsAdmin, signInByKey, startBrowser } from './browser.ts';
import { startWorld, type World } from './world.ts';

const FOLDER = join(packageRoot, 'docs', 'screenshots');
/** A picture for each page in light; of these also in dark and narrow. */
const MORE = ['admin-users', 'admin-user', 'portal-overview', 'portal-usage'];
const WANTED = [
  'admin-users',
  'admin-user',
  'admin-confirm',
  'admin-tenants',
  'admin-keys',
  'admin-providers',
  'admin-invoices',
  'admin-cycle',
  'admin-ledger',
  'admin-audit',
  'portal-overview',
  'portal-usage',
  'portal-users',
  'portal-invoices',
  'portal-invoice',
  'portal-keys',
];
const LIGHT = { colorScheme: 'light' as const };
const DARK = { colorScheme: 'dark' as const };
const NARROW = { ...LIGHT, viewport: { width: 390, height: 844 } };

/** Makes the pictures of the documentation, so that they show what is there. */
test.runIf(fullLength)(
  'each page has its picture',
  async () => {
    const [world, browser] = await Promise.all([startWorld(), startBrowser()]);
    const ids = await readied(world);
    await mkdir(FOLDER, { recursive: true });
    for (const [kind, options] of [
      ['light', LIGHT],
      ['dark', DARK],
      ['narrow', NARROW],
    ] as const) {
      const isWanted = ({ name }: PageAddress) => WANTED.includes(name) && (kind === 'light' || MORE.includes(name));
      const pages = [...adminAddresses(ids), ...portalAddresses(ids)].filter(isWanted);
      await take(browser, world, { kind, options, pages, key: ids.key });
    }
  },
  BRING_TIMEOUT_MS,
);

interface Pictures {
  kind: string;
  options: Parameters<Browser['newContext']>[0];
  pages: PageAddress[];
  key: string;
}

async function take(
  browser: Browser,
  { adminToken, billing }: World,
  { key, kind, options, pages }: Pictures,
): Promise<void> {
  const { context, page } = await openTab(browser, options);
  await page.goto(`${billing}/admin/sign-in`);
  if (kind === 'light') await page.screenshot({ path: join(FOLDER, 'admin-sign-in.png') });
  await signInAsAdmin(page, billing, adminToken);
  await signInByKey(page, billing, key);
  for (const { name, path } of pages) {
    await page.goto(billing + path);
    const height = await page.evaluate<number>('document.documentElement.scrollHeight');
    const width = page.viewportSize()?.width ?? 1_280;
    expect(
      await page.evaluate<number>('document.documentElement.scrollWidth'),
      `${name} fits into ${width} pixels`,
    ).toBeLessThanOrEqual(width);
    const suffix = kind === 'light' ? '' : `-${kind}`;
    const file = join(FOLDER, `${name}${suffix}.png`);
    await page.screenshot({
      path: file,
      fullPage: true,
      clip: { x: 0, y: 0, width, height: Math.min(height, 1_250) },
      animations: 'disabled',
    });
  }
  await context.close();
}

/** Something of everything: budgets at every level, keys, an invoice, a cycle that waits. */
async function readied(world: World) {
  for (const [user, tokens] of [
    ['alice', 62_000],
    ['bob', 21_000],
    ['bob', 8_000],
    ['carol', 12_000],
    ['erin', 50_000],
  ] as const) {
    await world.use('acme', user, tokens);
  }
  await world.use('globex', 'dave', 30_000, 'anthropic/claude-sonnet-4-5');
  const refused = await world.use('globex', 'dave', 100, 'anthropic/claude-haiku-4-5');
  await post(`${world.sidecar}/v1/usage`, { decision_id: refused.id, outcome: 'failed', error: { status: 429 } });
  const { id: keyId, key } = await world.issueKey({ tenant_id: 'acme', name: 'portal' });
  await world.issueKey({ tenant_id: 'acme', user_id: 'alice', name: 'laptop' });
  await world.issueKey({ tenant_id: 'globex', name: 'gateway' });
  return { key, keyId, ...(await world.closeOne()) };
}
