import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { bringChromium } from '../helpers/bring.ts';
import { atTestEnd } from '../helpers/test-end.ts';

/** Shared memory is small in containers. Playwright leaves Chromium's sandbox out, which root may not use; it sees our pages only. */
const ARGS = ['--disable-dev-shm-usage', '--disable-gpu'];

/** A real Chromium without a window. Ended with the test, or with the file that starts it in a `beforeAll`. */
export async function startBrowser(): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: await bringChromium(), args: ARGS, headless: true });
  atTestEnd(() => browser.close());
  return browser;
}

/** Whatever the page's own policy refuses, and every error of its script, ends the test that looks at `problems`. */
export async function openTab(
  browser: Browser,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<{ page: Page; context: BrowserContext; problems: string[] }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/the server responded with a status of/.test(message.text()))
      problems.push(message.text());
  });
  return { page, context, problems };
}

export async function signInAsAdmin(page: Page, billing: string, adminToken: string): Promise<void> {
  await page.goto(`${billing}/admin`);
  await page.getByLabel('Admin token').fill(adminToken);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Users', level: 1 }).waitFor();
}

export async function signInByKey(page: Page, billing: string, key: string): Promise<void> {
  await page.goto(`${billing}/portal`);
  await page.getByLabel('API key').fill(key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Left now' }).waitFor();
}
